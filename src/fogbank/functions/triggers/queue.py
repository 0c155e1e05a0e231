"""Queue → function: lend a batch, run the function, delete what it finished; the rest comes back by itself.

A crash anywhere loses no message: what was lent is due again when its time is over.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from fogbank.functions.triggers.model import NotRun
from fogbank.kernel.telemetry import current_lineage, current_trace
from fogbank.primitives import queues

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from fogbank.functions.triggers.model import Context, Trigger
    from fogbank.kernel.store import Tx

_THROTTLED_MS = 500
_FAILED_BACK_OFF_MS = 100
_HELD_MIN_MS = 1000
_AT_ONCE_FIRST, _AT_ONCE_MAX = 5, 1000
_GROWS_BY, _GROWS_EVERY_MS = 5, 1000


class Link(Protocol):
    """Pure functions; a module that has them is one."""

    def lending(
        self, tx: Tx, settings: dict[str, Any], now_ms: int, /
    ) -> tuple[int, Callable[[queues.Message], bool] | None, Callable[[Tx, queues.Message], None] | None]:
        """For how many milliseconds messages are lent, when one has been lent too often, and where it goes then."""
        ...

    def wanted(self, settings: dict[str, Any], message: queues.Message, /) -> bool:
        """Whether the function is to see it; what it is not to see leaves the queue."""
        ...

    def encode(self, settings: dict[str, Any], batch: Sequence[queues.Message], /) -> Any:
        """The event."""
        ...

    def trace(self, message: queues.Message, /) -> str:
        """The trace in which it was sent; empty where that is not known."""
        ...

    def lineage(self, batch: Sequence[queues.Message], /) -> str:
        """Through which functions they have come, in the cloud's own words; empty where through none."""
        ...

    def failed(self, settings: dict[str, Any], batch: Sequence[queues.Message], reply: Any, /) -> set[str]:
        """Ids of the messages that stay in the queue after the function answered."""
        ...


async def run(context: Context, trigger: Trigger, link: Link, drain: asyncio.Event) -> None:
    """Until `drain` is set and the batches in work have ended."""
    places = _Places(context, trigger)
    loop = asyncio.get_running_loop()
    taking = loop.create_task(_take_all(context, trigger, link, places))
    told = loop.create_task(drain.wait())
    try:
        await asyncio.wait((taking, told), return_when=asyncio.FIRST_COMPLETED)
        if taking.done():
            taking.result()
        taking.cancel()
        await places.empty()
    finally:
        for task in (taking, told):
            task.cancel()
        await asyncio.gather(taking, told, return_exceptions=True)
        await places.close()


async def _take_all(context: Context, trigger: Trigger, link: Link, places: _Places) -> None:
    with context.signals.watch(queues.DUE, (trigger.source,)) as watch:
        while True:
            await places.free()
            batch = await _next_batch(context, trigger, link, watch)
            places.take(_work(context, trigger, link, batch))


class _Places:
    """For batches in work: as many as are set; or a few, and more from second to second while those do not do.

    Lambda Developer Guide, "Scaling behavior" of Amazon SQS: five batches at first, up to 300 more a minute while there
    are messages, 1,000 at most.
    """

    def __init__(self, context: Context, trigger: Trigger) -> None:
        self._clock = context.clock
        self._fixed = trigger.at_once_max
        self._working: set[asyncio.Task[None]] = set()
        self._short_since_ms: int | None = None

    async def free(self) -> None:
        """Once there is room for one batch more."""
        if len(self._working) < (self._fixed or _AT_ONCE_FIRST):
            self._short_since_ms = None
            return
        if self._short_since_ms is None:
            self._short_since_ms = self._clock.now_ms()
        while len(self._working) >= self._room():
            ended = asyncio.Event()
            told = [(task, lambda _, ended=ended: ended.set()) for task in self._working]
            for task, tell in told:
                task.add_done_callback(tell)
            await self._clock.wait_for(ended, None if self._fixed else self._clock.now_ms() + _GROWS_EVERY_MS)
            for task, tell in told:
                task.remove_done_callback(tell)

    def _room(self) -> int:
        if self._fixed or self._short_since_ms is None:
            return self._fixed or _AT_ONCE_FIRST
        steps = (self._clock.now_ms() - self._short_since_ms) // _GROWS_EVERY_MS
        return min(_AT_ONCE_FIRST + _GROWS_BY * steps, _AT_ONCE_MAX)

    def take(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def empty(self) -> None:
        """Once all have ended."""
        if self._working:
            await asyncio.wait(self._working)

    async def close(self) -> None:
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)


