"""Provisioned concurrency that follows its use, and the clock.

Lambda Developer Guide, "Managing provisioned concurrency with Application Auto Scaling"; Application Auto Scaling User
Guide.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.code import call, deploy
from tests.support.refusals import refused
from tests.support.stacks import Stacks, template
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cloud import Cloud

pytestmark = pytest.mark.shares_files
PLACE = {
    "ServiceNamespace": "lambda", "ResourceId": "function:f:live",
    "ScalableDimension": "lambda:function:ProvisionedConcurrency",
}  # fmt: skip
WAITS = (
    "import os, time\n"
    "def handler(event, context):\n"
    "    while 'until' in event and not os.path.exists(event['until']):\n"
    "        time.sleep(0.01)\n"
)
TRACKING = {
    "TargetValue": 0.5,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"},
}


@pytest.fixture
def scaling(cloud: Cloud) -> Any:
    """With a function that has an alias."""
    functions = cloud.client("lambda")
    deploy(functions, "f", WAITS, Timeout=300, Publish=True)
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    return cloud.client("application-autoscaling")


def provisioned(cloud: Cloud) -> int:
    """How many instances there are to be, once all of them are ready."""
    functions = cloud.client("lambda")
    get = functions.get_provisioned_concurrency_config
    try:
        found = eventually(lambda: (one := get(FunctionName="f", Qualifier="live"))["Status"] == "READY" and one)
    except functions.exceptions.ProvisionedConcurrencyConfigNotFoundException:
        return 0
    return int(found["AvailableProvisionedConcurrentExecutions"])


@contextmanager
def working(cloud: Cloud, count: int, folder: Any) -> Iterator[None]:
    flag = folder / f"done-{count}"
    threads = [
        threading.Thread(target=call, args=(cloud.client("lambda"), "f:live", {"until": str(flag)}))
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: [one["state"] for one in cloud.server.engine.status()].count("busy") >= count)
        cloud.clock.aside.running -= count  # They work for as long as the test says: time need not wait for them.
        yield
    finally:
        cloud.clock.aside.running += count
        flag.touch()
        for thread in threads:
            thread.join(20)


def begun(cloud: Cloud) -> None:
    """The first policy is known to whoever scales (a database tells of it in its own time): a minute is waited for."""
    minute_ms = cloud.clock.now_ms() // 60_000 * 60_000 + 60_000
    eventually(lambda: any(due_ms == minute_ms for due_ms, *_ in list(cloud.clock._alarms)))


def minutes(cloud: Cloud, count: int) -> None:
    for _ in range(count):
        cloud.advance(seconds=60)


def test_a_target_keeps_capacity_between_its_bounds_from_the_moment_it_is_registered(
    cloud: Cloud, scaling: Any
) -> None:
    arn = scaling.register_scalable_target(**PLACE, MinCapacity=2, MaxCapacity=4, Tags={"team": "blue"})["ScalableTargetARN"]  # fmt: skip  # noqa: E501
    assert provisioned(cloud) == 2
    assert [one["state"] for one in cloud.server.engine.status()] == ["idle"] * 2
    scaling.register_scalable_target(**PLACE, MaxCapacity=3)
    [target] = scaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"], target["ScalableTargetARN"]) == (2, 3, arn)
    assert target["RoleARN"].endswith("/AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency")
    scaling.tag_resource(ResourceARN=arn, Tags={"size": "l"})
    scaling.untag_resource(ResourceARN=arn, TagKeys=["team"])
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"size": "l"}
    scaling.deregister_scalable_target(**PLACE)
    assert scaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"] == []
    assert provisioned(cloud) == 2  # What is there stays.
    assert refused(scaling.deregister_scalable_target, **PLACE)[0] == "ObjectNotFoundException"


def test_a_policy_scales_out_after_three_minutes_above_its_target_and_in_after_fifteen_below(
    cloud: Cloud, scaling: Any, tmp_path: Any
) -> None:
    """ "Target tracking scaling policies": the two alarms of a policy."""
    scaling.register_scalable_target(**PLACE, MinCapacity=1, MaxCapacity=10)
    scaling.put_scaling_policy(
        **PLACE, PolicyName="p", PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration=TRACKING
    )
    begun(cloud)
    minutes(cloud, 1)
    with working(cloud, 3, tmp_path):
        minutes(cloud, 2)
        assert provisioned(cloud) == 1
        minutes(cloud, 1)
        eventually(lambda: provisioned(cloud) == 6)  # Three at work are half of it.
    with working(cloud, 1, tmp_path):
        minutes(cloud, 15)
        assert provisioned(cloud) == 6  # The first of these minutes saw the three.
        minutes(cloud, 2)
        eventually(lambda: provisioned(cloud) == 2)
    activities = scaling.describe_scaling_activities(ServiceNamespace="lambda")["ScalingActivities"]
    assert [one["Description"] for one in activities] == [
        f"Setting provisioned concurrency to {count}." for count in (2, 6, 1)
    ]
    assert {one["StatusCode"] for one in activities} == {"Successful"}


def test_where_nothing_is_invoked_there_is_no_metric_and_nothing_is_scaled(cloud: Cloud, scaling: Any) -> None:
    scaling.register_scalable_target(**PLACE, MinCapacity=1, MaxCapacity=10)
    cloud.client("lambda").put_provisioned_concurrency_config(
        FunctionName="f", Qualifier="live", ProvisionedConcurrentExecutions=3
    )
    scaling.put_scaling_policy(
        **PLACE, PolicyName="p", PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration=TRACKING
    )
    minutes(cloud, 20)
    assert provisioned(cloud) == 3


@pytest.mark.parametrize("held", [{"DisableScaleIn": True}, {"ScaleInCooldown": 3600}])
def test_a_policy_that_may_not_scale_in_does_not(cloud: Cloud, scaling: Any, tmp_path: Any, held: Any) -> None:
    scaling.register_scalable_target(**PLACE, MinCapacity=1, MaxCapacity=10)
    scaling.put_scaling_policy(
        **PLACE, PolicyName="p", PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={**TRACKING, **held},
    )  # fmt: skip
    with working(cloud, 2, tmp_path):
        minutes(cloud, 4)
        eventually(lambda: provisioned(cloud) == 4)
    with working(cloud, 1, tmp_path):
        minutes(cloud, 20)
        assert provisioned(cloud) == 4


def test_scheduled_actions_move_the_bounds_and_the_capacity_with_them(cloud: Cloud, scaling: Any) -> None:
    """ "Scheduled scaling"."""
    scaling.register_scalable_target(**PLACE, MinCapacity=1, MaxCapacity=1)
    now = datetime.fromtimestamp(cloud.clock.now_ms() / 1000, UTC)
    day = f"{now:%Y-%m-%d}"
    put = scaling.put_scheduled_action
    put(**PLACE, ScheduledActionName="up", Schedule=f"at({day}T{now.hour + 1:02}:30:00)",
        ScalableTargetAction={"MinCapacity": 3, "MaxCapacity": 5})  # fmt: skip
    put(**PLACE, ScheduledActionName="down", Schedule="rate(2 hours)",
        ScalableTargetAction={"MinCapacity": 0, "MaxCapacity": 0})  # fmt: skip
    cloud.advance(seconds=5400)
    eventually(lambda: provisioned(cloud) == 3)
    [target] = scaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (3, 5)
    cloud.restart()
    cloud.advance(seconds=1800)
    eventually(lambda: provisioned(cloud) == 0)
    [one] = cloud.client("application-autoscaling").describe_scheduled_actions(
        ServiceNamespace="lambda", ScheduledActionNames=["up"]
    )["ScheduledActions"]
    assert one["ScalableTargetAction"] == {"MinCapacity": 3, "MaxCapacity": 5}


def test_a_schedule_in_another_time_zone_follows_its_clocks(cloud: Cloud, scaling: Any) -> None:
    """Also in summer: it is the first half of January where the test begins, and Berlin is an hour ahead of UTC."""
    scaling.register_scalable_target(**PLACE, MinCapacity=0, MaxCapacity=0)
    for name, zone in (("here", {}), ("berlin", {"Timezone": "Europe/Berlin"})):
        scaling.put_scheduled_action(
            **PLACE, ScheduledActionName=name, Schedule="cron(0 12 * * ? *)", **zone,
            ScalableTargetAction={"MinCapacity": len(name), "MaxCapacity": len(name)},
        )  # fmt: skip
    begun = datetime.fromtimestamp(cloud.clock.now_ms() / 1000, UTC)
    noon = begun.replace(hour=11, minute=0, second=0, microsecond=0)
    wait_s = ((noon - begun).total_seconds()) % 86_400
    cloud.advance(seconds=wait_s)
    eventually(lambda: provisioned(cloud) == 6)
    cloud.advance(seconds=3600)
    eventually(lambda: provisioned(cloud) == 4)


def test_suspended_scaling_does_nothing(cloud: Cloud, scaling: Any) -> None:
    scaling.register_scalable_target(
        **PLACE, MinCapacity=1, MaxCapacity=1, SuspendedState={"ScheduledScalingSuspended": True}
    )
    scaling.put_scheduled_action(
        **PLACE, ScheduledActionName="up", Schedule="rate(1 minute)", ScalableTargetAction={"MinCapacity": 2}
    )
    minutes(cloud, 3)
    assert provisioned(cloud) == 1
    scaling.register_scalable_target(**PLACE, MaxCapacity=2, SuspendedState={"ScheduledScalingSuspended": False})
    minutes(cloud, 1)
    eventually(lambda: provisioned(cloud) == 2)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ServiceNamespace": "dynamodb", "ScalableDimension": "dynamodb:table:ReadCapacityUnits"},
         "ValidationException"),
        ({"ResourceId": "function:f"}, "ValidationException"),
        ({"ResourceId": "function:f:gone"}, "ValidationException"),
        ({"MinCapacity": 5}, "ValidationException"),
        ({"MinCapacity": -1}, "ValidationException"),
    ],
)  # fmt: skip
def test_what_cannot_be_scaled_is_refused(scaling: Any, change: Any, code: str) -> None:
    given = {**PLACE, "MinCapacity": 1, "MaxCapacity": 2, **change}
    assert refused(scaling.register_scalable_target, **given)[0] == code


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"PolicyType": "StepScaling"}, "PolicyType StepScaling is not served here"),
        ({"StepScalingPolicyConfiguration": {}}, "does not serve StepScalingPolicyConfiguration"),
        ({"TargetTrackingScalingPolicyConfiguration": {**TRACKING, "TargetValue": 0.95}}, "between 0.1 and 0.9"),
        ({"TargetTrackingScalingPolicyConfiguration": {"TargetValue": 0.5, "CustomizedMetricSpecification": {}}},
         "CustomizedMetricSpecification is not served here"),
        ({"TargetTrackingScalingPolicyConfiguration": {"TargetValue": 0.5}}, "The metric of a policy"),
        ({}, "TargetTrackingScalingPolicyConfiguration is required"),
    ],
)  # fmt: skip
def test_a_policy_that_could_not_be_followed_is_refused(scaling: Any, given: Any, told: str) -> None:
    scaling.register_scalable_target(**PLACE, MinCapacity=0, MaxCapacity=2)
    code, text = refused(scaling.put_scaling_policy, **PLACE, PolicyName="p", **given)
    assert code == "ValidationException" and told in text


@pytest.mark.parametrize(
    "given",
    [
        {"Schedule": "at(2020-01-01T00:00:00)"}, {"Schedule": "at(2020-99-01T00:00:00)"}, {"Schedule": "never"},
        {"Schedule": "rate(1 day)", "Timezone": "Nowhere/Land"}, {"Schedule": "rate(1 day)", "Timezone": "../etc"},
        {"Schedule": "rate(1 day)", "ScalableTargetAction": {}},
    ],
)  # fmt: skip
def test_an_action_that_would_never_be_due_is_refused(scaling: Any, given: Any) -> None:
    scaling.register_scalable_target(**PLACE, MinCapacity=0, MaxCapacity=2)
    action = {"ScheduledActionName": "a", "ScalableTargetAction": {"MinCapacity": 1}, **given}
    assert refused(scaling.put_scheduled_action, **PLACE, **action)[0] == "ValidationException"


def test_policies_and_actions_are_listed_and_deleted(scaling: Any) -> None:
    scaling.register_scalable_target(**PLACE, MinCapacity=0, MaxCapacity=2)
    for name in ("a", "b", "c"):
        scaling.put_scaling_policy(
            **PLACE, PolicyName=name, PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=TRACKING,
        )  # fmt: skip
        scaling.put_scheduled_action(
            **PLACE, ScheduledActionName=name, Schedule="rate(1 day)", ScalableTargetAction={"MinCapacity": 1}
        )
    for operation, member, name in (
        ("describe_scaling_policies", "ScalingPolicies", "PolicyName"),
        ("describe_scheduled_actions", "ScheduledActions", "ScheduledActionName"),
    ):
        pages = list(scaling.get_paginator(operation).paginate(**PLACE, PaginationConfig={"PageSize": 2}))
        assert [len(page[member]) for page in pages] == [2, 1]
        assert sorted(one[name] for page in pages for one in page[member]) == ["a", "b", "c"]
    scaling.delete_scaling_policy(**PLACE, PolicyName="a")
    scaling.delete_scheduled_action(**PLACE, ScheduledActionName="a")
    assert refused(scaling.delete_scaling_policy, **PLACE, PolicyName="a")[0] == "ObjectNotFoundException"
    assert refused(scaling.delete_scheduled_action, **PLACE, ScheduledActionName="a")[0] == "ObjectNotFoundException"
    scaling.deregister_scalable_target(**PLACE)
    assert scaling.describe_scaling_policies(ServiceNamespace="lambda")["ScalingPolicies"] == []
    assert scaling.describe_scheduled_actions(ServiceNamespace="lambda")["ScheduledActions"] == []


def test_a_template_has_a_target_with_its_schedule_and_its_policy(cloud: Cloud) -> None:
    role = "arn:aws:iam::000000000000:role/any"
    function = {"FunctionName": "f", "Code": {"ZipFile": "def handler(event, context): return 1"}, "Role": role,
                "Handler": "index.handler", "Runtime": "python3.11"}  # fmt: skip
    resources: dict[str, Any] = {
        "F": {"Type": "AWS::Lambda::Function", "Properties": function},
        "V": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "F"}}},
        "A": {"Type": "AWS::Lambda::Alias", "Properties": {
            "FunctionName": {"Ref": "F"}, "FunctionVersion": {"Fn::GetAtt": ["V", "Version"]}, "Name": "live",
        }},
        "T": {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "DependsOn": "A", "Properties": {
            **PLACE, "MinCapacity": "1", "MaxCapacity": "4",
            "ScheduledActions": [{
                "ScheduledActionName": "morning", "Schedule": "rate(1 hour)",
                "ScalableTargetAction": {"MinCapacity": "3"},
            }],
        }},
        "P": {"Type": "AWS::ApplicationAutoScaling::ScalingPolicy", "Properties": {
            "PolicyName": "p", "PolicyType": "TargetTrackingScaling", "ScalingTargetId": {"Ref": "T"},
            "TargetTrackingScalingPolicyConfiguration": {**TRACKING, "TargetValue": "0.7"},
        }},
    }  # fmt: skip
    stacks = Stacks(cloud)
    stacks.create(template(Resources=resources))
    assert provisioned(cloud) == 1
    scaling = cloud.client("application-autoscaling")
    [policy] = scaling.describe_scaling_policies(ServiceNamespace="lambda")["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 0.7
    assert stacks.ids()["P"] == policy["PolicyARN"]
    cloud.advance(seconds=3600)
    eventually(lambda: provisioned(cloud) == 3)
    resources["T"]["Properties"] = {**PLACE, "MinCapacity": 2, "MaxCapacity": 2}
    stacks.update(template(Resources=resources))
    assert provisioned(cloud) == 2
    assert scaling.describe_scheduled_actions(ServiceNamespace="lambda")["ScheduledActions"] == []
    stacks.delete()
    assert scaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"] == []
