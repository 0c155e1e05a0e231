"""Opening the state of a data folder, which one server at a time may do."""

from __future__ import annotations

import fcntl
import os
from typing import IO, TYPE_CHECKING

from fogbank.kernel.errors import StartError
from fogbank.kernel.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fogbank.kernel.config import Config
    from fogbank.kernel.store import Key, Store


async def open_store(config: Config, wake: Callable[[str, Key], None]) -> Store:
    """Raises `StartError` where another server has the folder."""
    lock = _lock(config.data_dir)
    return SqliteStore(str(config.store_path), wake, power_safe=config.durability == "power", on_close=lock.close)


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
