"""A disk that is full: everybody in the tick is told, nothing of it is kept, and the store works again afterwards."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fogbank.kernel.store import StoreError
from fogbank.kernel.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from fogbank.kernel.store import Tx


def put(tx: Tx, name: str, size: int) -> None:
    tx.put(("row", name), b"x" * size)


def names(tx: Tx) -> list[str]:
    return [str(key[1]) for key, _ in tx.scan(("row",), ("row~",))]


def test_a_full_disk_fails_the_write_and_not_the_store(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = SqliteStore(str(tmp_path / "s.db"))
        await store.transact(put, "before", 10)
        [pages] = store._db.execute("PRAGMA page_count").fetchone()
        store._db.execute(f"PRAGMA max_page_count = {pages + 4}")
        together = await asyncio.gather(
            store.transact(put, "small", 10), store.transact(put, "large", 1_000_000), return_exceptions=True
        )
        assert isinstance(together[1], StoreError)
        kept = await store.transact(names)
        assert ("small" in kept) is (together[0] is None)  # Told as it is, whichever way it went.
        assert "large" not in kept and "before" in kept
        store._db.execute("PRAGMA max_page_count = 1000000")
        await store.transact(put, "after", 1_000_000)
        assert "after" in await store.transact(names)
        await store.close()

    asyncio.run(scenario())


def test_a_transaction_that_raises_writes_nothing_and_harms_no_other_of_its_tick(tmp_path: Path) -> None:
    def fails(tx: Tx) -> None:
        put(tx, "half", 1)
        raise ValueError("no")

    async def scenario() -> None:
        store = SqliteStore(str(tmp_path / "s.db"))
        results = await asyncio.gather(
            store.transact(put, "one", 1), store.transact(fails), store.transact(put, "two", 1), return_exceptions=True
        )
        assert isinstance(results[1], ValueError)
        assert await store.transact(names) == ["one", "two"]
        await store.close()

    asyncio.run(scenario())
