"""Deploys: what fails is undone, what is cut is gone on with, and who comes at the same time is told."""

from __future__ import annotations

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fogbank.aws.stacks.deployer import Deployer
from tests.support.cloud import Cloud
from tests.support.stacks import QUEUE, Stacks, queue, template
from tests.support.waiting import eventually

BAD = queue(DelaySeconds=901)
HANDLE = {"Type": "AWS::CloudFormation::WaitConditionHandle"}


def waits(**more: Any) -> dict[str, Any]:
    """A resource that stays in progress until something is sent to its handle."""
    properties = {"Handle": {"Ref": "Handle"}, "Timeout": "600"}
    return {"Type": "AWS::CloudFormation::WaitCondition", "Properties": properties, **more}


def attributes(cloud: Cloud, url: str) -> dict[str, str]:
    found = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return dict(found["Attributes"])


def queues(cloud: Cloud) -> list[str]:
    return list(cloud.client("sqs").list_queues().get("QueueUrls", []))


def tags(cloud: Cloud, url: str) -> dict[str, str]:
    return dict(cloud.client("sqs").list_queue_tags(QueueUrl=url).get("Tags", {}))


def test_all_that_failed_is_named_in_one_sentence(stacks: Stacks) -> None:
    stacks.create(template(Resources={"A": BAD, "B": BAD, "C": QUEUE}), ends="ROLLBACK_COMPLETE")
    [told] = [reason for reason in stacks.reasons() if "Rollback requested by user." in reason]
    assert told == "The following resource(s) failed to create: [A, B]. Rollback requested by user."


def test_an_update_that_fails_puts_back_what_it_changed_made_and_replaced(cloud: Cloud, stacks: Stacks) -> None:
    stacks.create(template(Resources={"Changed": queue(DelaySeconds=1), "Replaced": queue(QueueName="one")}))
    before = stacks.ids()
    resources = {
        "Changed": queue(DelaySeconds=2), "Replaced": queue(QueueName="two"), "New": QUEUE,
        "Bad": {**BAD, "DependsOn": ["Changed", "Replaced", "New"]},
    }  # fmt: skip
    stacks.update(template(Resources=resources), ends="UPDATE_ROLLBACK_COMPLETE")
    assert stacks.ids() == before
    assert attributes(cloud, before["Changed"])["DelaySeconds"] == "1"
    assert sorted(queues(cloud)) == sorted(before.values())
    stack = [status for name, status in stacks.events() if name == "app"]
    assert stack[-3:] == [
        "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"
    ]  # fmt: skip


def test_what_a_condition_brought_in_goes_again_when_the_update_fails(cloud: Cloud, stacks: Stacks) -> None:
    """The logical id was in the template before: that does not mean that the resource was there."""

    def body(**more: Any) -> str:
        return template(
            Parameters={"On": {"Type": "String"}}, Conditions={"IsOn": {"Fn::Equals": [{"Ref": "On"}, "yes"]}},
            Resources={"Always": QUEUE, "Sometimes": {**QUEUE, "Condition": "IsOn"}, **more},
        )  # fmt: skip

    stacks.create(body(), Parameters=[{"ParameterKey": "On", "ParameterValue": "no"}])
    bad = {**BAD, "DependsOn": "Sometimes"}
    stacks.update(
        body(Bad=bad), ends="UPDATE_ROLLBACK_COMPLETE", Parameters=[{"ParameterKey": "On", "ParameterValue": "yes"}]
    )
    assert stacks.ids().keys() == {"Always"} and len(queues(cloud)) == 1


def test_a_changed_deletion_policy_does_not_outlive_the_update_that_failed(cloud: Cloud, stacks: Stacks) -> None:
    stacks.create(template(Resources={"Q": QUEUE}))
    kept = {**QUEUE, "DeletionPolicy": "Retain"}
    stacks.update(template(Resources={"Q": kept, "Bad": {**BAD, "DependsOn": "Q"}}), ends="UPDATE_ROLLBACK_COMPLETE")
    stacks.delete()
    assert queues(cloud) == []


