"""A disk that is full: everybody in the tick is told, nothing of it is kept, and the store works again afterwards."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fogbank.kernel.store import StoreError, sqlite_checkpoints
from fogbank.kernel.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

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


def test_an_error_that_tells_of_rows_that_are_not_kept_is_not_told_before_they_are(tmp_path: Path) -> None:
    def there_already(tx: Tx) -> None:
        if tx.get(("row", "large")) is not None:
            raise ValueError("it is there")

    async def scenario() -> None:
        store = SqliteStore(str(tmp_path / "s.db"))
        [pages] = store._db.execute("PRAGMA page_count").fetchone()
        store._db.execute(f"PRAGMA max_page_count = {pages + 4}")
        together = await asyncio.gather(
            store.transact(put, "large", 1_000_000), store.transact(there_already), return_exceptions=True
        )
        assert [type(one) for one in together] == [StoreError, StoreError]
        await store.transact(there_already)
        await store.close()

    asyncio.run(scenario())


def test_a_log_that_began_anew_in_a_large_file_costs_the_loop_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_checkpoints, "_WORTH_BYTES", 100_000)
    monkeypatch.setattr(sqlite_checkpoints, "_LARGE_BYTES", 500_000)
    monkeypatch.setattr(sqlite_checkpoints, "_LOOK_S", 0.001)
    monkeypatch.setattr(sqlite_checkpoints, "_LITTLE_S", 0.001)

    looks: list[bool] = []  # Whether each asked for a restart.
    move = sqlite_checkpoints.Checkpoints._move
    monkeypatch.setattr(
        sqlite_checkpoints.Checkpoints, "_move", lambda self: (move(self), looks.append(self._large))[0]
    )

    async def scenario() -> None:
        store = SqliteStore(str(tmp_path / "s.db"))
        restarts: list[str] = []
        store._db.set_trace_callback(lambda text: restarts.append(text) if "RESTART" in text else None)
        for number in range(2_000):
            await store.transact(put, f"{number}", 1_000)
        assert restarts
        # What is owed, until a whole look of the thread, which all others go before, asks for nothing. A log begins
        # anew with what is written next: each of these must write something.
        owed = 0
        while restarts:
            del restarts[:], looks[:]
            while len(looks) < 2 or looks[-1]:
                owed += 1
                await store.transact(put, f"owed {owed}", 1)
                await asyncio.sleep(0.005)
        for number in range(50):
            await store.transact(put, f"more {number}", 1)
            await asyncio.sleep(0.002)
        assert restarts == []
        await store.close()

    asyncio.run(scenario())
