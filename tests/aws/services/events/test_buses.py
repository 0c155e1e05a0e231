"""Events on buses and the rules that mean them. EventBridge User Guide, "Amazon EventBridge event patterns"."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.code import deploy
from tests.support.refusals import refused
from tests.support.stacks import Stacks, queue, template
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

HERE = "us-east-1:000000000000"
ORDER = {"Source": "shop", "DetailType": "order", "Detail": json.dumps({"n": 7}), "Resources": ["arn:x"]}


@pytest.fixture
def events(cloud: Cloud) -> Any:
    return cloud.client("events")


def listen(cloud: Cloud, name: str, pattern: Any, **rule: Any) -> str:
    """A rule whose target is a queue of the same name; the answer is the queue's URL."""
    events = cloud.client("events")
    url = cloud.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    bus = {"EventBusName": rule["EventBusName"]} if "EventBusName" in rule else {}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern), **rule)
    events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{HERE}:{name}"}], **bus)
    return str(url)


def heard(cloud: Cloud, url: str, count: int = 1) -> list[Any]:
    found: list[Any] = []

    def look() -> bool:
        taken = cloud.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        found.extend(json.loads(message["Body"]) for message in taken)
        return len(found) >= count

    eventually(look)
    return found


def test_an_event_comes_whole_to_the_targets_of_the_rules_that_mean_it(cloud: Cloud, events: Any) -> None:
    """ "Amazon EventBridge event structure"."""
    url = listen(cloud, "orders", {"source": ["shop"], "detail": {"n": [{"numeric": [">", 5]}]}})
    others = listen(cloud, "others", {"source": ["bank"]})
    at = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    small = {**ORDER, "Detail": json.dumps({"n": 1})}
    answer = events.put_events(Entries=[{**ORDER, "Time": at}, small])
    assert answer["FailedEntryCount"] == 0
    [event] = heard(cloud, url)
    assert event == {
        "version": "0", "id": answer["Entries"][0]["EventId"], "detail-type": "order", "source": "shop",
        "account": "000000000000", "time": "2027-01-02T03:04:05Z", "region": "us-east-1", "resources": ["arn:x"],
        "detail": {"n": 7},
    }  # fmt: skip
    assert "Messages" not in cloud.client("sqs").receive_message(QueueUrl=others)


def test_a_rule_that_is_disabled_means_nothing(cloud: Cloud, events: Any) -> None:
    quiet = listen(cloud, "quiet", {"source": ["shop"]}, State="DISABLED")
    url = listen(cloud, "loud", {"source": ["shop"]})
    events.put_events(Entries=[ORDER])
    heard(cloud, url)
    assert "Messages" not in cloud.client("sqs").receive_message(QueueUrl=quiet)
    events.enable_rule(Name="quiet")
    events.put_events(Entries=[ORDER])
    assert len(heard(cloud, quiet)) == 1


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({**ORDER, "Source": "aws.s3"}, "NotAuthorizedForSourceException"),
        ({**ORDER, "Detail": "no json"}, "MalformedDetail"),
        ({**ORDER, "Detail": "[]"}, "MalformedDetail"),
        ({"Source": "shop", "Detail": "{}"}, "InvalidArgument"),
    ],
)
def test_an_entry_that_is_not_taken_is_told_of_and_the_others_are(
    cloud: Cloud, events: Any, entry: Any, code: str
) -> None:
    url = listen(cloud, "orders", {"source": [{"prefix": ""}]})
    answer = events.put_events(Entries=[entry, ORDER])
    assert (answer["FailedEntryCount"], answer["Entries"][0]["ErrorCode"]) == (1, code)
    assert [event["id"] for event in heard(cloud, url)] == [answer["Entries"][1]["EventId"]]


