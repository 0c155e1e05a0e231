"""What nobody can ask for any more is forgotten bit by bit: old versions of documents, and transactions left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fogbank.gcp.services.firestore import state, transactions
from fogbank.primitives import versions

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.kernel.store import Tx

EVERY_MS: Final = 60_000
_AT_ONCE: Final = 500


async def keep_forgetting(house: House) -> None:
    while True:
        uids = await house.store.transact(_uids)
        for uid in uids:
            while await house.store.transact(_forget_versions, uid, house.clock.now_ms()) == _AT_ONCE:
                pass
        while await house.store.transact(_forget_transactions, house.clock.now_ms()):
            pass
        await house.clock.sleep(EVERY_MS)


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
