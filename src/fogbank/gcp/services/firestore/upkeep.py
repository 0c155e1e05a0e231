"""What nobody can ask for any more is forgotten bit by bit: old versions of documents, and transactions left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fogbank.gcp.services.firestore import state, transactions
from fogbank.primitives import versions

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.kernel.store import Tx

PAUSE_MS: Final = 60_000
_AT_ONCE: Final = 500


async def keep_forgetting(house: House) -> None:
    """Wakes when something is due, so that a clock that is moved by a year has few stops on its way."""
    with house.signals.watch(state.AGING) as watch:
        while True:
            now_ms = house.clock.now_ms()
            for uid in await house.store.transact(_uids):
                while await house.store.transact(_forget_versions, uid, now_ms) == _AT_ONCE:
                    pass
            while await house.store.transact(_forget_transactions, now_ms):
                pass
            due_ms = await house.store.transact(_next_due_ms)
            if due_ms is None:
                await watch.wait()
            else:
                await house.clock.sleep_until(max(due_ms, now_ms + PAUSE_MS))


def _next_due_ms(tx: Tx) -> int | None:
    oldest = [versions.oldest(tx, uid) for uid in _uids(tx)]
    due = [(at_us + state.RETENTION_US) // 1000 + 1 for at_us in oldest if at_us is not None]
    return min([*due, *transactions.expiries(tx)], default=None)


def _uids(tx: Tx) -> list[str]:
    return [row.uid for row in state.DATABASES.all(tx)]


def _forget_versions(tx: Tx, uid: str, now_ms: int) -> int:
    until_us = now_ms * 1000 - state.RETENTION_US
    forgotten = versions.forget(tx, uid, until=until_us, limit=_AT_ONCE)
    if forgotten:
        state.forgot(tx, uid, until_us)
    return forgotten


def _forget_transactions(tx: Tx, now_ms: int) -> bool:
    """Whether there may be more."""
    found = transactions.expired(tx, now_ms=now_ms, limit=_AT_ONCE)
    for uid, transaction_id in found:
        transactions.forget(tx, uid, transaction_id)
    return len(found) == _AT_ONCE
