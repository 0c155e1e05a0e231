"""DynamoDB Streams → AWS Lambda: the event, and how far a function got.

Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import ServiceError
from fogbank.aws.services.dynamodbstreams import records
from fogbank.primitives import patterns, streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fogbank.kernel.store import Tx
    from fogbank.primitives.streams import Record, Stream


def source(tx: Tx, arn: str) -> tuple[str, dict[str, Any]]:
    """The primitive stream behind an ARN; raises the service's own error if there is none."""
    found = streams.find(tx, arn)
    if found is None:
        raise ServiceError("InvalidParameterValueException", f"Stream not found: {arn}")
    return found.id, {}


def wanted(settings: dict[str, Any], stream: Stream, record: Record) -> bool:
    """ "Filtering with DynamoDB": patterns of the record as the function would see it."""
    filters = settings.get("filters")
    if not filters:
        return True
    event = records.event_record(stream, record)
    return any(patterns.compiled(text)(event) for text in filters)


def encode(_settings: dict[str, Any], stream: Stream, batch: Sequence[Record]) -> dict[str, Any]:
    return {"Records": [records.event_record(stream, record) for record in batch]}


def trace(record: Record) -> str:
    return records.trace(record)


def done_until(settings: dict[str, Any], batch: Sequence[Record], reply: Any) -> int | None:
    """ "Reporting batch item failures": all before the lowest sequence number named is done with."""
    if not settings.get("report_batch_item_failures") or reply is None:
        return None
    nothing = batch[0].position - 1
    try:
        named = [failure["itemIdentifier"] for failure in reply.get("batchItemFailures") or []]
    except (AttributeError, KeyError, TypeError):
        return nothing
    if not named:
        return None
    positions = [records.position_of(str(name)) for name in named]
    known = [position for position in positions if position is not None and position >= batch[0].position]
    return min(known) - 1 if len(known) == len(positions) else nothing


def gave_up(
    settings: dict[str, Any], stream: Stream, function: str, batch: Sequence[Record], why: str, tries: int, now_ms: int
) -> tuple[str, dict[str, Any]] | None:
    """ "Capturing discarded batches": where they are, not the records themselves, is sent to the destination."""
    destination = settings.get("on_failure")
    if not destination:
        return None
    first, last = batch[0], batch[-1]
    record = {
        "requestContext": {
            "functionArn": function,
            "condition": why,
            "approximateInvokeCount": tries,
        },
        "version": "1.0",
        "timestamp": _iso(now_ms),
        "DDBStreamBatchInfo": {
            "shardId": stream.notes["shard"],
            "startSequenceNumber": records.sequence_number(first.position),
            "endSequenceNumber": records.sequence_number(last.position),
            "approximateArrivalOfFirstRecord": _iso(first.at_ms),
            "approximateArrivalOfLastRecord": _iso(last.at_ms),
            "batchSize": len(batch),
            "streamArn": settings["stream_arn"],
        },
    }
    return destination, record


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
