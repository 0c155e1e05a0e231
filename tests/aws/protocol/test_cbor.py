"""`application/x-amz-cbor-1.1`: how the SDKs for Java and the Kinesis Client Library speak to Kinesis."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import cbor2
import pytest
import urllib3

from fogbank.aws.protocol import cbor_values

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

TYPE = "application/x-amz-cbor-1.1"


def say(cloud: Cloud, operation: str, body: Any) -> tuple[int, Any]:
    headers = {"x-amz-target": f"Kinesis_20131202.{operation}", "content-type": TYPE}
    content = body if isinstance(body, bytes) else cbor2.dumps(body)
    answer = urllib3.request("POST", cloud.url, body=content, headers=headers, retries=False)
    assert answer.headers["content-type"] == TYPE
    return answer.status, cbor2.loads(answer.data, semantic_decoders={1: lambda number, _: ("ms", number)})


def test_records_are_bytes_and_times_are_tagged_milliseconds_both_ways(cloud: Cloud) -> None:
    assert say(cloud, "CreateStream", {"StreamName": "clicks", "ShardCount": 1})[0] == 200
    put = {"StreamName": "clicks", "Data": b"\x00\xff", "PartitionKey": "p"}
    now_ms = cloud.clock.now_ms()
    assert say(cloud, "PutRecord", put)[1]["ShardId"] == "shardId-000000000000"
    asked = {"StreamName": "clicks", "ShardId": "shardId-000000000000", "ShardIteratorType": "AT_TIMESTAMP",
             "Timestamp": cbor2.CBORTag(1, now_ms)}  # fmt: skip
    iterator = say(cloud, "GetShardIterator", asked)[1]["ShardIterator"]
    [record] = say(cloud, "GetRecords", {"ShardIterator": iterator})[1]["Records"]
    assert record["Data"] == b"\x00\xff"
    assert record["ApproximateArrivalTimestamp"] == ("ms", now_ms)


def test_errors_come_in_the_same_encoding(cloud: Cloud) -> None:
    status, told = say(cloud, "DescribeStream", {"StreamName": "none"})
    assert (status, told["__type"]) == (400, "ResourceNotFoundException")
    assert told["message"] == "Stream none under account 000000000000 not found."
    assert say(cloud, "Nothing", {})[1]["__type"] == "UnknownOperationException"


@pytest.mark.parametrize("body", [b"\xa1", b"\x81" * 100_000, b"\xd8\x1c\x81\xd8\x1d\x00", b"\xc4\x82\x39\x1f\xff\x03"])
def test_what_is_no_cbor_of_the_protocol_is_refused_and_named_so(cloud: Cloud, body: bytes) -> None:
    status, told = say(cloud, "DescribeStream", body)
    assert (status, told["__type"]) == (400, "SerializationException")


def test_a_time_without_its_tag_is_a_number_and_refused(cloud: Cloud) -> None:
    assert say(cloud, "CreateStream", {"StreamName": "clicks", "ShardCount": 1})[0] == 200
    asked = {"StreamName": "clicks", "ShardId": "shardId-000000000000", "ShardIteratorType": "AT_TIMESTAMP"}
    status, told = say(cloud, "GetShardIterator", asked | {"Timestamp": cloud.clock.now_ms()})
    assert (status, told["__type"]) == (400, "SerializationException")


@pytest.mark.parametrize(("dialect", "number"), [(cbor_values.AMZ, 1_787_036_486_712), (cbor_values.RPC_V2, 1.5)])
def test_the_two_dialects_tell_times_in_their_own_units(dialect: str, number: float) -> None:
    at = datetime.fromtimestamp(number / 1000 if dialect == cbor_values.AMZ else number, UTC)
    written = cbor_values.dumps({"at": at, "left": None}, dialect)
    assert written == cbor2.dumps({"at": cbor2.CBORTag(1, number)})
    assert cbor_values.loads(written, dialect) == {"at": at}
