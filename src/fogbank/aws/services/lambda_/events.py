"""Asynchronous invocations: a durable queue for each function, tried three times, then handed to where failures go.

Lambda Developer Guide, "How Lambda handles errors and retries with asynchronous invocation": two more attempts, one
minute after the first and two minutes after the second; throttles are tried again for up to six hours.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.service import ServiceError
from fogbank.aws.services.lambda_ import state
from fogbank.aws.services.lambda_.calling import Caller
from fogbank.kernel.store.records import Records
from fogbank.kernel.telemetry import current_trace
from fogbank.primitives import queues
from fogbank.primitives.queues import Message

if TYPE_CHECKING:
    from fogbank.aws.service import Call, House
    from fogbank.kernel.store import Tx

_RETRY_AFTER_MS = (60_000, 120_000)
_THROTTLED_AFTER_MS = 1_000
_THROTTLED_AFTER_MAX_MS = 300_000
_AGE_MAX_S = 21_600
_LEND_MS = 31 * 60_000  # Longer than any function may run.
_ALONE_LEND_MS = 100 * 366 * 86_400_000  # A lone node takes all back when it starts: no clock that hops may end it.
_AT_ONCE = 32
_QUEUED = "lambda.queued"


@dataclass(frozen=True, slots=True)
class EventConfig:
    """What PutFunctionEventInvokeConfig sets for a function, a version or an alias."""

    modified_ms: int
    retries: int | None = None
    age_max_s: int | None = None
    on_success: str = ""  # ARN of the destination.
    on_failure: str = ""


CONFIGS = Records(EventConfig, "lambda", "event-config")  # (function id, qualifier or "")
WAITING = Records(str, "lambda", "event-queue")  # (function id,): queues that hold something


def enqueue(tx: Tx, call: Call, function: state.Function, who: state.Named, payload: str) -> None:
    """Accepted: from here on the event is not lost."""
    queue = _queue(function.id)
    notes = {
        "name": who.name, "account": who.account, "region": who.region, "qualifier": who.qualifier, "attempt": 1,
        "trace": call.trace_id,
    }  # fmt: skip
    message = Message(call.request_id, payload, due_ms=call.now_ms, sent_ms=call.now_ms, notes=notes)
    queues.send(tx, queue, message)
    WAITING.put(tx, function.id, row=function.id)
    tx.emit(_QUEUED)


def _queue(function_id: str) -> str:
    return f"lambda:{function_id}"


class EventQueue:
    """The loop that runs what is queued."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._lend_ms = _LEND_MS if house.config.store_url else _ALONE_LEND_MS
        self._running: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        house = self._house
        if not house.config.store_url and not self._running:  # Alone on this state: who had events in work is gone.
            await house.store.transact(self._take_back, house.clock.now_ms())
        with house.signals.watch(_QUEUED) as watch:
            while True:
                lent, next_due_ms = await house.store.transact(self._take, house.clock.now_ms())
                for function_id, message in lent:
                    await self._slots.acquire()
                    task = asyncio.get_running_loop().create_task(self._one(function_id, message))
                    self._running.add(task)
                    task.add_done_callback(self._done)
                if not lent:
                    await watch.wait(next_due_ms)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._slots.release()
        if not task.cancelled() and task.exception() is not None:
            self._house.telemetry.error("asynchronous invocation failed", error=repr(task.exception()))

    def _take_back(self, tx: Tx, now_ms: int) -> None:
        for function_id in WAITING.all(tx):
            queues.release(tx, _queue(function_id), now_ms)

    def _take(self, tx: Tx, now_ms: int) -> tuple[list[tuple[str, Message]], int | None]:
        lent: list[tuple[str, Message]] = []
        due: list[int] = []
        for function_id in WAITING.all(tx):
            queue = _queue(function_id)
            found = queues.receive(tx, queue, limit=10, now_ms=now_ms, lend_ms=self._lend_ms)
            lent += [(function_id, message) for message in found]
            next_ms = queues.next_due_ms(tx, queue)
            if next_ms is None:
                WAITING.delete(tx, function_id)
            else:
                due.append(next_ms)
        return lent, min(due, default=None)

    async def _one(self, function_id: str, message: Message) -> None:
        house, notes = self._house, message.notes
        current_trace.set(notes.get("trace", ""))
        who = state.Named(notes["account"], notes["region"], notes["name"], notes["qualifier"])
        caller = house.share(Caller)
        try:
            target, outcome = await caller.call(who, message.body.encode(), message.id, trace_id=current_trace.get())
        except ServiceError as error:
            if error.code == "TooManyRequestsException":
                now_ms = house.clock.now_ms()
                if await house.store.transact(self._throttled, function_id, who, message, now_ms):
                    await self._expired(function_id, who, message)
            else:  # The function is gone, and its events with it.
                await house.store.transact(queues.delete, _queue(function_id), message.receipt)
            return
        ended_ms = house.clock.now_ms()
        config, again = await house.store.transact(self._settle, function_id, who, message, outcome.error, ended_ms)
        if again:
            return
        destination = config.on_failure if outcome.error else config.on_success
        if destination or outcome.error:
            await self._deliver(target.function, target.published, who, message, outcome, destination)
        await house.store.transact(queues.delete, _queue(function_id), message.receipt)

    def _settle(
        self, tx: Tx, function_id: str, who: state.Named, message: Message, error: str | None, now_ms: int
    ) -> tuple[EventConfig, bool]:
        """Put a failed event back for its next attempt, if it has one; True if so."""
        config = CONFIGS.get(tx, function_id, who.qualifier) or EventConfig(0)
        retries = len(_RETRY_AFTER_MS) if config.retries is None else config.retries
        attempt = message.notes["attempt"]
        wait_ms = _RETRY_AFTER_MS[min(attempt, len(_RETRY_AFTER_MS)) - 1]
        age_max_ms = 1000 * (config.age_max_s or _AGE_MAX_S)
        if not error or attempt > retries:
            return config, False
        if now_ms + wait_ms - message.sent_ms > age_max_ms:
            message.notes["condition"] = "EventAgeExceeded"
            return config, False
        self._put_back(tx, function_id, message, now_ms + wait_ms, attempt + 1)
        return config, True

    def _throttled(self, tx: Tx, function_id: str, who: state.Named, message: Message, now_ms: int) -> bool:
        """Put it back for later; True, and nothing done, if it has become too old for that."""
        config = CONFIGS.get(tx, function_id, who.qualifier) or EventConfig(0)
        times = message.notes.get("throttled", 0)
        wait_ms = min(_THROTTLED_AFTER_MS << min(times, 16), _THROTTLED_AFTER_MAX_MS)
        if now_ms - message.sent_ms > 1000 * (config.age_max_s or _AGE_MAX_S):
            return True
        message.notes["throttled"] = times + 1
        self._put_back(tx, function_id, message, now_ms + wait_ms, message.notes["attempt"])
        return False

    async def _expired(self, function_id: str, who: state.Named, message: Message) -> None:
        """An event that no instance was free for in time goes where failures go ("EventAgeExceeded")."""
        house = self._house
        target = await house.store.transact(house.share(Caller).resolve, who)
        config = await house.store.transact(CONFIGS.get, function_id, who.qualifier) or EventConfig(0)
        if config.on_failure or target.published.settings.get("DeadLetterConfig", {}).get("TargetArn"):
            await self._deliver(target.function, target.published, who, message, None, config.on_failure)
        await house.store.transact(queues.delete, _queue(function_id), message.receipt)

    def _put_back(self, tx: Tx, function_id: str, message: Message, due_ms: int, attempt: int) -> None:
        queue = _queue(function_id)
        if queues.delete(tx, queue, message.receipt):
            notes = {**message.notes, "attempt": attempt}
            queues.send(tx, queue, Message(message.id, message.body, due_ms, message.sent_ms, notes=notes))
            WAITING.put(tx, function_id, row=function_id)
            tx.emit(_QUEUED)

    async def _deliver(
        self, function: state.Function, one: state.Published, who: state.Named, message: Message, outcome: Any,
        destination: str,
    ) -> None:  # fmt: skip
        """To the destination (with the documented record), and a failure to the dead-letter queue (the bare event)."""
        ask = self._house.caller(function.account, function.region, "lambda.amazonaws.com")
        dead_letters = one.settings.get("DeadLetterConfig", {}).get("TargetArn", "")
        record = orjson.dumps(_record(who, one, message, outcome, self._house.clock.now_ms())).decode()
        told: list[tuple[str, str, dict[str, Any]]] = [(destination, record, {})] if destination else []
        if dead_letters and (outcome is None or outcome.error):
            told.append((dead_letters, message.body, _dead_letter_attributes(message, outcome)))
        for arn, body, attributes in told:
            try:
                await send(ask, arn, body, attributes)
            except ServiceError as error:
                self._house.telemetry.error(
                    "an asynchronous invocation's result could not be delivered", function=who.arn, error=str(error),
                    to=arn,
                )  # fmt: skip


