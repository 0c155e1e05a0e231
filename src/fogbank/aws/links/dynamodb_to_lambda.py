"""DynamoDB Streams → AWS Lambda: the event, and how far a function got.

Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.aws.service import ServiceError
from fogbank.aws.services.dynamodbstreams import records
from fogbank.aws.services.lambda_ import sources
from fogbank.primitives import patterns, streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fogbank.functions.triggers.model import Told
    from fogbank.functions.triggers.stream_link import GivenUp
    from fogbank.kernel.store import Tx
    from fogbank.primitives.streams import Record, Stream

# StartingPosition: "AT_TIMESTAMP is supported only for Amazon Kinesis streams, Amazon DocumentDB, Amazon MSK, and
# self-managed Apache Kafka."
FEEDS = sources.Feeding("dynamodb", "stream", batch=100, positions=("TRIM_HORIZON", "LATEST"))


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


def encode(_settings: dict[str, Any], stream: Stream, _shard: str, batch: Sequence[Record]) -> dict[str, Any]:
    return {"Records": [records.event_record(stream, record) for record in batch]}


def key(record: Record) -> bytes:
    """What has the same keys stays in order: the changes of an item."""
    return records.keys(record)


def trace(record: Record) -> str:
    return records.trace(record)


def window(
    _settings: dict[str, Any], stream: Stream, _shard: str, begin_ms: int, end_ms: int, state: Any,
    *, final: bool, early: bool,
) -> dict[str, Any]:  # fmt: skip
    return sources.window(stream.notes["shard"], stream.name, begin_ms, end_ms, state, final=final, early=early)


def done_until(settings: dict[str, Any], batch: Sequence[Record], reply: Any) -> int | None:
    """ "Reporting batch item failures": all before the lowest sequence number named is done with. Where a number is not
    of the batch, nothing is: what was not handed over must not be passed over."""
    if not settings.get("report_batch_item_failures") or reply is None:
        return None
    first, last = batch[0].position, batch[-1].position
    nothing = first - 1
    try:
        named = [failure["itemIdentifier"] for failure in reply.get("batchItemFailures") or []]
    except (AttributeError, KeyError, TypeError):
        return nothing
    if not named:
        return None
    positions = [records.position_of(str(name)) for name in named]
    known = [position for position in positions if position is not None and first <= position <= last]
    return min(known) - 1 if len(known) == len(positions) else nothing


def gave_up(settings: dict[str, Any], stream: Stream, given_up: GivenUp) -> Told | None:
    """Where the records are, not they themselves, by which they can be read again."""
    first, last = given_up.records[0], given_up.records[-1]
    info = {
        "shardId": stream.notes["shard"],
        "startSequenceNumber": records.sequence_number(first.position),
        "endSequenceNumber": records.sequence_number(last.position),
        "approximateArrivalOfFirstRecord": sources.iso_second(first.at_ms),
        "approximateArrivalOfLastRecord": sources.iso_second(last.at_ms),
        "batchSize": len(given_up.records),
        "streamArn": settings["stream_arn"],
    }
    event = encode(settings, stream, given_up.shard, given_up.records)
    return sources.discarded(settings, given_up, {"DDBStreamBatchInfo": info}, event)


def parents(_stream: Stream, _shard: str) -> Sequence[str]:
    return ()


def ended(stream: Stream, _shard: str) -> bool:
    return bool(stream.closed_ms)
