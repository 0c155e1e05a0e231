"""What targets of rules are sent, and what becomes of what they do not take; told through boto3."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fogbank.aws.service import ServiceError
from fogbank.aws.services.events import deliveries
from fogbank.primitives.queues import Message
from tests.support.cloud import Cloud
from tests.support.code import deploy
from tests.support.refusals import refused
from tests.support.waiting import eventually

RULE = "arn:aws:events:us-east-1:000000000000:rule/tick"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:"


@pytest.fixture
def events(cloud: Cloud) -> Any:
    client = cloud.client("events")
    client.put_rule(Name="tick", ScheduleExpression="rate(1 minute)")
    return client


def received(cloud: Cloud, name: str) -> Any:
    sqs = cloud.client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    [message] = eventually(lambda: sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages"))
    return message


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ({"Input": '{"a": 1}'}, '{"a": 1}'),
        ({"InputPath": "$.detail-type"}, '"Scheduled Event"'),
        ({"InputPath": "$.resources[0]"}, '"arn:aws:events:us-east-1:000000000000:rule/tick"'),
        (
            {"InputTransformer": {"InputPathsMap": {"kind": "$.detail-type", "all": "$.resources"},
                                  "InputTemplate": '{"k": <kind>, "s": "a <kind>", "r": [<all>, 9]}'}},
            f'{{"k": "Scheduled Event", "s": "a Scheduled Event", "r": [["{RULE}"], 9]}}',
        ),
        (
            {"InputTransformer": {"InputTemplate": '{"n": <aws.events.rule-name>, "arn": <aws.events.rule-arn>}'}},
            f'{{"n": "tick", "arn": "{RULE}"}}',
        ),
        (
            {"InputTransformer": {"InputPathsMap": {"kind": "$.detail-type"}, "InputTemplate": '"it is \\"<kind>\\""'}},
            '"it is \\"Scheduled Event\\""',
        ),
        ({"InputTransformer": {"InputPathsMap": {"x": "$.none"}, "InputTemplate": "[<x>]"}}, '[""]'),
        ({"InputTransformer": {"InputPathsMap": {"k": "$.source"}, "InputTemplate": "from <k>"}}, "from aws.events"),
    ],
)  # fmt: skip
def test_a_target_is_sent_what_it_asks_for(cloud: Cloud, events: Any, target: dict[str, Any], body: str) -> None:
    """EventBridge User Guide, "Amazon EventBridge input transformation"."""
    cloud.client("sqs").create_queue(QueueName="q")
    events.put_targets(Rule="tick", Targets=[{"Id": "t", "Arn": f"{QUEUE}q", **target}])
    cloud.advance(seconds=60)
    found = received(cloud, "q")["Body"]
    if body.startswith(("{", "[", '"')):
        assert json.loads(found) == json.loads(body)
    else:
        assert found == body


@pytest.mark.parametrize(
    "given",
    [
        {"Input": "{}", "InputPath": "$.a"},
        {"Input": "{"},
        {"InputPath": "detail"},
        {"InputTransformer": {"InputTemplate": "<unknown>"}},
        {"InputTransformer": {"InputPathsMap": {"a": "$.x"}, "InputTemplate": '{"a": <a>'}},
        {"InputTransformer": {"InputPathsMap": {"AWS.x": "$.x"}, "InputTemplate": "1"}},
        {"DeadLetterConfig": {"Arn": f"{QUEUE}dead.fifo"}},
        {"Arn": f"{QUEUE}q.fifo"},
        {"Id": "a b"},
    ],
)
def test_a_target_that_could_never_be_served_is_refused(events: Any, given: dict[str, Any]) -> None:
    target = {"Id": "t", "Arn": f"{QUEUE}q", **given}
    assert refused(events.put_targets, Rule="tick", Targets=[target])[0] == "ValidationException"


def test_an_event_for_a_target_that_is_gone_goes_to_the_dead_letter_queue_at_once(cloud: Cloud, events: Any) -> None:
    """EventBridge User Guide, "Using dead-letter queues to process undelivered events"."""
    cloud.client("sqs").create_queue(QueueName="dead")
    lost = {"Id": "t", "Arn": f"{QUEUE}gone", "Input": "{}", "DeadLetterConfig": {"Arn": f"{QUEUE}dead"}}
    events.put_targets(Rule="tick", Targets=[lost])
    cloud.advance(seconds=60)
    message = received(cloud, "dead")
    assert json.loads(message["Body"])["detail-type"] == "Scheduled Event"
    told = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert told.pop("ERROR_MESSAGE")
    assert told == {"RULE_ARN": RULE, "TARGET_ARN": f"{QUEUE}gone", "ERROR_CODE": "NO_RESOURCE"}


def test_a_function_whose_policy_does_not_let_the_rule_in_is_not_run(cloud: Cloud, events: Any) -> None:
    cloud.client("sqs").create_queue(QueueName="dead")
    arn = deploy(cloud.client("lambda"), "f", "def handler(event, context):\n    return 1\n")
    events.put_targets(Rule="tick", Targets=[{"Id": "t", "Arn": arn, "DeadLetterConfig": {"Arn": f"{QUEUE}dead"}}])
    cloud.advance(seconds=60)
    assert received(cloud, "dead")["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"


def test_another_bus_has_no_rules(events: Any) -> None:
    for operation, request in (
        ("describe_rule", {"Name": "tick"}),
        ("list_rules", {}),
        ("delete_rule", {"Name": "tick"}),
        ("list_targets_by_rule", {"Rule": "tick"}),
        ("list_rule_names_by_target", {"TargetArn": f"{QUEUE}q"}),
    ):
        code, _ = refused(getattr(events, operation), EventBusName="other", **request)
        assert code == "ResourceNotFoundException", operation
    assert events.describe_rule(Name="tick", EventBusName="default")["State"] == "ENABLED"


def test_targets_and_their_rules_are_listed_in_pages(events: Any) -> None:
    targets = [{"Id": f"t{number}", "Arn": f"{QUEUE}q"} for number in range(3)]
    events.put_targets(Rule="tick", Targets=targets)
    pages = events.get_paginator("list_targets_by_rule").paginate(Rule="tick", PaginationConfig={"PageSize": 2})
    assert [[one["Id"] for one in page["Targets"]] for page in pages] == [["t0", "t1"], ["t2"]]
    events.put_rule(Name="tock", ScheduleExpression="rate(1 day)")
    events.put_targets(Rule="tock", Targets=targets[:1])
    pages = events.get_paginator("list_rule_names_by_target").paginate(
        TargetArn=f"{QUEUE}q", PaginationConfig={"PageSize": 1}
    )
    assert [page["RuleNames"] for page in pages] == [["tick"], ["tock"]]


def test_a_rule_that_is_put_again_keeps_its_tags_and_shows_its_role(events: Any) -> None:
    role = "arn:aws:iam::000000000000:role/any"
    rule = {"Name": "tagged", "ScheduleExpression": "rate(1 day)"}
    arn = events.put_rule(**rule, Tags=[{"Key": "a", "Value": "b"}], RoleArn=role)["RuleArn"]
    assert events.describe_rule(Name="tagged")["RoleArn"] == role
    events.put_rule(**rule, Tags=[{"Key": "c", "Value": "d"}])
    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    assert refused(events.put_rule, **{**rule, "Name": "no spaces"})[0] == "ValidationException"


@pytest.mark.parametrize(
    ("policy", "attempt", "age_s", "condition"),
    [
        ({}, 185, 85_000, None),
        ({}, 186, 0, "MaximumRetryAttempts"),
        ({}, 1, 86_400, "MaximumEventAgeInSeconds"),
        ({"MaximumRetryAttempts": 0}, 1, 0, "MaximumRetryAttempts"),
        ({"MaximumEventAgeInSeconds": 60}, 1, 58, None),
        ({"MaximumEventAgeInSeconds": 60}, 1, 60, "MaximumEventAgeInSeconds"),
    ],
)
def test_a_retry_policy_says_how_often_and_how_long_an_event_is_tried(
    policy: dict[str, int], attempt: int, age_s: int, condition: str | None
) -> None:
    """ "By default, EventBridge retries sending the event for 24 hours and up to 185 times"."""
    message = Message("id", "{}", due_ms=0, sent_ms=0, notes={"target": {"RetryPolicy": policy}, "attempt": attempt})
    busy = ServiceError("ThrottlingException", "Rate exceeded", status=429)
    assert deliveries.used_up(message, busy, 1000 * age_s) == condition


def test_a_topic_may_be_a_target(cloud: Cloud, events: Any) -> None:
    """EventBridge User Guide, "Event bus targets in Amazon EventBridge": Amazon SNS topic."""
    sns, here = cloud.client("sns"), "arn:aws:sns:us-east-1:000000000000:"
    topic = sns.create_topic(Name="told")["TopicArn"]
    cloud.client("sqs").create_queue(QueueName="q")
    sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=f"{QUEUE}q", Attributes={"RawMessageDelivery": "true"}
    )  # fmt: skip
    cloud.client("sqs").create_queue(QueueName="dead")
    gone = {"Id": "gone", "Arn": f"{here}gone", "DeadLetterConfig": {"Arn": f"{QUEUE}dead"}}
    events.put_targets(Rule="tick", Targets=[{"Id": "t", "Arn": topic, "Input": '{"a": 1}'}, gone])
    cloud.advance(seconds=60)
    assert received(cloud, "q")["Body"] == '{"a": 1}'
    assert received(cloud, "dead")["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"
    fifo = {"Id": "f", "Arn": f"{here}t.fifo"}
    assert refused(events.put_targets, Rule="tick", Targets=[fifo])[0] == "ValidationException"