def test_tags_of_the_stack_reach_its_resources_when_they_change_and_go_back_when_that_fails(
    cloud: Cloud, stacks: Stacks
) -> None:
    """UpdateStack, Tags: "CloudFormation also propagates these tags to supported resources in the stack"."""
    stacks.create(template(Resources={"Q": QUEUE}), Tags=[{"Key": "team", "Value": "a"}])
    [url] = queues(cloud)
    stacks.update(template(Resources={"Q": QUEUE}), Tags=[{"Key": "team", "Value": "b"}])
    assert tags(cloud, url) == {"team": "b"}
    worse = template(Resources={"Q": QUEUE, "Bad": {**BAD, "DependsOn": "Q"}})
    stacks.update(worse, ends="UPDATE_ROLLBACK_COMPLETE", Tags=[{"Key": "other", "Value": "c"}])
    assert tags(cloud, url) == {"team": "b"}


def test_a_resource_whose_name_is_given_cannot_be_replaced_under_that_name(cloud: Cloud, stacks: Stacks) -> None:
    """User Guide, "Understand update behaviors of stack resources": names that are given must be given anew."""

    def table(key: str) -> dict[str, Any]:
        return {"Type": "AWS::DynamoDB::Table", "Properties": {
            "TableName": "things", "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"}],
        }}  # fmt: skip

    stacks.create(template(Resources={"T": table("id")}))
    stacks.update(template(Resources={"T": table("other")}), ends="UPDATE_ROLLBACK_COMPLETE")
    assert any(
        "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename things and "
        "update the stack again." in reason for reason in stacks.reasons()
    )  # fmt: skip
    assert cloud.client("dynamodb").describe_table(TableName="things")["Table"]["KeySchema"][0]["AttributeName"] == "id"


def test_what_has_the_name_already_is_neither_taken_over_nor_deleted(cloud: Cloud, stacks: Stacks) -> None:
    cloud.client("s3").create_bucket(Bucket="mine")
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "mine"}}
    stacks.create(template(Resources={"B": bucket}), ends="ROLLBACK_COMPLETE")
    assert any("mine already exists" in reason for reason in stacks.reasons())
    cloud.client("s3").head_bucket(Bucket="mine")


def test_a_resource_of_another_type_needs_another_logical_id(stacks: Stacks) -> None:
    stacks.create(template(Resources={"Q": QUEUE}))
    with pytest.raises(ClientError, match="Update of resource type is not permitted"):
        stacks.update(template(Resources={"Q": {"Type": "AWS::S3::Bucket"}}))


def test_what_was_replaced_is_kept_where_its_policy_says_so(cloud: Cloud, stacks: Stacks) -> None:
    """UpdateReplacePolicy attribute."""
    stacks.create(template(Resources={"Q": {**queue(QueueName="one"), "UpdateReplacePolicy": "Retain"}}))
    stacks.update(template(Resources={"Q": {**queue(QueueName="two"), "UpdateReplacePolicy": "Retain"}}))
    assert sorted(url.rpartition("/")[2] for url in queues(cloud)) == ["one", "two"]
    assert ("Q", "DELETE_SKIPPED") in stacks.events()
    stacks.update(template(Resources={"Q": queue(QueueName="three")}))
    assert sorted(url.rpartition("/")[2] for url in queues(cloud)) == ["one", "three"]


def test_on_failure_says_what_becomes_of_what_was_made(cloud: Cloud, stacks: Stacks) -> None:
    """CreateStack, OnFailure: DO_NOTHING, ROLLBACK, or DELETE."""
    body = template(Resources={"Q": QUEUE, "Bad": {**BAD, "DependsOn": "Q"}})
    stacks.create(body, ends="CREATE_FAILED", OnFailure="DO_NOTHING")
    assert len(queues(cloud)) == 1
    stacks.client.rollback_stack(StackName="app")
    stacks.ended("app", "ROLLBACK_COMPLETE")
    assert queues(cloud) == []
    stacks.delete()
    made = stacks.client.create_stack(StackName="app", TemplateBody=body, OnFailure="DELETE")["StackId"]
    stacks.ended(made, "DELETE_COMPLETE")
    assert queues(cloud) == []


