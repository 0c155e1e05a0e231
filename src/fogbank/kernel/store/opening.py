"""Opening the state of a data folder, which one server at a time may do."""

from __future__ import annotations

import fcntl
import importlib
import os
import sqlite3
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from fogbank.kernel.errors import StartError, unusable
from fogbank.kernel.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fogbank.kernel.clock import Clock
    from fogbank.kernel.config import Config
    from fogbank.kernel.store import Store, Waking


async def open_store(config: Config, signals: Waking, clock: Clock) -> Store:
    """Raises `StartError` where another server has the folder, or the database cannot be used."""
    try:
        lock = _lock(config.data_dir)
    except OSError as error:
        raise StartError(unusable(config.data_dir, error)) from error
    try:
        if not config.store_url:
            power_safe = config.durability == "power"
            return SqliteStore(str(config.store_path), signals.wake, power_safe=power_safe, on_close=lock.close)
        return await _networked(config.store_url, signals, clock, lock.close)
    except sqlite3.Error as error:
        lock.close()
        raise StartError(_unreadable(config.store_path, error)) from error
    except BaseException:
        lock.close()
        raise


def _unreadable(path: Path, error: sqlite3.Error) -> str:
    where = path.absolute()
    if isinstance(error, sqlite3.OperationalError):  # The file may be well, but it cannot be worked with here and now.
        return f"the state in {where} cannot be opened: {error}; nothing kept there is lost"
    return f"the state in {where} cannot be used ({error}); move it away, or choose another folder with --data"


async def _networked(url: str, signals: Waking, clock: Clock, on_close: Callable[[], None]) -> Store:
    if urlsplit(url).scheme not in ("postgresql", "postgres"):
        raise StartError(f"--store-url must begin with postgresql:// (it is {url.partition(':')[0]}:…)")
    try:
        postgres = importlib.import_module("fogbank.kernel.store.postgres")
    except ModuleNotFoundError as error:
        raise StartError("a PostgreSQL store needs psycopg: pip install 'fogbank[postgres]'") from error
    store: Store = await postgres.PostgresStore.open(url, signals, clock.aside, on_close)
    return store


def _lock(folder: Path) -> IO[str]:
    """Held by the kernel as long as this process lives: a kill -9 lets it go."""
    file = (folder / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise StartError(
            f"another fogbank (process {holder}) has the state in {folder.absolute()}; "
            "stop it with `fogbank stop`, or choose another folder with --data"
        ) from error
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
