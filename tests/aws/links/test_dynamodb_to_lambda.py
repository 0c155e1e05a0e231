"""A table's stream feeds a function. Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB"."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.code import deploy
from tests.support.refusals import refused
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

FAILS = "def handler(event, context):\n    raise ValueError('no')\n"
# Puts every event into a queue, and counts records into the state of its window.
TELLS = (
    "import boto3, json\n"
    "def handler(event, context):\n"
    "    boto3.client('sqs').send_message(QueueUrl='SEEN', MessageBody=json.dumps(event))\n"
    "    state = event.get('state', {})\n"
    "    return {'state': {'n': state.get('n', 0) + len(event['Records'])}}\n"
)
SQS = "arn:aws:sqs:us-east-1:000000000000:"


@pytest.fixture
def stream(cloud: Cloud) -> str:
    table = cloud.client("dynamodb").create_table(
        TableName="items", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )["TableDescription"]  # fmt: skip
    return str(table["LatestStreamArn"])


@pytest.fixture
def seen(cloud: Cloud) -> str:
    return str(cloud.client("sqs").create_queue(QueueName="seen")["QueueUrl"])


def put(cloud: Cloud, *ids: str) -> None:
    for one in ids:
        cloud.client("dynamodb").put_item(TableName="items", Item={"id": {"S": one}})


def connect(cloud: Cloud, stream: str, source: str, **settings: Any) -> Any:
    functions = cloud.client("lambda")
    deploy(functions, "f", source)
    return functions.create_event_source_mapping(
        FunctionName="f", EventSourceArn=stream, **{"StartingPosition": "TRIM_HORIZON", **settings}
    )


def told(cloud: Cloud, url: str) -> Any:
    """The next event that came to the queue, with time going by."""

    def look() -> Any:
        cloud.advance(seconds=1)
        return cloud.client("sqs").receive_message(QueueUrl=url).get("Messages")

    [message] = eventually(look)
    cloud.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return json.loads(message["Body"])


def test_a_batch_that_is_given_up_is_told_of_with_the_place_where_it_lies(cloud: Cloud, stream: str) -> None:
    """ "Retain discarded records": the shard and the sequence numbers, by which the records can be read again."""
    lost = cloud.client("sqs").create_queue(QueueName="lost")["QueueUrl"]
    made = connect(
        cloud, stream, FAILS, MaximumRetryAttempts=1, DestinationConfig={"OnFailure": {"Destination": f"{SQS}lost"}}
    )
    put(cloud, "1")
    record = told(cloud, lost)
    assert re.fullmatch(r"[0-9a-f-]{36}", record["requestContext"].pop("requestId"))
    assert record["requestContext"] == {
        "functionArn": made["FunctionArn"], "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 2,
    }  # fmt: skip
    assert record["responseContext"] == {
        "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled",
    }  # fmt: skip
    assert record["version"] == "1.0" and "payload" not in record
    place = record["DDBStreamBatchInfo"]
    streams = cloud.client("dynamodbstreams")
    [shard] = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]
    assert (place["shardId"], place["streamArn"], place["batchSize"]) == (shard["ShardId"], stream, 1)
    iterator = streams.get_shard_iterator(
        StreamArn=place["streamArn"], ShardId=place["shardId"], ShardIteratorType="AT_SEQUENCE_NUMBER",
        SequenceNumber=place["startSequenceNumber"],
    )["ShardIterator"]  # fmt: skip
    [found] = streams.get_records(ShardIterator=iterator, Limit=1)["Records"]
    assert found["dynamodb"]["Keys"] == {"id": {"S": "1"}}
    shown = cloud.client("lambda").get_event_source_mapping(UUID=made["UUID"])
    assert shown["LastProcessingResult"] == "PROBLEM: Function call failed"


def test_a_bucket_is_given_the_whole_event_too(cloud: Cloud, stream: str) -> None:
    """ "For Amazon S3 destinations, Lambda also sends the entire invocation record along with the metadata." """
    buckets = cloud.client("s3")
    buckets.create_bucket(Bucket="lost")
    made = connect(
        cloud,
        stream,
        FAILS,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::lost"}},
    )
    put(cloud, "1")
    [found] = eventually(lambda: buckets.list_objects_v2(Bucket="lost").get("Contents"))
    record = json.loads(buckets.get_object(Bucket="lost", Key=found["Key"])["Body"].read())
    shard = record["DDBStreamBatchInfo"]["shardId"]
    name = rf"aws/lambda/{made['UUID']}/{shard}/\d{{4}}/\d\d/\d\d/\d{{4}}-\d\d-\d\dT\d\d\.\d\d\.\d\d-[0-9a-f-]{{36}}"
    assert re.fullmatch(name, found["Key"])
    [event] = json.loads(record["payload"])["Records"]
    assert event["dynamodb"]["Keys"] == {"id": {"S": "1"}}


def test_a_destination_that_is_gone_does_not_hold_up_the_stream(cloud: Cloud, stream: str, seen: str) -> None:
    source = TELLS.replace("SEEN", seen).replace(
        "    boto3", "    if len(event['Records']) < 2: raise OSError\n    boto3"
    )
    connect(
        cloud, stream, source, MaximumRetryAttempts=0, MaximumBatchingWindowInSeconds=1, BatchSize=2,
        DestinationConfig={"OnFailure": {"Destination": f"{SQS}gone"}},
    )  # fmt: skip
    put(cloud, "bad")
    eventually(lambda: (cloud.advance(seconds=1), "could not be told of" in cloud.log.getvalue())[1])
    put(cloud, "a", "b")
    assert len(told(cloud, seen)["Records"]) == 2


def test_a_tumbling_window_hands_on_what_has_been_counted(cloud: Cloud, stream: str, seen: str) -> None:
    """ "Implementing stateful DynamoDB stream processing": the TimeWindowEvent."""
    connect(cloud, stream, TELLS.replace("SEEN", seen), TumblingWindowInSeconds=120, BatchSize=1)
    put(cloud, "a", "b")
    first, second = told(cloud, seen), told(cloud, seen)
    cloud.advance(seconds=120)
    last = told(cloud, seen)
    assert [event["state"] for event in (first, second, last)] == [{}, {"n": 1}, {"n": 2}]
    assert [event["isFinalInvokeForWindow"] for event in (first, second, last)] == [False, False, True]
    assert last["Records"] == [] and not last["isWindowTerminatedEarly"]
    assert first["eventSourceARN"] == stream and first["shardId"].startswith("shardId-")
    ends = [re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:(\d\d):00Z", text) for text in first["window"].values()]
    assert [int(end[1]) % 2 for end in ends if end] == [0, 0]


def test_what_a_mapping_of_a_stream_was_given_is_shown(cloud: Cloud, stream: str) -> None:
    chosen = {
        "ParallelizationFactor": 10, "TumblingWindowInSeconds": 900, "MaximumRecordAgeInSeconds": 60,
        "MaximumRetryAttempts": 3, "BisectBatchOnFunctionError": True, "MaximumBatchingWindowInSeconds": 5,
    }  # fmt: skip
    made = connect(cloud, stream, FAILS, **chosen)
    shown = cloud.client("lambda").get_event_source_mapping(UUID=made["UUID"])
    assert {name: shown[name] for name in chosen} == chosen
    assert (shown["BatchSize"], shown["LastProcessingResult"]) == (100, "No records processed")
    update = cloud.client("lambda").update_event_source_mapping
    assert update(UUID=made["UUID"], TumblingWindowInSeconds=0)["State"] == "Updating"
    assert update(UUID=made["UUID"], Enabled=False)["State"] == "Disabling"
    assert update(UUID=made["UUID"], Enabled=True)["State"] == "Enabling"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1}, "Unsupported starting position"),
        ({"StartingPositionTimestamp": 1}, "StartingPositionTimestamp is given with StartingPosition AT_TIMESTAMP"),
        ({"MaximumRecordAgeInSeconds": 59}, "MaximumRecordAgeInSeconds must be -1, or from 60"),
        ({"ScalingConfig": {"MaximumConcurrency": 2}}, "Unsupported ScalingConfig parameter"),
        ({"ProvisionedPollerConfig": {"MinimumPollers": 1}}, "Unsupported ProvisionedPollerConfig parameter"),
        ({"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:lambda:us-east-1:000000000000:function:f"}}},
         "The destination ARN"),
    ],
)  # fmt: skip
def test_what_a_mapping_of_a_stream_could_not_do_is_refused(cloud: Cloud, stream: str, given: Any, told: str) -> None:
    code, text = refused(connect, cloud=cloud, stream=stream, source=FAILS, **given)
    assert code == "InvalidParameterValueException" and text.startswith(told)


def test_what_is_put_right_after_the_mapping_is_seen_though_it_begins_at_the_latest(
    cloud: Cloud, stream: str, seen: str
) -> None:
    put(cloud, "before")
    connect(cloud, stream, TELLS.replace("SEEN", seen), StartingPosition="LATEST")
    put(cloud, "after")
    [record] = told(cloud, seen)["Records"]
    assert record["dynamodb"]["Keys"] == {"id": {"S": "after"}}


def test_a_stream_goes_on_where_it_was_after_a_restart(cloud: Cloud, stream: str, seen: str) -> None:
    connect(cloud, stream, TELLS.replace("SEEN", seen), BatchSize=1, ParallelizationFactor=4)
    put(cloud, "a", "b")
    before = [told(cloud, seen) for _ in range(2)]
    cloud.restart()
    url = cloud.client("sqs").get_queue_url(QueueName="seen")["QueueUrl"]
    put(cloud, "c")
    event = told(cloud, url)
    ids = [one["Records"][0]["dynamodb"]["Keys"]["id"]["S"] for one in (*before, event)]
    assert sorted(ids[:2]) == ["a", "b"] and ids[2] == "c"
