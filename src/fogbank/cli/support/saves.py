"""When something of an app is saved: looked at a few times a second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import watchfiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_WATCH_STEP_MS = 300
_COARSE_NS = 10_000_000  # A file's times are those of the kernel's last tick.


class Watched(Protocol):
    @property
    def file(self) -> Path:
        """The one that says what the app is."""
        ...

    @property
    def folders(self) -> set[Path]:
        """Those of its code, as it was deployed last."""
        ...


def saves(deployment: Watched) -> Iterator[bool]:
    """A few times a second, for ever: whether anything of the app was saved since the last time.

    The template is looked at by name, since most editors put another file in its place; and where a folder of code
    comes, goes, or is another than before, the watching begins anew.
    """
    template, since_ns = _stamp(deployment.file), time.time_ns()
    yield False
    while True:
        folders, unseen_since_ns = _inodes(deployment.folders), since_ns
        for changes in watchfiles.watch(
            *folders, yield_on_timeout=True, rust_timeout=_WATCH_STEP_MS, raise_interrupt=True, debounce=50, step=5,
            watch_filter=_interesting,
        ) if folders else _ticks():  # fmt: skip
            now = _stamp(deployment.file)
            saved = bool(changes) or now != template or _inodes(deployment.folders) != folders
            if unseen_since_ns:  # While the last deploy brought these folders in, nobody was watching them.
                saved, unseen_since_ns = saved or _saved_since(folders, unseen_since_ns), 0
            template, since_ns = now, time.time_ns()
            yield saved
            if _inodes(deployment.folders) != folders:
                break


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        facts = file.stat()
    except OSError:  # Between the old file and the new one.
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def _saved_since(folders: Iterable[Path], moment_ns: int) -> bool:
    names = (path for folder in folders for path in folder.rglob("*") if _interesting(None, str(path)))
    return any(facts is not None and facts[1] > moment_ns - _COARSE_NS for facts in map(_stamp, names))


def _inodes(folders: set[Path]) -> dict[Path, int]:
    return {folder: folder.stat().st_ino for folder in sorted(folders) if folder.exists()}


def _ticks() -> Iterator[None]:
    while True:
        time.sleep(_WATCH_STEP_MS / 1000)
        yield None


def _interesting(_change: watchfiles.Change | None, path: str) -> bool:
    """Logs are not: what writes into one that lies here may be telling of what we do."""
    endings = (".pyc", "~", ".swp", ".log")
    return "/.fogbank/" not in path and "/__pycache__/" not in path and not path.endswith(endings)
