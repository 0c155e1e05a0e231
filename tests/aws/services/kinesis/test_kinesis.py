"""Kinesis Data Streams, told through boto3. Kinesis Data Streams API Reference and Developer Guide."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from fogbank.aws.services.kinesis.throughput import Throughput
from tests.support.cloud import Cloud
from tests.support.refusals import refused
from tests.support.stacks import Stacks


@pytest.fixture
def kinesis(cloud: Cloud) -> Any:
    client = cloud.client("kinesis")
    client.create_stream(StreamName="clicks", ShardCount=2)
    return client


@pytest.fixture
def still(kinesis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All writes fall into one second, however long they take."""
    take = Throughput.take
    monkeypatch.setattr(
        Throughput, "take", lambda self, stream, shard, size, _now_ms: take(self, stream, shard, size, 0)
    )


def iterator(kinesis: Any, shard: str, kind: str = "TRIM_HORIZON", **more: Any) -> str:
    found = kinesis.get_shard_iterator(StreamName="clicks", ShardId=shard, ShardIteratorType=kind, **more)
    return str(found["ShardIterator"])


def read(kinesis: Any, shard: str, kind: str = "TRIM_HORIZON", **more: Any) -> list[bytes]:
    return [one["Data"] for one in kinesis.get_records(ShardIterator=iterator(kinesis, shard, kind, **more))["Records"]]


def open_shards(kinesis: Any) -> list[dict[str, Any]]:
    return list(kinesis.list_shards(StreamName="clicks", ShardFilter={"Type": "AT_LATEST"})["Shards"])


FIRST, SECOND = "shardId-000000000000", "shardId-000000000001"
LOW, HIGH = "0", str((1 << 128) - 1)


def put(kinesis: Any, data: str, hash_key: str = LOW) -> dict[str, Any]:
    return dict(kinesis.put_record(StreamName="clicks", Data=data.encode(), PartitionKey="p", ExplicitHashKey=hash_key))


# -- streams --


