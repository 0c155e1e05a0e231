"""Time to live: items whose time has come are deleted, by the clock, within a second or so of it.

The moments stand in an index of their own, written with the item, so nothing is searched for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fogbank.aws.services.dynamodb import state, stored, writes
from fogbank.primitives import documents

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.aws.service import House
    from fogbank.kernel.store import Tx

BATCH: Final = 100
SWEEP: Final = 500
_PAUSE_MS: Final = 1000  # Writes of items with a time to live wake this loop at most so often.


async def run(house: House) -> None:
    with house.signals.watch(documents.EXPIRY) as watch:
        while True:
            while await house.store.transact(expire, now_ms=house.clock.now_ms(), new_id=house.ids.new) == BATCH:
                pass
            next_ms = await house.store.transact(documents.next_expiry_ms)
            if await watch.wait(next_ms):
                await house.clock.sleep(_PAUSE_MS)


def expire(tx: Tx, *, now_ms: int, new_id: Callable[[], str]) -> int:
    """Delete up to `BATCH` items; the answer is how many index rows were looked at."""
    due = documents.expired(tx, now_ms=now_ms, limit=BATCH)
    for due_ms, table, key in due:
        schema = state.find_by_id(tx, table)
        raw = None if schema is None else documents.get(tx, table, key, lock=True)
        if schema is not None and raw is not None:
            item = stored.unpack(raw)
            if schema.ttl and schema.expiry_ms(item) == due_ms:
                writes.store(tx, schema, key, raw, item, None, None, now_ms=now_ms, new_id=new_id, by="expiry")
        documents.expire(tx, table, key, was_ms=due_ms)
    return len(due)


async def run_sweeper(house: House) -> None:
    with house.signals.watch(documents.DROPPED) as watch:
        while True:
            while await house.store.transact(documents.sweep, limit=SWEEP):
                pass
            await watch.wait()
