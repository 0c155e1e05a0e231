"""Which store a configuration opens, and who may not open it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

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