def check_target(arn: str) -> None:
    """Whether `send` can reach it: told when it is set, not when the first event is lost on it."""
    if arn.split(":")[2:3] not in (["sqs"], ["lambda"]):
        told = f"The destination ARN {arn} is of a service that is not served here; SQS and Lambda are."
        raise ServiceError("InvalidParameterValueException", told)


async def send(ask: Any, arn: str, body: str, attributes: dict[str, Any]) -> None:
    """Raises `ServiceError` if the target is gone, or of a kind that cannot be reached."""
    _, _, service, region, account, name = arn.split(":", 5)
    if service == "sqs":
        url = f"https://sqs.{region}.amazonaws.com/{account}/{name}"
        await ask("sqs", "SendMessage", QueueUrl=url, MessageBody=body, MessageAttributes=attributes)
    elif service == "lambda":
        await ask("lambda", "Invoke", FunctionName=arn, InvocationType="Event", Payload=body.encode())
    else:
        raise ServiceError("InvalidParameterValueException", f"The destination {arn} is of a kind that is not served.")


def _record(who: state.Named, one: state.Published, message: Message, outcome: Any, at_ms: int) -> dict[str, Any]:
    """Developer Guide, "Capturing records of Lambda asynchronous invocations", the example record."""
    attempts = message.notes["attempt"] if outcome is not None else message.notes["attempt"] - 1
    condition = message.notes.get("condition", "RetriesExhausted")
    if outcome is None:  # It was not even tried (again): there is no response to tell of.
        condition = "EventAgeExceeded"
    elif not outcome.error:
        condition = "Success"
    arn = who.arn if who.qualifier else f"{who.arn}:{state.LATEST}"
    answered: dict[str, Any] = {}
    if outcome is not None:
        response: dict[str, Any] = {"statusCode": 200, "executedVersion": one.version}
        if outcome.error:
            response["functionError"] = outcome.error
        answered = {"responseContext": response, "responsePayload": outcome.value()}
    return {
        "version": "1.0",
        "timestamp": datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "requestContext": {
            "requestId": message.id,
            "functionArn": arn,
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": orjson.loads(message.body),
        **answered,
    }


def _dead_letter_attributes(message: Message, outcome: Any) -> dict[str, Any]:
    """Developer Guide, "Adding a dead-letter queue": the attributes RequestID, ErrorCode and ErrorMessage."""
    document = {"errorMessage": "Rate Exceeded."} if outcome is None else outcome.value()
    told = str(document.get("errorMessage", "")) if isinstance(document, dict) else ""  # A custom runtime's own.
    return {
        "RequestID": {"DataType": "String", "StringValue": message.id},
        "ErrorCode": {"DataType": "Number", "StringValue": "429" if outcome is None else "200"},
        "ErrorMessage": {"DataType": "String", "StringValue": told[:1024] or "none"},
    }
