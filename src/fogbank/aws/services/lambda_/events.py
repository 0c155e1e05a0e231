"""Asynchronous invocations: a durable queue for each function, tried three times, then handed to where failures go.

Lambda Developer Guide, "How Lambda handles errors and retries with asynchronous invocation": two more attempts, one
minute after the first and two minutes after the second; throttles are tried again for up to six hours, "exponentially
from 1 second after the first attempt to a maximum of 5 minutes". An event leaves its queue once all are told of it: a
crash before that repeats its last step.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from fogbank.aws.protocol import lineage as ways
from fogbank.aws.service import ServiceError
from fogbank.aws.services.lambda_ import destinations, records, recursion, state
from fogbank.aws.services.lambda_.calling import Caller
from fogbank.aws.services.lambda_.destinations import Parcel
from fogbank.aws.services.lambda_.records import End
from fogbank.kernel.store import StoreError
from fogbank.kernel.store.records import Records
from fogbank.kernel.tasks import end
from fogbank.kernel.telemetry import current_lineage, current_trace
from fogbank.primitives import leases, queues
from fogbank.primitives.queues import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fogbank.aws.service import Call, House
    from fogbank.kernel.store import Tx

_RETRY_AFTER_MS = (60_000, 120_000)
_THROTTLED_AFTER_MS = 1_000
_THROTTLED_AFTER_MAX_MS = 300_000
_AGE_MAX_S = 21_600
_LEND_MS = 31 * 60_000  # Longer than any function may run.
_AT_ONCE_MAX = 200  # Of one function: more would only be in each other's way on one machine.
_QUEUED = "lambda.queued"
# The event was not run for a reason that passes.
_NOT_NOW = ("TooManyRequestsException", state.NOT_READY, "SnapStartException", "SnapStartTimeoutException")


@dataclass(frozen=True, slots=True)
class EventConfig:
    """What PutFunctionEventInvokeConfig sets for a function, a version or an alias."""

    modified_ms: int
    retries: int | None = None
    age_max_s: int | None = None
    on_success: str = ""  # ARN of the destination.
    on_failure: str = ""


CONFIGS = Records(EventConfig, "lambda", "event-config")  # (function id, qualifier or "" for $LATEST)
WAITING = Records(str, "lambda", "event-queue")  # (function id,): queues that hold something


def enqueue(tx: Tx, call: Call, function: state.Function, who: state.Named, payload: str) -> None:
    """Accepted: from here on the event is not lost."""
    queue = _queue(function.id)
    notes = {
        "name": who.name, "account": who.account, "region": who.region, "qualifier": who.qualifier, "attempt": 1,
        "trace": call.trace_id, "lineage": ways.of(call.trace_header),
    }  # fmt: skip
    message = Message(call.request_id, payload, due_ms=call.now_ms, sent_ms=call.now_ms, notes=notes)
    queues.send(tx, queue, message)
    WAITING.put(tx, function.id, row=function.id)
    tx.emit(_QUEUED)


def config_key(who: state.Named) -> str:
    """$LATEST and no qualifier have one configuration."""
    return "" if who.qualifier == state.LATEST else who.qualifier


def _config(tx: Tx, function_id: str, who: state.Named) -> EventConfig:
    return CONFIGS.get(tx, function_id, config_key(who)) or EventConfig(0)


def forget(tx: Tx, function_id: str) -> None:
    """The function is gone, and what was queued for it."""
    CONFIGS.clear(tx, function_id)
    WAITING.delete(tx, function_id)
    queues.drop(tx, _queue(function_id))


def _queue(function_id: str) -> str:
    return f"lambda:{function_id}"


class EventQueue:
    """The loop that runs what is queued."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._lend_ms = _LEND_MS if house.config.store_url else leases.ALONE_MS
        self._working: set[asyncio.Task[None]] = set()
        self._of_function: Counter[str] = Counter()  # Events in work.

    async def run(self) -> None:
        house = self._house
        if not house.config.store_url and not self._working:  # Alone on this state: who had events in work is gone.
            await house.store.transact(self._take_back, house.clock.now_ms())
        try:
            with house.signals.watch(_QUEUED) as watch:
                while True:
                    lent, next_due_ms = await house.store.transact(
                        self._take, dict(self._of_function), house.clock.now_ms()
                    )
                    for function_id, message in lent:
                        self._begin(function_id, message)
                    if not lent:
                        await watch.wait(next_due_ms)
        except asyncio.CancelledError:  # The server ends: what is under way comes again when it is back.
            await end(self._working)
            raise

    def _begin(self, function_id: str, message: Message) -> None:
        self._of_function[function_id] += 1
        self._do(self._one(function_id, message), partial(self._ended, function_id, message))

    def _do(self, work: Coroutine[Any, Any, None], done: Callable[[asyncio.Task[None]], None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        task.add_done_callback(done)

    def _ended(self, function_id: str, message: Message, task: asyncio.Task[None]) -> None:
        if self._of_function[function_id] >= _AT_ONCE_MAX:  # There may be some that had to wait.
            self._house.signals.wake(_QUEUED)
        self._of_function[function_id] -= 1
        if not self._of_function[function_id]:
            del self._of_function[function_id]
        if not task.cancelled() and task.exception() is not None:
            self._house.telemetry.error("asynchronous invocation failed", error=repr(task.exception()))
            self._do(self._give_back(function_id, message), lambda _: None)

    async def _give_back(self, function_id: str, message: Message) -> None:
        """It could not be seen to its end: a full disk, say. It is due again when it can be said to be."""
        house = self._house
        while True:
            await house.clock.sleep(_THROTTLED_AFTER_MS)
            try:
                await house.store.transact(self._hand_in, function_id, message, house.clock.now_ms())
                return
            except StoreError as error:
                house.telemetry.error("an event in work could not be given back", error=str(error))

    def _hand_in(self, tx: Tx, function_id: str, message: Message, now_ms: int) -> None:
        self._put_back(tx, function_id, message, now_ms)

    def _take_back(self, tx: Tx, now_ms: int) -> None:
        for function_id in WAITING.all(tx):
            queues.release(tx, _queue(function_id), now_ms)

    def _take(
        self, tx: Tx, working: dict[str, int], now_ms: int
    ) -> tuple[list[tuple[str, Message]], int | None]:  # fmt: skip
        """What is due, of each function as much as it may have in work; and when more will be."""
        lent: list[tuple[str, Message]] = []
        due: list[int] = []
        for function_id in WAITING.all(tx):
            queue, room = _queue(function_id), _AT_ONCE_MAX - working.get(function_id, 0)
            if room <= 0:
                continue
            found = queues.receive(tx, queue, limit=min(room, 10), now_ms=now_ms, lend_ms=self._lend_ms)
            lent += [(function_id, message) for message in found]
            next_ms = queues.next_due_ms(tx, queue)
            if next_ms is None:
                WAITING.delete(tx, function_id)
            else:
                due.append(next_ms)
        return lent, min(due, default=None)

    async def _one(self, function_id: str, message: Message) -> None:
        house, notes = self._house, message.notes
        who = state.Named(notes["account"], notes["region"], notes["name"], notes["qualifier"])
        current_trace.set(notes.get("trace", ""))
        way = notes.get("lineage", "")
        try:
            target, outcome = await house.share(Caller).call(
                who, message.body.encode(), message.id, trace_id=current_trace.get(), lineage=way
            )
        except ServiceError as error:
            end = await house.store.transact(self._refused, function_id, who, message, error.code, house.clock.now_ms())
        else:
            ran = End(records.SUCCESS, notes["attempt"], outcome, target.published.version)
            end = await house.store.transact(self._ran, function_id, who, message, ran, house.clock.now_ms())
        if end is not None:
            current_lineage.set(ways.grown(way, who.at("").arn))
            await self._tell(function_id, who, message, end)
            await house.store.transact(queues.delete, _queue(function_id), message.receipt)

    def _ran(self, tx: Tx, function_id: str, who: state.Named, message: Message, ran: End, now_ms: int) -> End | None:
        """How it ended; None if it was put back for another try."""
        assert ran.outcome is not None
        if not ran.outcome.error:
            return ran
        config = _config(tx, function_id, who)
        retries = len(_RETRY_AFTER_MS) if config.retries is None else config.retries
        if ran.tries > retries:
            return replace(ran, condition=records.USED_UP)
        due_ms = now_ms + _RETRY_AFTER_MS[min(ran.tries, len(_RETRY_AFTER_MS)) - 1]
        if due_ms - message.sent_ms > 1000 * (config.age_max_s or _AGE_MAX_S):
            return replace(ran, condition=records.TOO_OLD)
        self._put_back(tx, function_id, message, due_ms, attempt=ran.tries + 1)
        return None

    def _refused(
        self, tx: Tx, function_id: str, who: state.Named, message: Message, code: str, now_ms: int
    ) -> End | None:
        """The function was not run. How it ended; None if it was put back, or its function is gone and it too."""
        function, tries = state.FUNCTIONS.get(tx, who.account, who.region, who.name), message.notes["attempt"] - 1
        if code == recursion.STOPPED:
            return End(records.LOOP, tries)
        if code not in _NOT_NOW or function is None:
            queues.delete(tx, _queue(function_id), message.receipt)
            return None
        if function.reserved == 0:
            # "When you set reserved concurrency to zero for an asynchronously invoked function, Lambda begins sending
            # new events to the configured dead-letter queue or the on-failure event destination, without any retries."
            return End(records.NO_CONCURRENCY, tries)
        if now_ms - message.sent_ms > 1000 * (_config(tx, function_id, who).age_max_s or _AGE_MAX_S):
            return End(records.TOO_OLD, tries)
        times = message.notes.get("throttled", 0)
        wait_ms = min(_THROTTLED_AFTER_MS << min(times, 16), _THROTTLED_AFTER_MAX_MS)
        self._put_back(tx, function_id, message, now_ms + wait_ms, throttled=times + 1)
        return None

    def _put_back(self, tx: Tx, function_id: str, message: Message, due_ms: int, **changed: int) -> None:
        queue = _queue(function_id)
        if queues.delete(tx, queue, message.receipt):
            notes = message.notes | changed
            queues.send(tx, queue, Message(message.id, message.body, due_ms, message.sent_ms, notes=notes))
            WAITING.put(tx, function_id, row=function_id)
            tx.emit(_QUEUED)

    # -- telling of the end --

    async def _tell(self, function_id: str, who: state.Named, message: Message, end: End) -> None:
        """To the destination (the documented record), and of a failure to the dead-letter queue (the bare event)."""
        house, now_ms = self._house, self._house.clock.now_ms()
        destination, dead_letters = await house.store.transact(self._targets, function_id, who, end)
        if destination:
            kind = "Success" if end.good else "Failure"
            arn = who.arn if who.qualifier else f"{who.arn}:{state.LATEST}"
            await self._send(who, destination, Parcel(
                records.record(who, message.id, message.body, end, now_ms), now_ms, house.ids.new, who.account,
                who.region, folder=f"aws/lambda/async/{who.name}",
                detail_type=f"Lambda Function Invocation Result - {kind}", resources=(arn,),
            ))  # fmt: skip
        if dead_letters:
            attributes = records.dead_letter_attributes(message.id, end)
            letter = Parcel(message.body, now_ms, house.ids.new, who.account, who.region, attributes)
            await self._send(who, dead_letters, letter)

    def _targets(self, tx: Tx, function_id: str, who: state.Named, end: End) -> tuple[str, str]:
        """ARNs of the destination and the dead-letter queue; empty where there is none for this end."""
        config = _config(tx, function_id, who)
        if end.good:
            return config.on_success, ""
        function = state.FUNCTIONS.get(tx, who.account, who.region, who.name)
        # "Function versions use the same dead-letter queue settings as the unpublished version ($LATEST)."
        chosen = function.latest.settings.get("DeadLetterConfig", {}) if function is not None else {}
        return config.on_failure, chosen.get("TargetArn", "")

    async def _send(self, who: state.Named, arn: str, parcel: Parcel) -> None:
        try:
            await destinations.send(self._house, arn, parcel)
        except ServiceError as error:
            self._house.telemetry.error(
                "an asynchronous invocation's result could not be delivered", function=who.arn, error=str(error), to=arn
            )
