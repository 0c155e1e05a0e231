"""How far a stream's trigger has come, in each lane of each shard. All of it is kept: a restart goes on where it was.

A lane is a part of a shard's records, told by their partition keys: batches of different lanes run side by side, and
those of one lane one after the other, so what has one key stays in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fogbank.kernel.store.records import Records
from fogbank.primitives import streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fogbank.functions.triggers.model import Trigger
    from fogbank.kernel.store import Tx


@dataclass(frozen=True, slots=True)
class Window:
    """A tumbling window that is open, and what the function has made of it so far."""

    begin_ms: int
    state: str = "{}"  # JSON.
    overflown: bool = False  # The state has become too big to go on with.


@dataclass(frozen=True, slots=True)
class Progress:
    position: int  # The last record that is done with.
    lanes: int = 1  # Into how many the shard is divided.
    tries: int = 0  # Of the batch behind it.
    ends: tuple[int, ...] = ()  # Where that batch ends, and those behind it: what was tried once stays as it was.
    window: Window | None = None


PROGRESS = Records(Progress, "trigger", "progress")  # (trigger id, shard, lane)


def begin_all(tx: Tx, trigger: Trigger, shards: Sequence[str]) -> None:
    """A new trigger begins in all shards at one moment: none of them follows another that it has read."""
    if not PROGRESS.all(tx, trigger.id):
        for shard, position in [(shard, _first(tx, trigger, shard)) for shard in shards]:
            _put(tx, trigger, shard, position)
    for shard in shards:
        begin(tx, trigger, shard)


def begin(tx: Tx, trigger: Trigger, shard: str) -> list[Progress]:
    """Of each lane. Decided once, when the trigger first comes to the shard. With another number of lanes all begin
    where the last of the others was: some records come twice, none is left out."""
    kept = PROGRESS.all(tx, trigger.id, shard)
    if len(kept) == trigger.lanes and all(one.lanes == trigger.lanes for one in kept):
        return kept
    position = min(one.position for one in kept) if kept else _first(tx, trigger, shard)
    return _put(tx, trigger, shard, position)


def _put(tx: Tx, trigger: Trigger, shard: str, position: int) -> list[Progress]:
    PROGRESS.clear(tx, trigger.id, shard)
    made = [Progress(position, trigger.lanes) for _ in range(trigger.lanes)]
    for lane, one in enumerate(made):
        PROGRESS.put(tx, trigger.id, shard, lane, row=one)
    return made


def _first(tx: Tx, trigger: Trigger, shard: str) -> int:
    """Where a trigger begins. From LATEST, a shard that came out of one that it has read is read whole."""
    stream = streams.get(tx, trigger.source)
    known = stream.lineage.get(shard) if stream is not None else None
    follows = known is not None and any(PROGRESS.all(tx, trigger.id, parent) for parent in known.parents)
    if trigger.begin == "LATEST" and not follows:
        return streams.head(tx, trigger.source, shard)
    since_ms = trigger.begin_ms if trigger.begin == "AT_TIMESTAMP" else 0
    return streams.tail(tx, trigger.source, shard, since_ms=since_ms) - 1
