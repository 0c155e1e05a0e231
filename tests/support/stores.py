"""Every driver of the store, opened fresh: what holds for one must hold for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.kernel.store.dictionary import DictionaryStore
from fogbank.kernel.store.postgres import PostgresStore
from fogbank.kernel.store.sqlite import SqliteStore
from tests.support import postgres

if TYPE_CHECKING:
    from fogbank.kernel.store import Store

DRIVERS = ("sqlite", "dictionary", "postgresql")


async def fresh(driver: str, signals: Any = None) -> Store:
    wake = {} if signals is None else {"wake": signals.wake}
    if driver == "sqlite":
        return SqliteStore(":memory:", **wake)
    if driver == "dictionary":
        return DictionaryStore(**wake, rehearse=True)
    return await PostgresStore.open(postgres.server().fresh(), signals)
