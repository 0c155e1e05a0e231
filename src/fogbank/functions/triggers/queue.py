"""Queue → function: lend a batch, run the function, delete what it finished; the rest comes back by itself.

A crash anywhere loses no message: what was lent is due again when its time is over.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from fogbank.kernel.telemetry import current_trace
from fogbank.primitives import queues

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fogbank.functions.triggers.model import Context, Trigger
    from fogbank.kernel.store import Tx

_THROTTLED_MS = 500
_FAILED_BACK_OFF_MS = 100


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

    def failed(self, settings: dict[str, Any], batch: Sequence[queues.Message], reply: Any, /) -> set[str]:
        """Ids of the messages that stay in the queue after the function answered."""
        ...


async def run(context: Context, trigger: Trigger, link: Link) -> None:
    slots = asyncio.Semaphore(trigger.at_once_max)
    working: set[asyncio.Task[None]] = set()
    try:
        with context.signals.watch(queues.DUE, (trigger.source,)) as watch:
            while True:
                await slots.acquire()
                batch = await _next_batch(context, trigger, link, watch)
                task = asyncio.get_running_loop().create_task(_work(context, trigger, link, batch))
                working.add(task)
                task.add_done_callback(working.discard)
                task.add_done_callback(lambda _: slots.release())
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)


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
    event = orjson.dumps(link.encode(trigger.settings, batch))
    outcome = await context.invoke(trigger.function, event)
    if outcome is None:  # Throttled: nobody has looked at the messages, but they have been lent once.
        due_ms = context.clock.now_ms() + _THROTTLED_MS
        await context.store.transact(_put_back, trigger.source, batch, due_ms, context.clock.now_ms())
        return
    failed = {message.id for message in batch}
    if not outcome.error:
        failed = link.failed(trigger.settings, batch, outcome.value())
    done = [message.receipt for message in batch if message.id not in failed]
    await context.store.transact(_delete, trigger.source, done)


def _delete(tx: Tx, source: str, receipts: list[str]) -> None:
    for receipt in receipts:
        queues.delete(tx, source, receipt)


def _put_back(tx: Tx, source: str, batch: list[queues.Message], due_ms: int, now_ms: int) -> None:
    for message in batch:
        queues.hide(tx, source, message.receipt, due_ms=due_ms, now_ms=now_ms)