def test_an_update_that_was_left_failed_can_be_mended_or_taken_back(cloud: Cloud, stacks: Stacks) -> None:
    """User Guide, "Choose how to handle failures when provisioning resources"."""
    stacks.create(template(Resources={"Q": queue(DelaySeconds=1)}))
    worse = template(Resources={"Q": queue(DelaySeconds=2), "Bad": {**BAD, "DependsOn": "Q"}})
    stacks.update(worse, ends="UPDATE_FAILED", DisableRollback=True)
    [url] = queues(cloud)
    assert attributes(cloud, url)["DelaySeconds"] == "2"
    stacks.update(worse.replace("901", "902"), ends="UPDATE_FAILED", DisableRollback=True)
    stacks.client.rollback_stack(StackName="app")
    stacks.ended("app", "UPDATE_ROLLBACK_COMPLETE")
    assert attributes(cloud, url)["DelaySeconds"] == "1"
    stacks.update(worse, ends="UPDATE_FAILED", DisableRollback=True)
    stacks.update(worse.replace("901", "900"))
    assert len(queues(cloud)) == 2


def test_a_creation_that_takes_longer_than_it_may_is_rolled_back(cloud: Cloud, stacks: Stacks) -> None:
    """CreateStack, TimeoutInMinutes."""
    body = template(Resources={"Handle": HANDLE, "Waits": waits()})
    stacks.client.create_stack(StackName="app", TemplateBody=body, TimeoutInMinutes=1)
    eventually(lambda: ("Waits", "CREATE_IN_PROGRESS") in stacks.events())
    cloud.advance(seconds=61)
    stacks.ended("app", "ROLLBACK_COMPLETE")


def test_a_stack_in_the_making_can_be_deleted(cloud: Cloud, stacks: Stacks) -> None:
    stacks.client.create_stack(
        StackName="app", TemplateBody=template(Resources={"Q": QUEUE, "Handle": HANDLE, "W": waits()})
    )
    eventually(lambda: ("W", "CREATE_IN_PROGRESS") in stacks.events() and queues(cloud))
    stacks.delete()
    assert queues(cloud) == []


def test_an_update_can_be_cancelled(cloud: Cloud, stacks: Stacks) -> None:
    """User Guide, "Cancel a stack update"."""
    stacks.create(template(Resources={"Q": queue(DelaySeconds=1)}))
    stacks.client.update_stack(
        StackName="app", TemplateBody=template(Resources={"Q": queue(DelaySeconds=2), "Handle": HANDLE, "W": waits()})
    )
    eventually(lambda: ("W", "CREATE_IN_PROGRESS") in stacks.events() and ("Q", "UPDATE_COMPLETE") in stacks.events())
    stacks.client.cancel_update_stack(StackName="app")
    stacks.ended("app", "UPDATE_ROLLBACK_COMPLETE")
    assert attributes(cloud, stacks.ids()["Q"])["DelaySeconds"] == "1"
    with pytest.raises(ClientError, match="CancelUpdateStack cannot be called from current stack status"):
        stacks.client.cancel_update_stack(StackName="app")


def test_of_operations_that_come_at_once_one_is_done_and_the_others_are_told(cloud: Cloud, stacks: Stacks) -> None:
    stacks.create(template(Resources={"Q": queue(DelaySeconds=0)}))

    def change(delay: int) -> str:
        body = template(Resources={"Q": queue(DelaySeconds=delay), "Handle": HANDLE, "W": waits()})
        try:
            cloud.client("cloudformation").update_stack(StackName="app", TemplateBody=body)
        except ClientError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(change, range(1, 5)))
    assert told.count("") == 1
    assert sum("state and can not be updated" in one for one in told) == 3


