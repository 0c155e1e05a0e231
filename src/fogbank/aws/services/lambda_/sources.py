"""What links from event sources have in common: what a mapping of each kind may be given, what streams tell of batches.

A link in `aws/links` that has a `FEEDS` is an event source: mappings find it by the service in their ARN.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.services.lambda_.records import iso
from fogbank.functions.triggers.model import Told

if TYPE_CHECKING:
    from fogbank.functions.triggers.stream_link import GivenUp

# CreateEventSourceMapping, "Request parameters": "(Kinesis, DynamoDB Streams, …)", "(Amazon SQS)" and so on.
OF_STREAMS = (
    "StartingPosition", "StartingPositionTimestamp", "ParallelizationFactor", "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts", "BisectBatchOnFunctionError", "DestinationConfig", "TumblingWindowInSeconds",
)  # fmt: skip
OF_QUEUES = ("ScalingConfig", "ProvisionedPollerConfig")


@dataclass(frozen=True, slots=True)
class Feeding:
    service: str  # As ARNs name it.
    kind: str  # Of trigger: "queue" or "stream".
    batch: int  # BatchSize where none is given.
    positions: tuple[str, ...] = ()  # Of StartingPosition.

    @property
    def foreign(self) -> tuple[str, ...]:
        """Members that a mapping of this kind may not be given."""
        return OF_QUEUES if self.kind == "stream" else OF_STREAMS


def window(
    shard_id: str, arn: str, begin_ms: int, end_ms: int, state: Any, *, final: bool, early: bool
) -> dict[str, Any]:
    """Developer Guide, "Implementing stateful … processing": what a TimeWindowEvent has beside its records."""
    return {
        "window": {"start": iso_second(begin_ms), "end": iso_second(end_ms)},
        "state": state,
        "shardId": shard_id,
        "eventSourceARN": arn,
        "isFinalInvokeForWindow": final,
        "isWindowTerminatedEarly": early,
    }


def discarded(
    settings: dict[str, Any], given_up: GivenUp, place: dict[str, dict[str, Any]], event: dict[str, Any]
) -> Told | None:
    """Of a batch of a stream ("Retain discarded records"): `place` tells where it lies, under the source's own name.
    "For Amazon S3 destinations, Lambda also sends the entire invocation record along with the metadata."
    """
    arn = settings.get("on_failure")
    if not arn:
        return None
    [info] = place.values()
    context: dict[str, Any] = {
        "functionArn": given_up.function,
        "condition": given_up.why,
        "approximateInvokeCount": given_up.tries,
    }
    document: dict[str, Any] = {"requestContext": context}
    if given_up.last is not None:
        context = document["requestContext"] = {"requestId": given_up.last.request_id, **context}
        document["responseContext"] = {
            "statusCode": 200, "executedVersion": given_up.last.version,
            "functionError": given_up.last.outcome.error,
        }  # fmt: skip
    document |= {"version": "1.0", "timestamp": iso(given_up.at_ms), **place}
    if arn.split(":")[2] == "s3":
        document["payload"] = orjson.dumps(event).decode()
    return Told(arn, document, f"aws/lambda/{given_up.trigger_id}/{info['shardId']}")


def iso_second(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
