"""Events on their way to targets: a durable queue, tried again until a target takes one or its retry policy is used up.

EventBridge User Guide, "How EventBridge retries delivering events" and "Using dead-letter queues to process undelivered
events".
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.deliveries import Again, Deliveries
from fogbank.aws.service import ServiceError
from fogbank.kernel.telemetry import current_trace
from fogbank.primitives import queues
from fogbank.primitives.queues import Message

if TYPE_CHECKING:
    from fogbank.aws.service import Ask, House
    from fogbank.kernel.store import Tx

_QUEUE = "events:deliveries"
# "By default, EventBridge retries sending the event for 24 hours and up to 185 times with an exponential back off and
# jitter": here without the jitter.
_RETRIES_MAX, _AGE_MAX_S = 185, 86_400
_BACK_OFF_FIRST_MS, _BACK_OFF_MAX_MS = 1000, 600_000
# "For errors that result from missing permissions to a target, or if a target resource no longer exists, no retry
# attempts will happen".
_FINAL = {
    "AccessDeniedException": "NO_PERMISSIONS", "ResourceNotFoundException": "NO_RESOURCE",
    "QueueDoesNotExist": "NO_RESOURCE", "InvalidParameterValue": "INVALID_PARAMETER",
    "MissingParameter": "INVALID_PARAMETER", "RequestTooLargeException": "INVALID_PARAMETER",
    "InvalidRequestContentException": "INVALID_PARAMETER", "NotFoundException": "NO_RESOURCE",
    "InvalidParameterException": "INVALID_PARAMETER",
}  # fmt: skip


def put(
    tx: Tx, event_id: str, place: dict[str, str], target: dict[str, Any], event: str, body: str, now_ms: int,
    *, trace: str = "",
) -> None:  # fmt: skip
    """From here on it is not lost. `place` is the rule's: its account, region and ARN. What belongs to no `trace`
    begins one."""
    trace = trace or event_id.replace("-", "")
    notes = {"place": place, "target": target, "event": event, "attempt": 1, "trace": trace}
    queues.send(tx, _QUEUE, Message(event_id, body, due_ms=now_ms, sent_ms=now_ms, notes=notes))


async def run(house: House) -> None:
    """The loop that sends them."""
    await Deliveries(house, _QUEUE, partial(_one, house)).run()


async def _one(house: House, message: Message) -> Again | None:
    place, target = message.notes["place"], message.notes["target"]
    current_trace.set(message.notes["trace"])
    ask = house.caller(place["account"], place["region"], "events.amazonaws.com", source_arn=place["rule"])
    try:
        await _send(ask, target, message.body)
    except ServiceError as error:
        now_ms = house.clock.now_ms()
        condition = used_up(message, error, now_ms)
        if condition is None:
            return Again(now_ms + _back_off_ms(message), {**message.notes, "attempt": message.notes["attempt"] + 1})
        await _give_up(house, ask, message, error, condition)
    return None


async def _send(ask: Ask, target: dict[str, Any], body: str) -> None:
    arn = target["Arn"]
    if arn.split(":")[2] == "lambda":
        await ask("lambda", "Invoke", FunctionName=arn, InvocationType="Event", Payload=body.encode())
        return
    if arn.split(":")[2] == "sns":
        await ask("sns", "Publish", TopicArn=arn, Message=body)
        return
    group = target.get("SqsParameters", {}).get("MessageGroupId")
    await _to_queue(ask, arn, body, **({"MessageGroupId": group} if group else {}))


async def _to_queue(ask: Ask, arn: str, body: str, **options: Any) -> None:
    _, _, _, region, account, name = arn.split(":")
    await ask(
        "sqs",
        "SendMessage",
        QueueUrl=f"https://sqs.{region}.amazonaws.com/{account}/{name}",
        MessageBody=body,
        **options,
    )


def used_up(message: Message, error: ServiceError, now_ms: int) -> str | None:
    """Which condition ends the retries: "" where the error itself does; None if there is to be one more."""
    if error.code in _FINAL:
        return ""
    policy = message.notes["target"].get("RetryPolicy", {})
    if message.notes["attempt"] > policy.get("MaximumRetryAttempts", _RETRIES_MAX):
        return "MaximumRetryAttempts"
    if now_ms + _back_off_ms(message) - message.sent_ms > 1000 * policy.get("MaximumEventAgeInSeconds", _AGE_MAX_S):
        return "MaximumEventAgeInSeconds"
    return None


def _back_off_ms(message: Message) -> int:
    return int(min(_BACK_OFF_FIRST_MS << min(message.notes["attempt"] - 1, 16), _BACK_OFF_MAX_MS))


async def _give_up(house: House, ask: Ask, message: Message, error: ServiceError, condition: str) -> None:
    place, target = message.notes["place"], message.notes["target"]
    house.telemetry.error(
        "a rule's target refused its event", rule=place["rule"], target=target["Arn"], error=str(error)
    )
    dead_letters = target.get("DeadLetterConfig", {}).get("Arn")
    if not dead_letters:
        return
    told = {
        "RULE_ARN": place["rule"], "TARGET_ARN": target["Arn"], "ERROR_MESSAGE": error.message[:1024] or "none",
        "ERROR_CODE": _FINAL.get(error.code, "THROTTLING" if error.status == 429 else "INTERNAL_ERROR"),
    }  # fmt: skip
    if condition:
        told |= {"EXHAUSTED_RETRY_CONDITION": condition, "RETRY_ATTEMPTS": str(message.notes["attempt"] - 1)}
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in told.items()}
    try:
        await _to_queue(ask, dead_letters, message.notes["event"], MessageAttributes=attributes)
    except ServiceError as refused:
        house.telemetry.error("a dead-letter queue refused an event", rule=place["rule"], error=str(refused))


def as_text(event: dict[str, Any]) -> str:
    return orjson.dumps(event).decode()