def test_a_stack_that_cannot_be_put_back_is_gone_on_with_or_without_what_hinders_it(
    cloud: Cloud, stacks: Stacks
) -> None:
    """User Guide, "Continue rolling back an update"."""
    stacks.create(template(Resources={"Q": queue(DelaySeconds=1)}))
    body = template(Resources={"Q": queue(DelaySeconds=2), "Handle": HANDLE, "W": waits(DependsOn="Q")})
    stacks.client.update_stack(StackName="app", TemplateBody=body)
    eventually(lambda: ("W", "CREATE_IN_PROGRESS") in stacks.events())
    cloud.client("sqs").delete_queue(QueueUrl=stacks.ids()["Q"])  # Behind the stack's back.
    stacks.client.cancel_update_stack(StackName="app")
    stacks.ended("app", "UPDATE_ROLLBACK_FAILED")
    with pytest.raises(ClientError, match="UPDATE_ROLLBACK_FAILED state and can not be updated"):
        stacks.update(template(Resources={"Q": QUEUE}))
    stacks.client.continue_update_rollback(StackName="app", ResourcesToSkip=["Q"])
    stacks.ended("app", "UPDATE_ROLLBACK_COMPLETE")


def test_a_deletion_that_fails_goes_on_without_what_hinders_it(cloud: Cloud, stacks: Stacks) -> None:
    """DeleteStack, RetainResources: "For stacks in the DELETE_FAILED state"."""
    stacks.create(template(Resources={"B": {"Type": "AWS::S3::Bucket"}, "Q": QUEUE}))
    bucket = stacks.ids()["B"]
    cloud.client("s3").put_object(Bucket=bucket, Key="k", Body=b"")
    with pytest.raises(ClientError, match="only when the stack is in the DELETE_FAILED state"):
        stacks.client.delete_stack(StackName="app", RetainResources=["B"])
    stacks.client.delete_stack(StackName="app")
    stacks.ended("app", "DELETE_FAILED")
    stacks.delete(RetainResources=["B"])
    cloud.client("s3").head_bucket(Bucket=bucket)


def test_a_deploy_that_is_cut_is_rolled_back_after_the_restart(cloud: Cloud, stacks: Stacks) -> None:
    body = template(Resources={"Q": QUEUE, "Handle": HANDLE, "W": waits(DependsOn="Q")})
    stacks.client.create_stack(StackName="app", TemplateBody=body)
    eventually(lambda: ("W", "CREATE_IN_PROGRESS") in stacks.events())
    cloud.restart()
    again = Stacks(cloud)
    again.ended("app", "ROLLBACK_COMPLETE")
    assert queues(cloud) == [] and any("interrupted" in reason for reason in again.reasons())


def test_an_update_that_is_cut_and_may_not_roll_back_can_be_gone_on_with(cloud: Cloud, stacks: Stacks) -> None:
    stacks.create(template(Resources={"Q": QUEUE}))
    body = template(Resources={"Q": queue(DelaySeconds=2), "Handle": HANDLE, "W": waits(DependsOn="Q")})
    stacks.client.update_stack(StackName="app", TemplateBody=body, DisableRollback=True)
    eventually(lambda: ("W", "CREATE_IN_PROGRESS") in stacks.events())
    cloud.restart()
    again = Stacks(cloud)
    again.ended("app", "UPDATE_FAILED")
    again.update(template(Resources={"Q": queue(DelaySeconds=3)}))
    assert attributes(cloud, again.ids()["Q"])["DelaySeconds"] == "3"


