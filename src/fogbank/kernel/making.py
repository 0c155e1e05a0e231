"""What is made once and kept on the disk for all who need it: one at a time makes it."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def making(folder: Path) -> Iterator[None]:
    """The turn to make `folder`, which another may have made meanwhile. Waits for threads and for other processes, so
    it is not for the event loop's thread; a kill -9 lets go. Raises `OSError`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
