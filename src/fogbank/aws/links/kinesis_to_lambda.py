"""Kinesis → AWS Lambda: the event, and how far a function got.

Lambda Developer Guide, "Using Lambda with Kinesis".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.service import ServiceError
from fogbank.aws.services.kinesis import records, sequence, state
from fogbank.aws.services.lambda_ import sources
from fogbank.primitives import patterns, streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fogbank.functions.triggers.model import Told
    from fogbank.functions.triggers.stream_link import GivenUp
    from fogbank.kernel.store import Tx
    from fogbank.primitives.streams import Record, Stream

FEEDS = sources.Feeding("kinesis", "stream", batch=100, positions=("TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"))
_ROLE = "arn:aws:iam::{}:role/fogbank"  # Roles are not looked at: whoever reads is this.


def source(tx: Tx, arn: str) -> tuple[str, dict[str, Any]]:
    """The stream behind an ARN, of a stream or of one of its consumers; raises Lambda's error if there is none."""
    found = streams.find(tx, arn.partition("/consumer/")[0])
    if found is None:
        raise ServiceError("InvalidParameterValueException", f"Stream not found: {arn}")
    if "/consumer/" in arn:
        try:
            state.consumer_by_arn(tx, arn)
        except ServiceError as error:
            raise ServiceError("InvalidParameterValueException", error.message) from error
    return found.id, {}


def wanted(settings: dict[str, Any], _stream: Stream, record: Record) -> bool:
    """ "Using event filtering with a Kinesis event source": a pattern of "data" means the JSON that was put, and of
    the other keys what stands beside it."""
    filters = settings.get("filters")
    if not filters:
        return True
    entry = records.decode(record.data)
    seen: dict[str, Any] = {"kinesisSchemaVersion": "1.0", "partitionKey": entry.partition_key}
    try:
        seen["data"] = orjson.loads(entry.data)
    except orjson.JSONDecodeError:
        seen["data"] = entry.data.decode(errors="replace")
    return any(patterns.compiled(text)(seen) for text in filters)


def encode(settings: dict[str, Any], stream: Stream, shard: str, batch: Sequence[Record]) -> dict[str, Any]:
    arn = settings["stream_arn"]
    role = _ROLE.format(state.account_of(stream))
    return {"Records": [records.event_record(stream, shard, record, arn, role) for record in batch]}


def key(record: Record) -> str:
    return records.decode(record.data).partition_key


def trace(record: Record) -> str:
    return records.trace(record)


def window(
    settings: dict[str, Any], _stream: Stream, shard: str, begin_ms: int, end_ms: int, state_: Any,
    *, final: bool, early: bool,
) -> dict[str, Any]:  # fmt: skip
    return sources.window(shard, settings["stream_arn"], begin_ms, end_ms, state_, final=final, early=early)


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
    places = [sequence.read(str(name)) for name in named]
    known = [place.position for place in places if place is not None and first <= place.position <= last]
    return min(known) - 1 if len(known) == len(places) else nothing


def gave_up(settings: dict[str, Any], stream: Stream, given_up: GivenUp) -> Told | None:
    """Where the records are, not they themselves, by which they can be read again."""
    first, last = given_up.records[0], given_up.records[-1]
    numbers = [state.sequence_number(stream, given_up.shard, record.position, record.at_ms) for record in (first, last)]
    info = {
        "shardId": given_up.shard,
        "startSequenceNumber": numbers[0],
        "endSequenceNumber": numbers[1],
        "approximateArrivalOfFirstRecord": sources.iso_second(first.at_ms),
        "approximateArrivalOfLastRecord": sources.iso_second(last.at_ms),
        "batchSize": len(given_up.records),
        "streamArn": settings["stream_arn"],
    }
    event = encode(settings, stream, given_up.shard, given_up.records)
    return sources.discarded(settings, given_up, {"KinesisBatchInfo": info}, event)


def parents(stream: Stream, shard: str) -> Sequence[str]:
    return stream.lineage[shard].parents


def ended(stream: Stream, shard: str) -> bool:
    return stream.has_ended(shard)
