"""Amazon SQS → AWS Lambda: what a batch looks like as an event, and which of it failed.

Lambda Developer Guide, "Using Lambda with Amazon SQS".
"""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.protocol import lineage as ways
from fogbank.aws.services.lambda_ import sources
from fogbank.aws.services.sqs import message, state
from fogbank.aws.services.sqs.operations.messages import dead_letters, handle
from fogbank.kernel.telemetry import amzn_trace
from fogbank.primitives import patterns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fogbank.kernel.store import Tx
    from fogbank.primitives.queues import Message

FEEDS = sources.Feeding("sqs", "queue", batch=10)


def source(tx: Tx, arn: str) -> tuple[str, dict[str, Any]]:
    """The primitive queue behind an ARN and facts about it; raises the service's own error if there is none."""
    queue = state.by_arn(tx, arn)
    return queue.id, {"visibility_timeout_s": queue.number("VisibilityTimeout"), "fifo": queue.fifo}


def lending(
    tx: Tx, settings: dict[str, Any], now_ms: int
) -> tuple[int, Callable[[Message], bool] | None, Callable[[Tx, Message], None] | None]:
    queue = state.by_arn(tx, settings["queue_arn"])
    return 1000 * queue.number("VisibilityTimeout"), *dead_letters(tx, queue, now_ms)


def wanted(settings: dict[str, Any], message: Message) -> bool:
    """ "Filtering with Amazon SQS": patterns of `body` look into it where it is JSON."""
    filters = settings.get("filters")
    if not filters:
        return True
    record = _record(settings, message)
    with suppress(orjson.JSONDecodeError):
        record["body"] = orjson.loads(record["body"])
    return any(patterns.compiled(text)(record) for text in filters)


def encode(settings: dict[str, Any], batch: Sequence[Message]) -> dict[str, Any]:
    return {"Records": [_record(settings, one) for one in batch]}


def trace(one: Message) -> str:
    """A sender's own trace header goes before the trace of its request."""
    return amzn_trace(one.notes["system"].get("AWSTraceHeader", "")) or str(one.notes.get("trace", ""))


def lineage(batch: Sequence[Message]) -> str:
    """Through which functions the messages have come."""
    return ways.merged(
        str(one.notes.get("lineage", "")) or ways.of(one.notes["system"].get("AWSTraceHeader", "")) for one in batch
    )


def failed(settings: dict[str, Any], batch: Sequence[Message], reply: Any) -> set[str]:
    """ "Reporting batch item failures": an empty or missing list is success; a malformed one, a complete failure."""
    everything = {one.id for one in batch}
    if not settings.get("report_batch_item_failures") or reply is None:
        return set()
    try:
        named = {failure["itemIdentifier"] for failure in reply.get("batchItemFailures") or []}
    except (AttributeError, KeyError, TypeError):
        return everything
    return named if named <= everything else everything


def _record(settings: dict[str, Any], one: Message) -> dict[str, Any]:
    own = one.notes.get("attributes", {})
    record: dict[str, Any] = {
        "messageId": one.id,
        "receiptHandle": handle(one),
        "body": one.body,
        "attributes": message.system_attributes(one),
        "messageAttributes": {name: _attribute(value) for name, value in own.items()},
        "md5OfBody": message.md5_of(one.body),
        "eventSource": "aws:sqs",
        "eventSourceARN": settings["queue_arn"],
        "awsRegion": settings["queue_arn"].split(":")[3],
    }
    if own:
        record["md5OfMessageAttributes"] = message.md5_of_attributes(own)
    return record


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    if "StringValue" in value:
        shown["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        shown["binaryValue"] = b64encode(bytes(value["BinaryValue"])).decode()
    return shown
