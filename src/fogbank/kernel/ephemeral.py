"""A folder for a state that nobody wants to keep: gone when its server ends, however that ends.

A server that was killed leaves one behind; the next one finds that nobody holds it, and removes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

_NAME, _NEW = "fogbank-ephemeral-", "fogbank-new-"  # It has its name once it is held.
_HELD = "held"


class Ephemeral:
    def __init__(self, place: Path) -> None:
        """Below `place`. Raises `OSError`."""
        _sweep(place)
        new = Path(tempfile.mkdtemp(prefix=_NEW, dir=place))
        self._lock = _lock(new)
        self.folder = new.with_name(_NAME + new.name.removeprefix(_NEW))
        new.rename(self.folder)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _sweep(place: Path) -> None:
    for folder in place.glob(f"{_NAME}*"):
        with suppress(OSError):  # Another has been quicker.
            if folder.is_symlink() or folder.lstat().st_uid != os.geteuid():
                continue
            lock = _lock(folder)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _lock(folder: Path) -> int | None:
    """None where somebody has it."""
    lock = os.open(folder / _HELD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock
