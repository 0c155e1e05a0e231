"""Which store a configuration opens, and who may not open it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from fogbank.kernel.clock import Clock
from fogbank.kernel.config import Config
from fogbank.kernel.errors import StartError
from fogbank.kernel.signals import Signals
from fogbank.kernel.store.opening import open_store
from tests.support import postgres

if TYPE_CHECKING:
    from pathlib import Path

CLOCK = Clock()
PARTS = Signals(CLOCK), CLOCK


def test_a_second_server_on_the_same_state_is_told_who_has_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        config = Config(data_dir=tmp_path)
        first = await open_store(config, *PARTS)
        with pytest.raises(StartError, match=r"another fogbank \(process \d+\) has the state in"):
            await open_store(config, *PARTS)
        await first.close()
        await (await open_store(config, *PARTS)).close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda path: path.write_bytes(b"garbage" * 1000), "file is not a database"),
        (lambda path: _database(path, "CREATE TABLE users (name)"), "it is another program's database"),
        (lambda path: _database(path, "CREATE TABLE record (key)", "PRAGMA user_version = 9"), "a newer fogbank"),
    ],
)
def test_a_file_that_is_no_state_of_ours_is_named_and_left_as_it_is(tmp_path: Path, made: Any, why: str) -> None:
    made(tmp_path / "store.db")
    before = (tmp_path / "store.db").read_bytes()
    with pytest.raises(StartError, match=f"the state in {tmp_path}/store.db cannot be used .*{why}.*--data"):
        asyncio.run(open_store(Config(data_dir=tmp_path), *PARTS))
    assert (tmp_path / "store.db").read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()  # Root may write everywhere, but not into this.
    with pytest.raises(StartError, match=f"the state cannot be kept in {tmp_path}: .*lock: Is a directory"):
        asyncio.run(open_store(Config(data_dir=tmp_path), *PARTS))


def _database(path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def test_a_store_url_opens_the_database_and_says_so_without_the_password(tmp_path: Path) -> None:
    async def scenario() -> None:
        url = postgres.server().fresh().replace("postgres:@", "postgres:unused@")
        store = await open_store(Config(data_dir=tmp_path, store_url=url), *PARTS)
        await store.transact(lambda tx: tx.put(("kept",), b"yes"))
        assert store.describe()["driver"] == "postgresql"
        assert "unused" not in store.describe()["url"]
        await store.close()
        assert not (tmp_path / "store.db").exists()

    asyncio.run(scenario())


def test_another_kind_of_url_is_refused_by_name_and_leaves_the_folder_free(tmp_path: Path) -> None:
    async def scenario() -> None:
        with pytest.raises(StartError, match=r"must begin with postgresql:// \(it is mysql:"):
            await open_store(Config(data_dir=tmp_path, store_url="mysql://localhost/x"), *PARTS)
        await (await open_store(Config(data_dir=tmp_path), *PARTS)).close()

    asyncio.run(scenario())