def test_a_bus_of_ones_own_has_rules_of_its_own(cloud: Cloud, events: Any) -> None:
    arn = events.create_event_bus(Name="orders", Description="all of them", Tags=[{"Key": "a", "Value": "b"}])["EventBusArn"]  # fmt: skip  # noqa: E501
    assert arn == f"arn:aws:events:{HERE}:event-bus/orders"
    default, own = listen(cloud, "same", {"source": ["shop"]}), listen(cloud, "other", {"source": ["shop"]}, EventBusName=arn)  # fmt: skip  # noqa: E501
    events.put_rule(Name="same", EventBusName="orders", EventPattern='{"source": ["nobody"]}')  # No other of that name.
    assert events.describe_rule(Name="same")["EventPattern"] == '{"source": ["shop"]}'
    events.put_events(Entries=[{**ORDER, "EventBusName": "orders"}, {**ORDER, "EventBusName": arn}])
    assert len(heard(cloud, own, 2)) == 2
    assert "Messages" not in cloud.client("sqs").receive_message(QueueUrl=default)
    names = [rule["Name"] for rule in events.list_rules(EventBusName="orders")["Rules"]]
    assert names == ["other", "same"]
    rule = events.describe_rule(Name="other", EventBusName="orders")
    assert (rule["Arn"], rule["EventBusName"]) == (f"arn:aws:events:{HERE}:rule/orders/other", "orders")
    assert [bus["Name"] for bus in events.list_event_buses()["EventBuses"]] == ["default", "orders"]
    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    assert refused(events.delete_event_bus, Name="orders")[0] == "ValidationException"
    events.remove_targets(Rule="other", EventBusName="orders", Ids=["q"])
    for name in ("other", "same"):
        events.delete_rule(Name=name, EventBusName="orders")
    events.delete_event_bus(Name="orders")
    assert refused(events.describe_event_bus, Name="orders")[0] == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"EventPattern": "no json"}, "InvalidEventPatternException"),
        ({"EventPattern": '{"source": "no list"}'}, "InvalidEventPatternException"),
        ({}, "ValidationException"),
        ({"EventPattern": '{"source": ["x"]}', "EventBusName": "gone"}, "ResourceNotFoundException"),
        ({"ScheduleExpression": "rate(1 minute)", "EventBusName": "own"}, "ValidationException"),
    ],
)
def test_a_rule_that_could_mean_nothing_is_refused(events: Any, given: Any, code: str) -> None:
    events.create_event_bus(Name="own")
    assert refused(events.put_rule, Name="r", **given)[0] == code


def test_a_pattern_can_be_tried(events: Any) -> None:
    event = {
        "id": "1", "account": "1", "source": "shop", "time": "2027-01-01T00:00:00Z", "region": "r", "resources": [],
        "detail-type": "order", "detail": {},
    }  # fmt: skip
    tried = [
        events.test_event_pattern(EventPattern=json.dumps({"source": [name]}), Event=json.dumps(event))["Result"]
        for name in ("shop", "bank")
    ]
    assert tried == [True, False]


def test_a_rule_and_its_bus_stand_in_a_template(cloud: Cloud) -> None:
    stacks = Stacks(cloud)
    target = {"Id": "q", "Arn": {"Fn::GetAtt": ["Q", "Arn"]}}
    rule = {"EventBusName": {"Ref": "B"}, "EventPattern": {"source": ["shop"]}, "Targets": [target], "Name": "r"}
    stacks.create(template(Resources={
        "B": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "orders"}},
        "R": {"Type": "AWS::Events::Rule", "Properties": rule},
        "Q": queue(QueueName="q"),
    }))  # fmt: skip
    assert (stacks.ids()["B"], stacks.ids()["R"]) == ("orders", "orders|r")
    cloud.client("events").put_events(Entries=[{**ORDER, "EventBusName": "orders"}])
    url = cloud.client("sqs").get_queue_url(QueueName="q")["QueueUrl"]
    assert heard(cloud, url)[0]["source"] == "shop"
    stacks.delete()
    assert [bus["Name"] for bus in cloud.client("events").list_event_buses()["EventBuses"]] == ["default"]


@pytest.mark.parametrize("bus", ["default", "results"])
def test_what_became_of_an_asynchronous_event_comes_to_a_bus(cloud: Cloud, events: Any, bus: str) -> None:
    """Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations", EventBridge."""
    functions = cloud.client("lambda")
    if bus != "default":
        events.create_event_bus(Name=bus)
    url = listen(cloud, "told", {"source": ["lambda"]}, EventBusName=bus)
    arn = deploy(functions, "f", "def handler(event, context):\n    return 1 / event['n']\n")
    to = f"arn:aws:events:{HERE}:event-bus/{bus}"
    functions.put_function_event_invoke_config(
        FunctionName="f", MaximumRetryAttempts=0,
        DestinationConfig={"OnSuccess": {"Destination": to}, "OnFailure": {"Destination": to}},
    )  # fmt: skip
    for number in (1, 0):
        functions.invoke(FunctionName="f", InvocationType="Event", Payload=json.dumps({"n": number}))
    good, bad = sorted(heard(cloud, url, 2), key=lambda event: event["detail-type"], reverse=True)
    assert good["detail-type"] == "Lambda Function Invocation Result - Success"
    assert bad["detail-type"] == "Lambda Function Invocation Result - Failure"
    assert (good["source"], good["resources"]) == ("lambda", [f"{arn}:$LATEST", to])
    assert (good["detail"]["responsePayload"], good["detail"]["requestPayload"]) == (1.0, {"n": 1})
    assert bad["detail"]["responsePayload"]["errorType"] == "ZeroDivisionError"
