"""Lines of text by owner, group and stream, in the order of time: kept for a while, read from either end.

Lines are kept in batches: one row holds what one stream wrote between two flushes, so that logging costs a running
function next to nothing.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import defaultdict
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec

from fogbank.kernel.store import END, StoreError
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from fogbank.kernel.clock import Clock
    from fogbank.kernel.store import Key, Store, Tx

_FLUSH_EVERY_S = 0.1
_PENDING_BYTES_MAX = 64 * 1024 * 1024
_BATCH_LINES_MAX = 5000
_BATCH_SPAN_MS = 10_000  # From a batch's first line to its last: how far `merged` has to look back.
APPENDED = "logs.appended"  # The signal: lines were added. Its key is (owner,).

Line = tuple[int, str]  # Milliseconds since the epoch, message.


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    created_ms: int
    retention_days: int | None = None  # None: for ever.


@dataclass(frozen=True, slots=True)
class Stream:
    name: str
    created_ms: int
    first_ms: int | None = None  # Of its lines.
    last_ms: int | None = None
    ingested_ms: int | None = None
    batches: int = 0  # Numbers its rows, so that two of one moment keep their order.


@dataclass(frozen=True, slots=True)
class Batch:
    ingested_ms: int
    lines: list[Line]


GROUPS = Records(Group, "log", "group")  # (owner, group)
STREAMS = Records(Stream, "log", "stream")  # (owner, group, stream)
BATCHES = Records(Batch, "log", "batch")  # (owner, group, stream, first millisecond, number)


_when = itemgetter(0)


def append(tx: Tx, owner: str, group: str, stream: str, lines: list[Line], now_ms: int) -> None:
    """Add lines, in the order of time; group and stream are made where they are missing."""
    if GROUPS.get(tx, owner, group) is None:
        GROUPS.put(tx, owner, group, row=Group(group, now_ms))
    found = STREAMS.get(tx, owner, group, stream, lock=True) or Stream(stream, now_ms)
    ordered = sorted(lines, key=_when)
    parts = _in_batches(ordered)
    for number, part in enumerate(parts, found.batches):
        BATCHES.put(tx, owner, group, stream, part[0][0], number, row=Batch(now_ms, part))
    first, last = ordered[0][0], ordered[-1][0]
    grown = replace(
        found,
        first_ms=min(first, found.first_ms or first),
        last_ms=max(last, found.last_ms or last),
        ingested_ms=now_ms,
        batches=found.batches + len(parts),
    )
    STREAMS.put(tx, owner, group, stream, row=grown)
    tx.emit(APPENDED, (owner,))


def _in_batches(ordered: list[Line]) -> list[list[Line]]:
    """None too large, none over too long a time."""
    parts: list[list[Line]] = []
    for line in ordered:
        last = parts[-1] if parts else []
        if not last or len(last) == _BATCH_LINES_MAX or line[0] - last[0][0] > _BATCH_SPAN_MS:
            parts.append(last := [])
        last.append(line)
    return parts


def read(
    tx: Tx, owner: str, group: str, stream: str, *, from_ms: int = 0, to_ms: int | None = None, reverse: bool = False
) -> Iterator[tuple[str, int, Line]]:
    """(name of the line, when it was taken in, line) of one stream, `from_ms <= time < to_ms`.

    A batch may begin before `from_ms`: the ones that could hold a line of it are read from the stream's start.
    """
    first: Key = BATCHES.key(owner, group, stream)
    last: Key = (*first, END if to_ms is None else to_ms)
    for key, raw in tx.scan(first, last, reverse=reverse):
        batch = _decode(raw)
        numbered = list(enumerate(batch.lines))
        for number, line in reversed(numbered) if reverse else numbered:
            if from_ms <= line[0] and (to_ms is None or line[0] < to_ms):
                yield f"{key[-2]!s:0>20}{key[-1]!s:0>10}{number:06d}", batch.ingested_ms, line


def merged(
    tx: Tx, owner: str, group: str, streams: Iterable[str], *, from_ms: int, to_ms: int, reverse: bool = False
) -> Iterator[tuple[int, str, int, str, str]]:  # fmt: skip
    """(moment, name of the line, when it was taken in, stream, message) of several streams, in the order of time,
    `from_ms <= time < to_ms`. Lines are read as they are asked for."""
    each = [_in_order(tx, owner, group, stream, from_ms, to_ms, reverse=reverse) for stream in streams]
    return heapq.merge(*each, reverse=reverse)


def _in_order(
    tx: Tx, owner: str, group: str, stream: str, from_ms: int, to_ms: int, *, reverse: bool
) -> Iterator[tuple[int, str, int, str, str]]:  # fmt: skip
    """A batch may begin before another and end after it: what is read is held until nothing can come before it."""
    first = BATCHES.key(owner, group, stream, max(0, from_ms - _BATCH_SPAN_MS))
    last = BATCHES.key(owner, group, stream, max(0, to_ms))
    held: list[tuple[int, str, int, str, str]] = []
    for key, raw in tx.scan(first, last, reverse=reverse):
        begins_ms = int(key[-2])  # type: ignore[arg-type]  # As `append` has put it.
        settled = [row for row in held if (row[0] > begins_ms + _BATCH_SPAN_MS if reverse else row[0] < begins_ms)]
        if settled:
            yield from sorted(settled, reverse=reverse)
            held = [row for row in held if not (row[0] > begins_ms + _BATCH_SPAN_MS if reverse else row[0] < begins_ms)]
        batch = _decode(raw)
        held += [
            (at_ms, f"{key[-2]!s:0>20}{key[-1]!s:0>10}{number:06d}", batch.ingested_ms, stream, message)
            for number, (at_ms, message) in enumerate(batch.lines)
            if from_ms <= at_ms < to_ms
        ]
    yield from sorted(held, reverse=reverse)


_decode: Callable[[bytes], Batch] = msgspec.msgpack.Decoder(Batch).decode


def drop_group(tx: Tx, owner: str, group: str) -> None:
    for records in (BATCHES, STREAMS):
        records.clear(tx, owner, group)
    GROUPS.delete(tx, owner, group)


def drop_stream(tx: Tx, owner: str, group: str, stream: str) -> None:
    BATCHES.clear(tx, owner, group, stream)
    STREAMS.delete(tx, owner, group, stream)


def expire(tx: Tx, owner: str, group: Group, now_ms: int) -> int:
    """Forget the batches of a group whose lines are all older than it keeps them; how many."""
    if group.retention_days is None:
        return 0
    oldest_ms = now_ms - group.retention_days * 86_400_000
    gone = [key for key, batch in BATCHES.scan(tx, owner, group.name) if batch.lines[-1][0] < oldest_ms]
    for key in gone:
        tx.delete(key)
    return len(gone)


class LogWriter:
    """`functions.model.LogSink`: gathers lines, and writes them ten times a second in one transaction."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._pending: defaultdict[tuple[str, str, str], list[Line]] = defaultdict(list)
        self._bytes = 0
        self.lost_lines = 0  # Dropped because the store could not take them in time.

    def write(self, place: tuple[str, str, str], events: list[Line]) -> None:
        if self._bytes > _PENDING_BYTES_MAX:
            self.lost_lines += len(events)
            return
        self._pending[place] += events
        self._bytes += sum([len(message) for _, message in events])

    async def run(self) -> None:
        """For the supervisor. Real time, not the clock's: lines come as fast as they come."""
        while True:
            await asyncio.sleep(_FLUSH_EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        if not self._pending:
            return
        pending, self._pending, self._bytes = self._pending, defaultdict(list), 0
        try:
            await self._store.transact(_append_all, dict(pending), self._clock.now_ms())
        except StoreError:
            for name, lines in pending.items():
                self.write(name, lines)
            raise


def _append_all(tx: Tx, pending: dict[tuple[str, str, str], list[Line]], now_ms: int) -> None:
    for (owner, group, stream), lines in pending.items():
        append(tx, owner, group, stream, lines, now_ms)
