"""What is to happen at a moment: entries ordered by when they are due, each kept until it has been put off or dropped.

The next moment is part of the key, so what is due is the beginning of a scan, and a restart changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.kernel.clock import Clock
    from fogbank.kernel.signals import Signals
    from fogbank.kernel.store import Store, Tx

CHANGED = "schedules.changed"  # The signal: something may be due sooner than was known. Its key is (kind,).


@dataclass(frozen=True, slots=True)
class Entry:
    id: str
    due_ms: int
    notes: dict[str, Any] = field(default_factory=dict)  # The skin's own.


DUE = Records(Entry, "schedule", "due")  # (kind, due_ms, id)
PLACES = Records(int, "schedule", "place")  # (kind, id) → due_ms


def put(tx: Tx, kind: str, entry: Entry) -> None:
    """Add an entry, or move the one of this id. `kind` keeps the entries of different services apart."""
    drop(tx, kind, entry.id)
    DUE.put(tx, kind, entry.due_ms, entry.id, row=entry)
    PLACES.put(tx, kind, entry.id, row=entry.due_ms)
    tx.emit(CHANGED, (kind,))


def drop(tx: Tx, kind: str, entry_id: str) -> None:
    due_ms = PLACES.get(tx, kind, entry_id)
    if due_ms is not None:
        DUE.delete(tx, kind, due_ms, entry_id)
        PLACES.delete(tx, kind, entry_id)


def due(tx: Tx, kind: str, now_ms: int, limit: int = 100) -> list[Entry]:
    """What is due, longest due first. It stays until its holder puts it off or drops it, in the same transaction."""
    rows = tx.claim(DUE.key(kind), DUE.key(kind, now_ms + 1), limit=limit)
    return [DUE.decode(raw) for _, raw in rows]


def next_due_ms(tx: Tx, kind: str) -> int | None:
    for _, entry in DUE.scan(tx, kind, limit=1):
        return entry.due_ms
    return None


async def keep(
    store: Store, clock: Clock, signals: Signals, kind: str, act: Callable[[Tx, Entry, int], None]
) -> None:  # fmt: skip
    """For the supervisor: each entry that is due is dropped and handed to `act`, which may put it again, in one
    transaction; so it is acted on once, whatever is killed when."""
    with signals.watch(CHANGED, (kind,)) as watch:
        while True:
            now_ms = clock.now_ms()
            with clock.aside:  # A moving clock waits for what is due at a moment before it goes on.
                next_ms = await store.transact(_act_on_due, kind, act, now_ms)
            if next_ms is None or next_ms > now_ms:
                await watch.wait(next_ms)


def _act_on_due(tx: Tx, kind: str, act: Callable[[Tx, Entry, int], None], now_ms: int) -> int | None:
    for entry in due(tx, kind, now_ms):
        drop(tx, kind, entry.id)
        act(tx, entry, now_ms)
    return next_due_ms(tx, kind)
