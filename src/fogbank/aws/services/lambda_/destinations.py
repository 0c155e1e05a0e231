"""Where records of what became of events go: which ARNs may be set, and how each kind of target is told.

A target is reached by the public operation that a customer would call; one whose service is not served here is refused
when it is set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from fogbank.aws.service import Ask, House


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a target is told, with what only some kinds of targets ask for."""

    body: str
    at_ms: int
    new_id: Callable[[], str]
    account: str  # The function's, and its region: for a target whose ARN names none.
    region: str
    attributes: Mapping[str, Any] = field(default_factory=dict)  # Of a message.
    folder: str = ""  # Of an object: "aws/lambda/async/shop".
    detail_type: str = ""  # Of an event, and what it is about.
    resources: tuple[str, ...] = ()


# The operation by which each kind of target is reached.
_OPERATIONS = {
    "sqs": "SendMessage", "sns": "Publish", "lambda": "Invoke", "events": "PutEvents", "s3": "PutObject",
}  # fmt: skip
ON_SUCCESS = ("sqs", "sns", "lambda", "events")
ON_FAILURE = (*ON_SUCCESS, "s3")  # "Amazon S3 – An Amazon S3 bucket (on failure only)".
OF_BATCHES = ("sqs", "sns", "s3")  # "Retain discarded records": what an event source mapping may have.
DEAD_LETTERS = ("sqs", "sns")


def check(house: House, arn: str, kinds: tuple[str, ...]) -> None:
    """Whether it can be reached: told when it is set, not when the first event is lost on it."""
    kind = _kind(arn)
    if kind not in kinds or (kind in ("sqs", "sns") and arn.endswith(".fifo")):
        # "Capturing records of Lambda asynchronous invocations": standard queues and topics only.
        raise ServiceError("InvalidParameterValueException", f"The destination ARN {arn} is invalid.")
    if not house.serves(kind, _OPERATIONS[kind]):
        told = f"The destination ARN {arn} is invalid: {kind} {_OPERATIONS[kind]} is not served here."
        raise ServiceError("InvalidParameterValueException", told)


async def send(house: House, arn: str, parcel: Parcel) -> None:
    """Raises `ServiceError` if the target is gone, or does not take it."""
    _, _, _, region, account, _ = arn.split(":", 5)
    ask = house.caller(account or parcel.account, region or parcel.region, "lambda.amazonaws.com")
    await _SENDERS[_kind(arn)](ask, arn, parcel)


def _kind(arn: str) -> str:
    parts = arn.split(":", 5)
    return parts[2] if len(parts) == 6 else ""


async def _to_queue(ask: Ask, arn: str, parcel: Parcel) -> None:
    _, _, _, region, account, name = arn.split(":", 5)
    url = f"https://sqs.{region}.amazonaws.com/{account}/{name}"
    await ask("sqs", "SendMessage", QueueUrl=url, MessageBody=parcel.body, MessageAttributes=dict(parcel.attributes))


async def _to_topic(ask: Ask, arn: str, parcel: Parcel) -> None:
    await ask("sns", "Publish", TopicArn=arn, Message=parcel.body, MessageAttributes=dict(parcel.attributes))


async def _to_function(ask: Ask, arn: str, parcel: Parcel) -> None:
    await ask("lambda", "Invoke", FunctionName=arn, InvocationType="Event", Payload=parcel.body.encode())


async def _to_bus(ask: Ask, arn: str, parcel: Parcel) -> None:
    """ "Lambda passes the invocation record as the detail in the PutEvents call"."""
    entry = {
        "Source": "lambda", "DetailType": parcel.detail_type, "Detail": parcel.body, "EventBusName": arn,
        "Resources": [*parcel.resources, arn], "Time": datetime.fromtimestamp(parcel.at_ms / 1000, UTC),
    }  # fmt: skip
    answer = await ask("events", "PutEvents", Entries=[entry])
    if answer["FailedEntryCount"]:
        [told] = answer["Entries"]
        raise ServiceError(told["ErrorCode"], told["ErrorMessage"])


async def _to_bucket(ask: Ask, arn: str, parcel: Parcel) -> None:
    """ "The S3 object name uses the following naming convention"."""
    at = datetime.fromtimestamp(parcel.at_ms / 1000, UTC)
    key = f"{parcel.folder}/{at:%Y/%m/%d}/{at:%Y-%m-%dT%H.%M.%S}-{parcel.new_id()}"
    bucket = arn.rpartition(":")[2]
    await ask("s3", "PutObject", Bucket=bucket, Key=key, Body=parcel.body.encode(), ContentType="application/json")


_SENDERS: dict[str, Callable[[Ask, str, Parcel], Awaitable[None]]] = {
    "sqs": _to_queue, "sns": _to_topic, "lambda": _to_function, "events": _to_bus, "s3": _to_bucket,
}  # fmt: skip