def test_a_stack_policy_keeps_updates_away_from_what_it_protects(cloud: Cloud, stacks: Stacks) -> None:
    """User Guide, "Prevent updates to stack resources"."""
    policy = {"Statement": [
        {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "LogicalResourceId/Q"},
    ]}  # fmt: skip
    stacks.create(template(Resources={"Q": QUEUE, "R": QUEUE}), StackPolicyBody=json.dumps(policy))
    assert json.loads(stacks.client.get_stack_policy(StackName="app")["StackPolicyBody"]) == policy
    body = template(Resources={"Q": queue(DelaySeconds=5), "R": QUEUE})
    stacks.update(body, ends="UPDATE_ROLLBACK_COMPLETE")
    assert any("Action denied by stack policy: Statement [#2] does not allow [Update:Modify] for resource "
               "[LogicalResourceId/Q]" in reason for reason in stacks.reasons())  # fmt: skip
    once = {"Statement": [{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}]}
    stacks.update(body, StackPolicyDuringUpdateBody=json.dumps(once))
    stacks.update(template(Resources={"R": QUEUE}), ends="UPDATE_ROLLBACK_COMPLETE")
    assert stacks.ids().keys() == {"Q", "R"}


def test_the_same_request_sent_again_makes_no_second_stack(stacks: Stacks) -> None:
    """CreateStack, ClientRequestToken."""
    body = template(Resources={"Q": QUEUE})
    made = stacks.create(body, ClientRequestToken="once")
    again = stacks.client.create_stack(StackName="app", TemplateBody=body, ClientRequestToken="once")
    assert again["StackId"] == made["StackId"]
    with pytest.raises(ClientError, match=r"Stack \[app\] already exists"):
        stacks.client.create_stack(StackName="app", TemplateBody=body, ClientRequestToken="twice")
    events = stacks.client.describe_stack_events(StackName="app")["StackEvents"]
    assert {event["ClientRequestToken"] for event in events} == {"once"}


def test_a_protected_stack_is_not_deleted(stacks: Stacks) -> None:
    stacks.create(template(Resources={"Q": QUEUE}), EnableTerminationProtection=True)
    with pytest.raises(ClientError, match="cannot be deleted while TerminationProtection is enabled"):
        stacks.client.delete_stack(StackName="app")
    stacks.client.update_termination_protection(StackName="app", EnableTerminationProtection=False)
    stacks.delete()


def test_nothing_to_do_is_told(stacks: Stacks) -> None:
    body = template(Resources={"Q": QUEUE})
    stacks.create(body)
    with pytest.raises(ClientError, match=r"No updates are to be performed\."):
        stacks.update(body)


def test_what_fails_after_its_first_step_leaves_nothing_behind(cloud: Cloud, stacks: Stacks) -> None:
    api = {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "half", "Body": {"neither": "swagger"}}}
    table = {"Type": "AWS::DynamoDB::Table", "Properties": {
        "BillingMode": "PAY_PER_REQUEST", "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "TimeToLiveSpecification": {"Enabled": True, "AttributeName": ""},
    }}  # fmt: skip
    stacks.create(template(Resources={"Api": api, "Table": table}), ends="ROLLBACK_COMPLETE")
    assert cloud.client("apigateway").get_rest_apis()["items"] == []
    assert cloud.client("dynamodb").list_tables()["TableNames"] == []


def test_a_log_group_that_is_there_already_is_left_alone(cloud: Cloud, stacks: Stacks) -> None:
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/mine"}}
    stacks.create(template(Resources={"G": group}))
    stacks.create(template(Resources={"G": group}), name="other", ends="ROLLBACK_COMPLETE")
    assert [one["logGroupName"] for one in cloud.client("logs").describe_log_groups()["logGroups"]] == ["/mine"]


def test_a_deploy_that_has_begun_is_not_begun_again_by_what_looks_for_interrupted_ones(
    cloud: Cloud, stacks: Stacks
) -> None:
    body = template(Resources={"Handle": HANDLE, "W": waits()})
    stacks.client.create_stack(StackName="app", TemplateBody=body)
    eventually(lambda: ("W", "CREATE_IN_PROGRESS") in stacks.events())
    cloud.run(cloud.server.house.share(Deployer).resume())
    request = urllib.request.Request(stacks.ids()["Handle"], b'{"Status": "SUCCESS", "UniqueId": "1"}', method="PUT")
    urllib.request.urlopen(request)
    stacks.ended("app", "CREATE_COMPLETE")
