"""One lane of a shard: its records in order, a batch at a time, each tried until it is done with or given up.

A batch that fails is tried again until it works, has been tried often enough, or is too old; it may be halved to find
the record that is to blame. Each step is kept before the next begins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from zlib import crc32

import orjson

from fogbank.functions.triggers.model import RESULTS, TRIGGERS, Fed, NotRun
from fogbank.functions.triggers.progress import PROGRESS, Progress, Window
from fogbank.functions.triggers.stream_link import TOO_OLD, USED_UP, GivenUp
from fogbank.kernel.telemetry import current_lineage, current_trace
from fogbank.primitives import streams

if TYPE_CHECKING:
    import asyncio

    from fogbank.functions.triggers.model import Context, Trigger
    from fogbank.functions.triggers.stream_link import Link
    from fogbank.kernel.signals import Watch
    from fogbank.kernel.store import Tx
    from fogbank.primitives.streams import Record, Stream

_OK, _FAILED = "OK", "PROBLEM: Function call failed"
_NOT_RUN_MS = 500
_RETRY_FIRST_MS = 200
_RETRY_MAX_MS = 60_000
_LOOKED_AT_MAX = 2000  # Records in one transaction: what is passed over costs time too.
_DATA_BYTES_MAX = 4 * 1024 * 1024
_EVENT_BYTES_MAX = 6 * 1024 * 1024  # Lambda quotas: "Invocation payload"; "Batching behavior": the third limit.
_STATE_BYTES_MAX = 1024 * 1024  # "Your state can be a maximum of 1 MB per shard."


@dataclass(frozen=True, slots=True)
class _Batch:
    records: list[Record]
    until: int  # All of the lane's up to here are in it, or passed over.
    full: bool  # Nothing is gained by waiting for more.


class Lane:
    def __init__(
        self, context: Context, trigger: Trigger, link: Link, stream: Stream, shard: str, number: int
    ) -> None:  # fmt: skip
        self._context, self._trigger, self._link = context, trigger, link
        self._stream, self.shard, self._number = stream, shard, number
        self.busy = False  # The function is at work, or what came of it is not told and kept yet.
        self._last: Fed | None = None  # Of the batch that is being tried.

    async def run(self, progress: Progress, drain: asyncio.Event) -> None:
        """Until the shard gets no more and has been read to its end, or `drain` is set."""
        going: Progress | None = progress
        with self._context.signals.watch(streams.APPENDED, (self._trigger.source, self.shard)) as watch:
            while going is not None and not drain.is_set():
                going = await self._step(going, watch)
                self.busy = False

    async def _step(self, progress: Progress, watch: Watch) -> Progress | None:
        batch = await self._context.store.transact(self._read, progress)
        window = progress.window if self._trigger.tumbling_ms else None
        if window is not None and (window.overflown or self._is_over(window, batch)):
            return await self._close(progress, window)
        if batch.records:
            gather_ms = 0 if batch.full else batch.records[0].at_ms + self._trigger.window_ms
            if self._context.clock.now_ms() >= gather_ms:
                return await self._try(progress, batch)
            await watch.wait(gather_ms)
            return progress
        if batch.until > progress.position:
            return await self._keep(_done(progress, batch.until))
        if await self._context.store.transact(self._has_ended, progress):
            return await self._close(progress, window) if window is not None else None
        await watch.wait(None if window is None else window.begin_ms + self._trigger.tumbling_ms)
        return progress

    def _has_ended(self, tx: Tx, progress: Progress) -> bool:
        """All has been read, and no more will come: both seen at one moment."""
        stream = streams.get(tx, self._trigger.source)
        if stream is None:
            return True
        left = streams.read(tx, self._trigger.source, self.shard, after=progress.position, limit=1)
        return not left and self._link.ended(stream, self.shard)

    # -- reading --

    def _read(self, tx: Tx, progress: Progress) -> _Batch:
        """What comes next: as many as may go together, and all of what was tried together."""
        records: list[Record] = []
        size, position = 0, progress.position
        end = progress.ends[0] if progress.ends else None
        looked_at = streams.read(tx, self._trigger.source, self.shard, after=position, limit=_LOOKED_AT_MAX)
        for record in looked_at:
            if end is not None and record.position > end:
                return _Batch(records, end, full=True)
            if self._is_mine(record):
                size += len(record.data)
                if records and (size > _DATA_BYTES_MAX or self._window_of(record) != self._window_of(records[0])):
                    return _Batch(records, position, full=True)
                records.append(record)
            position = record.position
            if len(records) == self._trigger.batch_max:
                return _Batch(records, position, full=True)
        return _Batch(records, position, full=end is not None or len(looked_at) == _LOOKED_AT_MAX)

    def _is_mine(self, record: Record) -> bool:
        if self._trigger.lanes > 1:
            key = self._link.key(record)
            if crc32(key.encode() if isinstance(key, str) else key) % self._trigger.lanes != self._number:
                return False
        return self._link.wanted(self._trigger.settings, self._stream, record)

    # -- trying --

    async def _try(self, progress: Progress, batch: _Batch) -> Progress:
        trigger, now_ms = self._trigger, self._context.clock.now_ms()
        if trigger.age_max_ms >= 0:
            old = [record for record in batch.records if now_ms - record.at_ms > trigger.age_max_ms]
            if old:
                return await self._give_up(progress, old, old[-1].position, TOO_OLD)
        window = self._window_now(progress, batch)
        batch, event = self._encoded(batch, window)
        current_trace.set(self._link.trace(batch.records[0]))
        fed = await self._invoke(event)
        if fed is None:
            return progress
        if fed.outcome.error:
            return await self._failed(progress, batch)
        reply = fed.outcome.value()
        if window is not None:
            if not isinstance(reply, dict) or "state" not in reply:
                # "If the response does not contain a state property, Lambda considers this a failed invocation."
                return await self._failed(progress, batch)
            window = _with_state(window, reply["state"])
        until = self._link.done_until(trigger.settings, batch.records, reply)
        if until is None:
            return await self._keep(replace(_done(progress, batch.until), window=window), _OK)
        if until >= batch.records[0].position:
            rest = replace(_bounded(progress, batch), window=window)
            return await self._keep(_done(rest, until), _OK)
        return await self._failed(progress, batch)

    def _encoded(self, batch: _Batch, window: Window | None) -> tuple[_Batch, bytes]:
        """The event; half of the batch where all of it is too much for one."""
        while True:
            event = self._link.encode(self._trigger.settings, self._stream, self.shard, batch.records)
            if window is not None:
                event |= self._window_facts(window, final=False, early=False)
            text = orjson.dumps(event)
            if len(text) <= _EVENT_BYTES_MAX or len(batch.records) == 1:
                return batch, text
            records = batch.records[: len(batch.records) // 2]
            batch = _Batch(records, records[-1].position, full=True)

    async def _invoke(self, event: bytes) -> Fed | None:
        """None, after a pause, where the function was not run."""
        current_lineage.set("")
        self.busy = True
        try:
            self._last = await self._context.invoke(self._trigger.function, event)
        except NotRun as refused:
            await self._context.store.transact(self._tell, f"PROBLEM: {refused}")
            await self._rest(_NOT_RUN_MS)
            return None
        return self._last

    async def _failed(self, progress: Progress, batch: _Batch) -> Progress:
        trigger, tries = self._trigger, progress.tries + 1
        bounded = _bounded(progress, batch)
        if trigger.bisect and len(batch.records) > 1:
            # "Splitting batches doesn't consume the retry quota."
            middle = batch.records[len(batch.records) // 2 - 1].position
            return await self._pause(replace(bounded, ends=(middle, *bounded.ends), tries=0), 1)
        if 0 <= trigger.retries_max < tries:
            return await self._give_up(replace(bounded, tries=tries), batch.records, batch.until, USED_UP)
        return await self._pause(replace(bounded, tries=tries), tries)

    async def _pause(self, progress: Progress, tries: int) -> Progress:
        await self._keep(progress, _FAILED)
        await self._rest(min(_RETRY_FIRST_MS << min(tries - 1, 16), _RETRY_MAX_MS))
        return progress

    async def _rest(self, milliseconds: int) -> None:
        self.busy = False
        await self._context.clock.sleep(milliseconds)

    async def _give_up(self, progress: Progress, records: list[Record], until: int, why: str) -> Progress:
        trigger = self._trigger
        self.busy = True
        last = self._last if progress.tries else None
        given_up = GivenUp(
            trigger.id, trigger.function, self.shard, records, why, progress.tries, last, self._context.clock.now_ms()
        )
        told = self._link.gave_up(trigger.settings, self._stream, given_up)
        if told is not None:
            await self._context.deliver(trigger.function, told)
        return await self._keep(_done(progress, until))

    # -- keeping --

    async def _keep(self, progress: Progress, result: str = "") -> Progress:
        await self._context.store.transact(self._put, progress, result)
        return progress

    def _put(self, tx: Tx, progress: Progress, result: str) -> None:
        if self._is_there(tx):
            PROGRESS.put(tx, self._trigger.id, self.shard, self._number, row=progress)
        if result:
            self._tell(tx, result)

    def _tell(self, tx: Tx, result: str) -> None:
        if self._is_there(tx) and RESULTS.get(tx, self._trigger.id) != result:
            RESULTS.put(tx, self._trigger.id, row=result)

    def _is_there(self, tx: Tx) -> bool:
        """It may have been removed while its last batch was in work."""
        return TRIGGERS.get(tx, self._trigger.id) is not None

    # -- tumbling windows --

    def _window_of(self, record: Record) -> int:
        """When the window that it belongs to began: "based on the time when records were inserted into the stream"."""
        length_ms = self._trigger.tumbling_ms
        return record.at_ms // length_ms * length_ms if length_ms else 0

    def _window_now(self, progress: Progress, batch: _Batch) -> Window | None:
        if not self._trigger.tumbling_ms:
            return None
        return progress.window or Window(self._window_of(batch.records[0]))

    def _is_over(self, window: Window, batch: _Batch) -> bool:
        if batch.records:
            return self._window_of(batch.records[0]) > window.begin_ms
        return self._context.clock.now_ms() >= window.begin_ms + self._trigger.tumbling_ms

    async def _close(self, progress: Progress, window: Window) -> Progress:
        """The last event of a window, without records; or the one that ends it early, after which it goes on anew."""
        trigger = self._trigger
        end_ms = window.begin_ms + trigger.tumbling_ms
        after = replace(progress, tries=0, window=Window(window.begin_ms) if window.overflown else None)
        if 0 <= trigger.age_max_ms < self._context.clock.now_ms() - end_ms:
            return await self._keep(after)
        event = self._link.encode(trigger.settings, self._stream, self.shard, [])
        event |= self._window_facts(window, final=not window.overflown, early=window.overflown)
        fed = await self._invoke(orjson.dumps(event))
        if fed is None:
            return progress
        if not fed.outcome.error:
            return await self._keep(after, _OK)
        tries = progress.tries + 1
        if 0 <= trigger.retries_max < tries:
            return await self._keep(after, _FAILED)
        return await self._pause(replace(progress, tries=tries), tries)

    def _window_facts(self, window: Window, *, final: bool, early: bool) -> dict[str, Any]:
        return self._link.window(
            self._trigger.settings, self._stream, self.shard, window.begin_ms,
            window.begin_ms + self._trigger.tumbling_ms, orjson.loads(window.state), final=final, early=early,
        )  # fmt: skip


def _done(progress: Progress, until: int) -> Progress:
    """With all up to there behind it; what was tried together behind that still is."""
    return replace(progress, position=until, tries=0, ends=tuple(end for end in progress.ends if end > until))


def _bounded(progress: Progress, batch: _Batch) -> Progress:
    """With the batch as one that was tried: it grows no more."""
    return replace(progress, ends=(batch.until, *(end for end in progress.ends if end > batch.until)))


def _with_state(window: Window, state: Any) -> Window:
    """ "If it exceeds that size, Lambda terminates the window early." """
    text = orjson.dumps(state)
    return replace(window, state=text.decode(), overflown=len(text) > _STATE_BYTES_MAX)
