"""Stream → function: records in order, a batch at a time; where it stands is kept, so nothing is skipped or lost.

A batch that fails is tried again until it works, has been tried often enough, or is too old.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from fogbank.functions.triggers.model import POSITIONS
from fogbank.kernel.telemetry import current_trace
from fogbank.primitives import streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fogbank.functions.triggers.model import Context, Trigger
    from fogbank.kernel.store import Tx

_THROTTLED_MS = 500
_RETRY_FIRST_MS = 200
_RETRY_MAX_MS = 60_000


class Link(Protocol):
    """Pure functions; a module that has them is one."""

    def wanted(self, settings: dict[str, Any], stream: streams.Stream, record: streams.Record, /) -> bool:
        """Whether the function is to see it; what it is not to see is passed over."""
        ...

    def encode(self, settings: dict[str, Any], stream: streams.Stream, batch: Sequence[streams.Record], /) -> Any: ...

    def trace(self, record: streams.Record, /) -> str:
        """The trace in which it came about; empty where that is not known."""
        ...

    def done_until(self, settings: dict[str, Any], batch: Sequence[streams.Record], reply: Any, /) -> int | None:
        """The last position that is done with, where the reply says that only a part is; None: all of it."""
        ...

    def gave_up(
        self,
        settings: dict[str, Any],
        stream: streams.Stream,
        function: str,
        batch: Sequence[streams.Record],
        why: str,
        tries: int,
        now_ms: int,
        /,
    ) -> tuple[str, dict[str, Any]] | None:
        """Whom to tell of records that were given up, and what."""
        ...


async def run(context: Context, trigger: Trigger, link: Link) -> None:
    stream = await context.store.transact(streams.get, trigger.source)
    if stream is not None:
        await asyncio.gather(*(_run_shard(context, trigger, link, stream, shard) for shard in stream.shards))


async def _run_shard(context: Context, trigger: Trigger, link: Link, stream: streams.Stream, shard: str) -> None:
    position = await context.store.transact(_begin, trigger, shard)
    with context.signals.watch(streams.APPENDED, (trigger.source, shard)) as watch:
        while True:
            found = await context.store.transact(_read, trigger, shard, position)
            batch = [record for record in found if link.wanted(trigger.settings, stream, record)]
            if batch and trigger.window_ms and len(batch) < trigger.batch_max:
                await context.clock.sleep_until(batch[0].at_ms + trigger.window_ms)
                found = await context.store.transact(_read, trigger, shard, position)
                batch = [record for record in found if link.wanted(trigger.settings, stream, record)]
            if found:
                last = found[-1].position
                position = await _work(context, trigger, link, stream, batch) if batch else last
                await context.store.transact(_keep, trigger, shard, position)
            else:
                await watch.wait()


def _begin(tx: Tx, trigger: Trigger, shard: str) -> int:
    """Behind which record to go on; decided once, when the trigger first runs, and kept."""
    kept = POSITIONS.get(tx, trigger.id, shard)
    if kept is not None:
        return kept
    if trigger.begin == "LATEST":
        position = streams.head(tx, trigger.source, shard)
    else:
        since_ms = trigger.begin_ms if trigger.begin == "AT_TIMESTAMP" else 0
        position = streams.tail(tx, trigger.source, shard, since_ms=since_ms) - 1
    POSITIONS.put(tx, trigger.id, shard, row=position)
    return position


def _read(tx: Tx, trigger: Trigger, shard: str, position: int) -> list[streams.Record]:
    return streams.read(tx, trigger.source, shard, after=position, limit=trigger.batch_max)


def _keep(tx: Tx, trigger: Trigger, shard: str, position: int) -> None:
    POSITIONS.put(tx, trigger.id, shard, row=position)


async def _work(
    context: Context, trigger: Trigger, link: Link, stream: streams.Stream, batch: list[streams.Record]
) -> int:
    """Run until this batch, or the beginning of it, is done with or given up; the answer is the position after."""
    tries, wait_ms = 0, _RETRY_FIRST_MS
    current_trace.set(link.trace(batch[0]))
    while True:
        now_ms = context.clock.now_ms()
        if 0 <= trigger.age_max_ms < now_ms - batch[0].at_ms:
            return await _give_up(context, trigger, link, stream, batch, "RecordAgeExceeded", tries)
        outcome = await context.invoke(trigger.function, orjson.dumps(link.encode(trigger.settings, stream, batch)))
        if outcome is None:
            await context.clock.sleep(_THROTTLED_MS)
            continue
        tries += 1
        if not outcome.error:
            until = link.done_until(trigger.settings, batch, outcome.value())
            if until is None:
                return batch[-1].position
            if until >= batch[0].position:
                return until
        if 0 <= trigger.retries_max < tries:
            return await _give_up(context, trigger, link, stream, batch, "RetryAttemptsExhausted", tries)
        if trigger.bisect and len(batch) > 1:
            batch = batch[: len(batch) // 2]
        await context.clock.sleep(wait_ms)
        wait_ms = min(wait_ms * 2, _RETRY_MAX_MS)


async def _give_up(
    context: Context, trigger: Trigger, link: Link, stream: streams.Stream, batch: list[streams.Record], why: str,
    tries: int,
) -> int:  # fmt: skip
    told = link.gave_up(trigger.settings, stream, trigger.function, batch, why, tries, context.clock.now_ms())
    if told is not None:
        await context.deliver(*told)
    return batch[-1].position