async def _next_batch(context: Context, trigger: Trigger, link: Link, watch: Any) -> list[queues.Message]:
    """Wait for messages; with a window, gather until it is over or the batch is full."""
    batch: list[queues.Message] = []
    until_ms = 0
    while True:
        now_ms = context.clock.now_ms()
        more, passed, next_ms = await context.store.transact(
            _take, trigger, link, trigger.batch_max - len(batch), now_ms
        )
        if more and not batch:
            until_ms = now_ms + trigger.window_ms
        batch += more
        if batch and (len(batch) >= trigger.batch_max or now_ms >= until_ms):
            return batch
        if passed:  # What was not wanted is gone, and there may be more behind it.
            continue
        wake_ms = until_ms if batch else next_ms
        if wake_ms is not None and wake_ms <= now_ms:
            # Due but not to be had: held by its group, or lent by another node in this moment.
            wake_ms = now_ms + _FAILED_BACK_OFF_MS
        await watch.wait(wake_ms)


def _take(
    tx: Tx, trigger: Trigger, link: Link, limit: int, now_ms: int
) -> tuple[list[queues.Message], bool, int | None]:
    """Messages for the function, whether others have been passed over, and when the next one is due."""
    lend_ms, dead, on_dead = link.lending(tx, trigger.settings, now_ms)
    lent = queues.receive(tx, trigger.source, limit=limit, now_ms=now_ms, lend_ms=lend_ms, dead=dead, on_dead=on_dead)
    wanted = []
    for message in lent:
        if link.wanted(trigger.settings, message):
            wanted.append(message)
        else:
            queues.delete(tx, trigger.source, message.receipt)
    return wanted, len(wanted) < len(lent), queues.next_due_ms(tx, trigger.source)


async def _work(context: Context, trigger: Trigger, link: Link, batch: list[queues.Message]) -> None:
    current_trace.set(link.trace(batch[0]))
    current_lineage.set(link.lineage(batch))
    event = orjson.dumps(link.encode(trigger.settings, batch))
    try:
        async with _held(context, trigger, link, batch):
            outcome = (await context.invoke(trigger.function, event)).outcome
    except NotRun:  # Nobody has looked at the messages, but they have been lent once.
        due_ms = context.clock.now_ms() + _THROTTLED_MS
        await context.store.transact(_put_back, trigger.source, batch, due_ms, context.clock.now_ms())
        return
    failed = {message.id for message in batch}
    if not outcome.error:
        failed = link.failed(trigger.settings, batch, outcome.value())
    done = [message.receipt for message in batch if message.id not in failed]
    await context.store.transact(_delete, trigger.source, done)


@asynccontextmanager
async def _held(context: Context, trigger: Trigger, link: Link, batch: list[queues.Message]) -> AsyncIterator[None]:
    """The messages stay lent for as long as somebody debugs what is done with them. From half their time to half their
    time, and not at once for a day: should the server end, they are back as soon as ever."""
    if not await context.is_debugged(trigger.function):
        yield
        return
    holding = asyncio.get_running_loop().create_task(_hold(context, trigger, link, batch))
    try:
        yield
    finally:
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)


async def _hold(context: Context, trigger: Trigger, link: Link, batch: list[queues.Message]) -> None:
    while True:
        lend_ms = await context.store.transact(_lend_again, trigger, link, batch, context.clock.now_ms())
        await context.clock.sleep(lend_ms // 2)


def _lend_again(tx: Tx, trigger: Trigger, link: Link, batch: list[queues.Message], now_ms: int) -> int:
    lend_ms = max(link.lending(tx, trigger.settings, now_ms)[0], _HELD_MIN_MS)
    _put_back(tx, trigger.source, batch, now_ms + lend_ms, now_ms)
    return lend_ms


def _delete(tx: Tx, source: str, receipts: list[str]) -> None:
    for receipt in receipts:
        queues.delete(tx, source, receipt)


def _put_back(tx: Tx, source: str, batch: list[queues.Message], due_ms: int, now_ms: int) -> None:
    for message in batch:
        queues.hide(tx, source, message.receipt, due_ms=due_ms, now_ms=now_ms)
