"""A Kinesis stream feeds a function. Lambda Developer Guide, "Using Lambda with Kinesis"."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.code import deploy
from tests.support.refusals import refused
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/clicks"
FIRST = "shardId-000000000000"
# Puts what it gets into a queue; fails for what says so, and names it.
TELLS = """
import base64, boto3, json
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl="SEEN", MessageBody=json.dumps(event))
    records = [record["kinesis"] for record in event["Records"]]
    failed = [one["sequenceNumber"] for one in records if base64.b64decode(one["data"]) == b"bad"]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}
"""


@pytest.fixture
def kinesis(cloud: Cloud) -> Any:
    client = cloud.client("kinesis")
    client.create_stream(StreamName="clicks", ShardCount=1)
    return client


@pytest.fixture
def seen(cloud: Cloud) -> str:
    return str(cloud.client("sqs").create_queue(QueueName="seen")["QueueUrl"])


def connect(cloud: Cloud, seen: str, arn: str = ARN, **settings: Any) -> Any:
    functions = cloud.client("lambda")
    deploy(functions, "f", TELLS.replace("SEEN", seen))
    return functions.create_event_source_mapping(
        FunctionName="f", EventSourceArn=arn, **{"StartingPosition": "TRIM_HORIZON", **settings}
    )


def put(kinesis: Any, *texts: str, hash_key: str = "0") -> list[str]:
    return [
        kinesis.put_record(StreamName="clicks", Data=text.encode(), PartitionKey="p", ExplicitHashKey=hash_key)[
            "SequenceNumber"
        ]
        for text in texts
    ]


def told(cloud: Cloud, url: str) -> Any:
    """The next event that came to the queue, with time going by."""

    def look() -> Any:
        cloud.advance(seconds=1)
        return cloud.client("sqs").receive_message(QueueUrl=url).get("Messages")

    [message] = eventually(look)
    cloud.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return json.loads(message["Body"])


def data(event: Any) -> list[str]:
    return [base64.b64decode(record["kinesis"]["data"]).decode() for record in event["Records"]]


def test_the_event_is_the_documented_one(cloud: Cloud, kinesis: Any, seen: str) -> None:
    began_ms = cloud.clock.now_ms()
    [number] = put(kinesis, "hello")
    ended_ms = cloud.clock.now_ms()
    connect(cloud, seen)
    [record] = told(cloud, seen)["Records"]
    assert began_ms <= round(record["kinesis"].pop("approximateArrivalTimestamp") * 1000) <= ended_ms
    assert record.pop("invokeIdentityArn").startswith("arn:aws:iam::000000000000:role/")
    assert record == {
        "kinesis": {
            "kinesisSchemaVersion": "1.0", "partitionKey": "p", "sequenceNumber": number, "data": "aGVsbG8=",
        },
        "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": f"{FIRST}:{number}",
        "eventName": "aws:kinesis:record", "awsRegion": "us-east-1", "eventSourceARN": ARN,
    }  # fmt: skip


def test_latest_begins_behind_what_is_there(cloud: Cloud, kinesis: Any, seen: str) -> None:
    put(kinesis, "before")
    connect(cloud, seen, StartingPosition="LATEST")
    put(kinesis, "after")
    assert data(told(cloud, seen)) == ["after"]


@pytest.mark.parametrize("position", ["TRIM_HORIZON", "LATEST"])
def test_after_a_split_the_children_are_read_whole_and_after_their_parent(
    cloud: Cloud, kinesis: Any, seen: str, position: str
) -> None:
    connect(cloud, seen, StartingPosition=position, BatchSize=1)
    put(kinesis, "parent 1", "parent 2")
    kinesis.split_shard(StreamName="clicks", ShardToSplit=FIRST, NewStartingHashKey=str(1 << 127))
    put(kinesis, "low")
    put(kinesis, "high", hash_key=str((1 << 128) - 1))
    events = [data(told(cloud, seen)) for _ in range(4)]
    assert events[:2] == [["parent 1"], ["parent 2"]] and sorted(events[2:]) == [["high"], ["low"]]


def split(kinesis: Any) -> None:
    kinesis.split_shard(StreamName="clicks", ShardToSplit=FIRST, NewStartingHashKey=str(1 << 127))


def test_latest_means_now_also_in_shards_whose_parents_are_read_first(cloud: Cloud, kinesis: Any, seen: str) -> None:
    put(kinesis, "parent")
    split(kinesis)
    put(kinesis, "before")
    connect(cloud, seen, StartingPosition="LATEST", BatchSize=1)
    put(kinesis, "after")
    assert data(told(cloud, seen)) == ["after"]


def test_a_moment_to_begin_at_holds_in_all_shards(cloud: Cloud, kinesis: Any, seen: str) -> None:
    put(kinesis, "parent")
    split(kinesis)
    put(kinesis, "before")
    cloud.advance(seconds=60)
    since = cloud.clock.now_ms() / 1000 - 5
    put(kinesis, "after")
    connect(cloud, seen, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=since, BatchSize=1)
    assert data(told(cloud, seen)) == ["after"]


def test_all_shards_of_a_stream_are_read(cloud: Cloud, kinesis: Any, seen: str) -> None:
    kinesis.update_shard_count(StreamName="clicks", TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    put(kinesis, "low")
    put(kinesis, "high", hash_key=str((1 << 128) - 1))
    connect(cloud, seen)
    assert sorted(data(told(cloud, seen)) + data(told(cloud, seen))) == ["high", "low"]


def test_a_reply_that_names_a_record_behind_its_batch_passes_nothing_over(
    cloud: Cloud, kinesis: Any, seen: str
) -> None:
    numbers = put(kinesis, "1", "2", "3")
    names = f'{{"batchItemFailures": [{{"itemIdentifier": "{numbers[2]}"}}]}}'
    code = TELLS.replace("SEEN", seen).partition("    records = ")[0] + f"    return {names}\n"
    functions = cloud.client("lambda")
    deploy(functions, "f", code)
    functions.create_event_source_mapping(
        FunctionName="f", EventSourceArn=ARN, StartingPosition="TRIM_HORIZON", BatchSize=1, MaximumRetryAttempts=0,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )  # fmt: skip
    assert [data(told(cloud, seen)) for _ in range(3)] == [["1"], ["2"], ["3"]]


def test_what_a_reply_names_as_failed_comes_again_with_what_follows_it(cloud: Cloud, kinesis: Any, seen: str) -> None:
    put(kinesis, "good", "bad", "later")
    connect(cloud, seen, FunctionResponseTypes=["ReportBatchItemFailures"], MaximumRetryAttempts=1)
    assert [data(told(cloud, seen)) for _ in range(2)] == [["good", "bad", "later"], ["bad", "later"]]


def test_a_batch_that_is_given_up_is_told_of_with_its_place(cloud: Cloud, kinesis: Any, seen: str) -> None:
    lost = cloud.client("sqs").create_queue(QueueName="lost")["QueueUrl"]
    target = {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:lost"}}
    numbers = put(kinesis, "bad")
    connect(
        cloud, seen, FunctionResponseTypes=["ReportBatchItemFailures"], MaximumRetryAttempts=0, DestinationConfig=target
    )
    place = told(cloud, lost)["KinesisBatchInfo"]
    assert (place["shardId"], place["startSequenceNumber"], place["batchSize"]) == (FIRST, numbers[0], 1)
    assert place["streamArn"] == ARN


def test_patterns_mean_the_json_that_was_put(cloud: Cloud, kinesis: Any, seen: str) -> None:
    put(kinesis, '{"kind": "view"}', '{"kind": "buy"}', "no json")
    criteria = {"Filters": [{"Pattern": json.dumps({"data": {"kind": ["buy"]}})}]}
    connect(cloud, seen, FilterCriteria=criteria)
    assert data(told(cloud, seen)) == ['{"kind": "buy"}']


def test_a_consumer_may_be_the_source_and_a_stream_that_is_not_there_may_not(
    cloud: Cloud, kinesis: Any, seen: str
) -> None:
    made = kinesis.register_stream_consumer(StreamARN=ARN, ConsumerName="fan")["Consumer"]["ConsumerARN"]
    put(kinesis, "hello")
    connect(cloud, seen, made)
    [record] = told(cloud, seen)["Records"]
    assert record["eventSourceARN"] == made
    functions = cloud.client("lambda")
    assert refused(
        functions.create_event_source_mapping, FunctionName="f", EventSourceArn=f"{ARN}-gone", StartingPosition="LATEST"
    )[0] == "InvalidParameterValueException"  # fmt: skip
