"""A change as DynamoDB Streams tells it: through its own API and, slightly otherwise, in the event a function gets."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

import msgspec

from fogbank.primitives.documents import decode_change

if TYPE_CHECKING:
    from fogbank.primitives.documents import Change
    from fogbank.primitives.streams import Record, Stream

_SEQUENCE_BASE: Final = 10**20  # "SequenceNumber: … Minimum length of 21".
_decode: Any = msgspec.msgpack.Decoder().decode


def sequence_number(position: int) -> str:
    return str(_SEQUENCE_BASE + position)


def position_of(sequence: str) -> int | None:
    """None for what is no sequence number of ours."""
    number = int(sequence) - _SEQUENCE_BASE if sequence.isdecimal() else -1
    return number if number >= 0 else None


def api_record(stream: Stream, record: Record) -> dict[str, Any]:
    """As GetRecords answers; binaries are bytes, the time is a number of seconds."""
    change = decode_change(record.data)
    answer = _record(stream, record, change)
    if change.by == "expiry":
        answer["userIdentity"] = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
    return answer


def event_record(stream: Stream, record: Record) -> dict[str, Any]:
    """As in a function's event ("Using AWS Lambda with Amazon DynamoDB", example event): all of it JSON."""
    change = decode_change(record.data)
    answer = _record(stream, record, change)
    change_part = answer["dynamodb"]
    change_part["ApproximateCreationDateTime"] = float(record.at_ms // 1000)
    for image in ("Keys", "NewImage", "OldImage"):
        if image in change_part:
            change_part[image] = {name: _json(value) for name, value in change_part[image].items()}
    if change.by == "expiry":
        answer["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    answer["eventSourceARN"] = stream.name
    return answer


def keys(record: Record) -> bytes:
    """Of the item that changed, as they are kept."""
    return decode_change(record.data).keys


def trace(record: Record) -> str:
    return decode_change(record.data).trace


def _record(stream: Stream, record: Record, change: Change) -> dict[str, Any]:
    part: dict[str, Any] = {
        "ApproximateCreationDateTime": record.at_ms // 1000,
        "Keys": _decode(change.keys),
        "SequenceNumber": sequence_number(record.position),
        "SizeBytes": change.size_bytes,
        "StreamViewType": stream.notes["view"],
    }
    if change.new:
        part["NewImage"] = _decode(change.new)
    if change.old:
        part["OldImage"] = _decode(change.old)
    return {
        "eventID": change.id,
        "eventName": change.kind,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": stream.name.split(":")[3],
        "dynamodb": part,
    }


def _json(value: dict[str, Any]) -> dict[str, Any]:
    """Binaries as base64, at any depth."""
    kind, content = next(iter(value.items()))
    if kind == "B":
        return {"B": b64encode(content).decode()}
    if kind == "BS":
        return {"BS": [b64encode(member).decode() for member in content]}
    if kind == "L":
        return {"L": [_json(element) for element in content]}
    if kind == "M":
        return {"M": {name: _json(inner) for name, inner in content.items()}}
    return value
