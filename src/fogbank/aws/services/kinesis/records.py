"""A record as it is kept, as GetRecords answers with it, and as a function's event has it."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import msgspec

from fogbank.aws.protocol import times
from fogbank.aws.services.kinesis import state

if TYPE_CHECKING:
    from fogbank.primitives.streams import Record, Stream


class Entry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    partition_key: str
    data: bytes
    trace: str = ""
    encryption: str = ""  # What the stream's records were to be encrypted with when it came in.


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Entry).decode


def api_record(stream: Stream, shard: str, record: Record) -> dict[str, Any]:
    entry = decode(record.data)
    answer = {
        "SequenceNumber": state.sequence_number(stream, shard, record.position, record.at_ms),
        "ApproximateArrivalTimestamp": times.moment(record.at_ms),
        "Data": entry.data,
        "PartitionKey": entry.partition_key,
    }
    return {**answer, "EncryptionType": entry.encryption} if entry.encryption else answer


def event_record(stream: Stream, shard: str, record: Record, source_arn: str, role: str) -> dict[str, Any]:
    """ "Using AWS Lambda with Amazon Kinesis", the example event."""
    entry = decode(record.data)
    number = state.sequence_number(stream, shard, record.position, record.at_ms)
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": entry.partition_key,
            "sequenceNumber": number,
            "data": b64encode(entry.data).decode(),
            "approximateArrivalTimestamp": record.at_ms / 1000,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard}:{number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": role,
        "awsRegion": stream.name.split(":")[3],
        "eventSourceARN": source_arn,
    }


def trace(record: Record) -> str:
    return decode(record.data).trace
