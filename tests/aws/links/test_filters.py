"""Event filtering. Lambda Developer Guide, "Control which events Lambda sends to your function"."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.support.code import deploy
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

# Tells a queue what it has seen.
TELL = (
    "import boto3, json\n"
    "def handler(event, context):\n"
    "    seen = [r.get('body') or r['dynamodb']['Keys']['id']['S'] for r in event['Records']]\n"
    "    boto3.client('sqs').send_message(QueueUrl='SEEN', MessageBody=json.dumps(seen))\n"
)


def criteria(*patterns: dict[str, Any]) -> dict[str, Any]:
    return {"Filters": [{"Pattern": json.dumps(pattern)} for pattern in patterns]}


def seen(cloud: Cloud, url: str, count: int) -> list[str]:
    sqs = cloud.client("sqs")
    found: list[str] = []

    def all_of_them() -> bool:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            found.extend(json.loads(message["Body"]))
        return len(found) >= count

    eventually(all_of_them)
    return sorted(found)


def test_messages_that_no_filter_means_leave_the_queue_unseen(cloud: Cloud) -> None:
    """ "Filtering with Amazon SQS"."""
    sqs, functions = cloud.client("sqs"), cloud.client("lambda")
    url, told = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("q", "seen"))
    deploy(functions, "f", TELL.replace("SEEN", told))
    for number in range(25):
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"n": number, "kind": "odd" if number % 2 else "even"}))
    sqs.send_message(QueueUrl=url, MessageBody="plain text")
    made = functions.create_event_source_mapping(
        FunctionName="f", EventSourceArn="arn:aws:sqs:us-east-1:000000000000:q",
        FilterCriteria=criteria({"body": {"kind": ["odd"], "n": [{"numeric": [">", 20]}]}}, {"body": ["plain text"]}),
    )  # fmt: skip
    assert len(made["FilterCriteria"]["Filters"]) == 2
    wanted = [json.dumps({"n": number, "kind": "odd"}) for number in (21, 23)]
    assert seen(cloud, told, 3) == sorted([*wanted, "plain text"])

    def left() -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()
        return sum(map(int, counts))

    eventually(lambda: left() == 0)


def test_records_of_a_stream_that_no_filter_means_are_passed_over(cloud: Cloud) -> None:
    """ "Filtering with DynamoDB"."""
    dynamodb, functions = cloud.client("dynamodb"), cloud.client("lambda")
    told = cloud.client("sqs").create_queue(QueueName="seen")["QueueUrl"]
    table = dynamodb.create_table(
        TableName="items", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )["TableDescription"]  # fmt: skip
    deploy(functions, "f", TELL.replace("SEEN", told))
    functions.create_event_source_mapping(
        FunctionName="f", EventSourceArn=table["LatestStreamArn"], StartingPosition="TRIM_HORIZON",
        FilterCriteria=criteria({"eventName": ["INSERT"], "dynamodb": {"NewImage": {"kind": {"S": ["good"]}}}}),
    )  # fmt: skip
    for number in range(6):
        item = {"id": {"S": str(number)}, "kind": {"S": "good" if number % 2 else "bad"}}
        dynamodb.put_item(TableName="items", Item=item)
    assert seen(cloud, told, 3) == ["1", "3", "5"]


def test_a_filter_that_is_no_pattern_is_refused_and_an_empty_one_lifts_it(cloud: Cloud) -> None:
    cloud.client("sqs").create_queue(QueueName="q")
    functions = cloud.client("lambda")
    deploy(functions, "f", TELL)
    where = {"FunctionName": "f", "EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:q"}
    with pytest.raises(ClientError, match="Invalid filter pattern definition"):
        functions.create_event_source_mapping(**where, FilterCriteria=criteria({"body": "no list"}))
    made = functions.create_event_source_mapping(**where, FilterCriteria=criteria({"body": ["x"]}), Enabled=False)
    functions.update_event_source_mapping(UUID=made["UUID"], FilterCriteria={})
    assert "Filters" not in functions.get_event_source_mapping(UUID=made["UUID"]).get("FilterCriteria", {})