def test_a_stream_is_described_listed_and_gone(cloud: Cloud, kinesis: Any) -> None:
    told = kinesis.describe_stream_summary(StreamName="clicks")["StreamDescriptionSummary"]
    assert (told["StreamStatus"], told["OpenShardCount"], told["RetentionPeriodHours"]) == ("ACTIVE", 2, 24)
    assert told["StreamARN"] == "arn:aws:kinesis:us-east-1:000000000000:stream/clicks"
    shards = kinesis.describe_stream(StreamName="clicks")["StreamDescription"]["Shards"]
    assert [one["ShardId"] for one in shards] == [FIRST, SECOND]
    assert [one["HashKeyRange"]["StartingHashKey"] for one in shards] == [LOW, str(1 << 127)]
    assert refused(kinesis.create_stream, StreamName="clicks", ShardCount=1)[0] == "ResourceInUseException"
    assert kinesis.list_streams()["StreamNames"] == ["clicks"]
    kinesis.delete_stream(StreamName="clicks")
    assert refused(kinesis.describe_stream, StreamName="clicks") == (
        "ResourceNotFoundException", "Stream clicks under account 000000000000 not found.",
    )  # fmt: skip
    kinesis.create_stream(StreamName="clicks", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    assert len(open_shards(kinesis)) == 4 and read(kinesis, FIRST) == []


def test_a_stream_lives_through_a_restart(cloud: Cloud, kinesis: Any) -> None:
    number = put(kinesis, "kept")["SequenceNumber"]
    kinesis.add_tags_to_stream(StreamName="clicks", Tags={"team": "web"})
    cloud.restart()
    again = cloud.client("kinesis")
    assert read(again, FIRST, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=number) == [b"kept"]
    assert again.list_tags_for_stream(StreamName="clicks")["Tags"] == [{"Key": "team", "Value": "web"}]


# -- records --


def test_records_of_a_key_come_in_order_with_growing_numbers(kinesis: Any) -> None:
    answers = [
        kinesis.put_record(StreamName="clicks", Data=str(n).encode(), PartitionKey="user-7") for n in range(5)
    ]  # fmt: skip
    [shard] = {answer["ShardId"] for answer in answers}
    numbers = [int(answer["SequenceNumber"]) for answer in answers]
    assert numbers == sorted(set(numbers)) and all(len(str(number)) == 56 for number in numbers)
    assert read(kinesis, shard) == [b"0", b"1", b"2", b"3", b"4"]


def test_the_five_kinds_of_iterators_begin_where_they_say(cloud: Cloud, kinesis: Any) -> None:
    numbers = [put(kinesis, str(n))["SequenceNumber"] for n in range(2)]
    cloud.advance(seconds=60)
    middle = cloud.clock.now_ms() / 1000 - 30
    numbers.append(put(kinesis, "2")["SequenceNumber"])
    latest = iterator(kinesis, FIRST, "LATEST")
    assert read(kinesis, FIRST) == [b"0", b"1", b"2"]
    assert read(kinesis, FIRST, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[1]) == [b"1", b"2"]
    assert read(kinesis, FIRST, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[1]) == [b"2"]
    assert read(kinesis, FIRST, "AT_TIMESTAMP", Timestamp=middle) == [b"2"]
    put(kinesis, "3")
    answer = kinesis.get_records(ShardIterator=latest)
    assert [one["Data"] for one in answer["Records"]] == [b"3"] and answer["MillisBehindLatest"] == 0


def test_an_iterator_goes_on_behind_what_was_read_and_expires_after_five_minutes(cloud: Cloud, kinesis: Any) -> None:
    for n in range(3):
        put(kinesis, str(n))
    first = kinesis.get_records(ShardIterator=iterator(kinesis, FIRST), Limit=2)
    assert [one["Data"] for one in first["Records"]] == [b"0", b"1"]
    then = kinesis.get_records(ShardIterator=first["NextShardIterator"])
    assert [one["Data"] for one in then["Records"]] == [b"2"]
    cloud.advance(seconds=301)
    assert refused(kinesis.get_records, ShardIterator=then["NextShardIterator"])[0] == "ExpiredIteratorException"
    assert refused(kinesis.get_records, ShardIterator="nonsense") == (
        "InvalidArgumentException", "Invalid ShardIterator.",
    )  # fmt: skip


def test_many_records_are_put_at_once_each_with_its_own_answer(kinesis: Any) -> None:
    records = [{"Data": b"low", "PartitionKey": "a", "ExplicitHashKey": LOW},
               {"Data": b"high", "PartitionKey": "a", "ExplicitHashKey": HIGH}]  # fmt: skip
    answer = kinesis.put_records(StreamName="clicks", Records=records)
    assert answer["FailedRecordCount"] == 0
    assert [one["ShardId"] for one in answer["Records"]] == [FIRST, SECOND]
    assert (read(kinesis, FIRST), read(kinesis, SECOND)) == ([b"low"], [b"high"])


def test_a_shard_takes_a_thousand_records_a_second(cloud: Cloud, kinesis: Any, still: None) -> None:
    records = [{"Data": b"x", "PartitionKey": "a", "ExplicitHashKey": LOW}] * 500
    answers = [kinesis.put_records(StreamName="clicks", Records=records) for _ in range(3)]
    assert [answer["FailedRecordCount"] for answer in answers] == [0, 0, 500]
    assert {one["ErrorCode"] for one in answers[2]["Records"]} == {"ProvisionedThroughputExceededException"}
    assert put(kinesis, "another shard has room", HIGH)["ShardId"] == SECOND


def test_a_shard_takes_a_mebibyte_a_second(kinesis: Any, still: None) -> None:
    put(kinesis, "x" * (1 << 19))
    more = {"StreamName": "clicks", "Data": b"x" * (1 << 19), "PartitionKey": "p", "ExplicitHashKey": LOW}
    assert refused(kinesis.put_record, **more)[0] == "ProvisionedThroughputExceededException"
    assert len(read(kinesis, FIRST)) == 1


def test_a_number_that_was_answered_is_the_one_that_is_read(cloud: Cloud, kinesis: Any) -> None:
    """Also where a request that came a moment earlier is committed later."""
    put(kinesis, "first")
    cloud.clock.offset_ms -= 5000
    number = put(kinesis, "second")["SequenceNumber"]
    cloud.clock.offset_ms += 5000
    found = kinesis.get_records(ShardIterator=iterator(kinesis, FIRST))["Records"]
    assert [one["SequenceNumber"] for one in found][1:] == [number]


def test_a_record_of_more_than_a_mebibyte_is_refused(kinesis: Any) -> None:
    found = refused(kinesis.put_record, StreamName="clicks", Data=b"x" * (1024 * 1024 + 1), PartitionKey="a")
    assert found[0] in ("ValidationException", "InvalidArgumentException")
    assert read(kinesis, FIRST) == read(kinesis, SECOND) == []


def test_records_are_forgotten_when_their_time_is_over(cloud: Cloud, kinesis: Any) -> None:
    put(kinesis, "old")
    kinesis.increase_stream_retention_period(StreamName="clicks", RetentionPeriodHours=48)
    cloud.advance(seconds=30 * 3600)
    assert read(kinesis, FIRST) == [b"old"]
    cloud.advance(seconds=20 * 3600)
    assert read(kinesis, FIRST) == []
    assert refused(kinesis.decrease_stream_retention_period, StreamName="clicks", RetentionPeriodHours=23)[0] == (
        "InvalidArgumentException"
    )


# -- shards --


def test_a_split_ends_a_shard_and_begins_two(kinesis: Any) -> None:
    put(kinesis, "before")
    kinesis.split_shard(StreamName="clicks", ShardToSplit=FIRST, NewStartingHashKey=str(1 << 126))
    last = kinesis.get_records(ShardIterator=iterator(kinesis, FIRST))
    assert [one["Data"] for one in last["Records"]] == [b"before"]
    ended = last if "NextShardIterator" not in last else kinesis.get_records(ShardIterator=last["NextShardIterator"])
    assert "NextShardIterator" not in ended and len(ended["ChildShards"]) == 2
    assert {one["ShardId"] for one in open_shards(kinesis)} == {SECOND, "shardId-000000000002", "shardId-000000000003"}
    assert put(kinesis, "after")["ShardId"] == "shardId-000000000002"
    assert refused(
        kinesis.split_shard, StreamName="clicks", ShardToSplit=FIRST, NewStartingHashKey=str(1 << 125)
    )[0] == "ResourceInUseException"  # fmt: skip


def test_a_merge_makes_one_of_two_adjacent_shards(kinesis: Any) -> None:
    kinesis.merge_shards(StreamName="clicks", ShardToMerge=FIRST, AdjacentShardToMerge=SECOND)
    [whole] = open_shards(kinesis)
    assert (whole["ParentShardId"], whole["AdjacentParentShardId"]) == (FIRST, SECOND)
    assert whole["HashKeyRange"] == {"StartingHashKey": LOW, "EndingHashKey": HIGH}


@pytest.mark.parametrize("count", [1, 3, 4])
def test_shards_are_brought_to_a_number(kinesis: Any, count: int) -> None:
    kinesis.update_shard_count(StreamName="clicks", TargetShardCount=count, ScalingType="UNIFORM_SCALING")
    found = sorted(
        (int(one["HashKeyRange"]["StartingHashKey"]), int(one["HashKeyRange"]["EndingHashKey"]))
        for one in open_shards(kinesis)
    )
    assert len(found) == count and found[0][0] == 0 and found[-1][1] == int(HIGH)
    assert all(one[1] + 1 == then[0] for one, then in itertools.pairwise(found))


# -- consumers, templates --


def test_consumers_are_registered_under_their_names(kinesis: Any) -> None:
    arn = "arn:aws:kinesis:us-east-1:000000000000:stream/clicks"
    made = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="fan")["Consumer"]
    assert made["ConsumerARN"].startswith(f"{arn}/consumer/fan:")
    told = kinesis.describe_stream_consumer(ConsumerARN=made["ConsumerARN"])["ConsumerDescription"]
    assert (told["ConsumerStatus"], told["StreamARN"]) == ("ACTIVE", arn)
    assert refused(kinesis.delete_stream, StreamName="clicks")[0] == "ResourceInUseException"
    kinesis.deregister_stream_consumer(ConsumerARN=made["ConsumerARN"])
    assert kinesis.list_stream_consumers(StreamARN=arn)["Consumers"] == []


def test_a_template_makes_changes_and_deletes_a_stream(cloud: Cloud) -> None:
    def template(**properties: Any) -> str:
        stream = {"Type": "AWS::Kinesis::Stream", "Properties": {"Name": "made", **properties}}
        consumer = {
            "Type": "AWS::Kinesis::StreamConsumer",
            "Properties": {"ConsumerName": "fan", "StreamARN": {"Fn::GetAtt": ["Made", "Arn"]}},
        }
        return json.dumps({"Resources": {"Made": stream, "Fan": consumer}})

    kinesis, stacks = cloud.client("kinesis"), Stacks(cloud)
    stacks.create(template(ShardCount=1, Tags=[{"Key": "a", "Value": "b"}]))
    stacks.update(template(ShardCount=2, RetentionPeriodHours=48))
    told = kinesis.describe_stream_summary(StreamName="made")["StreamDescriptionSummary"]
    assert (told["OpenShardCount"], told["RetentionPeriodHours"], told["ConsumerCount"]) == (2, 48, 1)
    assert kinesis.list_tags_for_stream(StreamName="made")["Tags"] == []
    stacks.delete()
    assert kinesis.list_streams()["StreamNames"] == []
