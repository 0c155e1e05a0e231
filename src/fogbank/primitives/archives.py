"""A zip from anybody, hostile until unpacked: once, whole or not at all, into a folder of its own.

Nothing is written outside that folder, nothing through a link, no link leads out of it, and what the zip says of its
size is held to.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from fogbank.kernel.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

_FILES_MAX = 100_000
_LINK_BYTES_MAX = 4096  # Linux: PATH_MAX.
# What the library raises for zips that are not as they should be.
_BAD = (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error)

# What the kernel says of names and links that it takes on no disk.
_BAD_NAMES = (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EILSEQ)


class BadArchive(Exception):
    """It is no zip, or one that must not be unpacked."""


class TooLarge(Exception):
    """It would be larger than was allowed."""


def unpack(
    content: bytes, folder: Path, *, bytes_max: int,
    same: Callable[[zipfile.ZipFile], dict[str, Path]] = lambda _: {},
    then: Callable[[Path], None] = lambda _: None,
) -> None:  # fmt: skip
    """`same`: which of its files are there already, just so, elsewhere. `then` is given the folder before anybody else
    sees it. Takes time: not for the loop. Raises `BadArchive`, `TooLarge`, and `StoreError` where there is no room.
    """
    if folder.is_dir():
        return
    try:
        _unpack(content, folder, bytes_max, same, then)
    except OSError as error:
        if folder.is_dir():  # Another request has unpacked the same zip meanwhile.
            return
        if error.errno in _BAD_NAMES:  # No other disk would take it either: nobody is to wait for one.
            raise BadArchive(error.strerror) from error
        raise StoreError(error.strerror or str(error)) from error


def _unpack(
    content: bytes, folder: Path, bytes_max: int, same: Callable[[zipfile.ZipFile], dict[str, Path]],
    then: Callable[[Path], None],
) -> None:  # fmt: skip
    building = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))  # Several may share what is in one zip.
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check(archive, bytes_max)
            unpacking = _Unpacking(archive, building, same(archive))
            try:
                for entry in archive.infolist():
                    unpacking.write(entry)
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
                raise zipfile.BadZipFile("one of its files is a folder too") from error
        then(building)
        building.chmod(0o755)
        building.rename(folder)
    except _BAD as error:
        raise BadArchive(str(error)) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _check(archive: zipfile.ZipFile, bytes_max: int) -> None:
    entries = archive.infolist()
    total = sum(entry.file_size for entry in entries)  # What it says of itself; `_Unpacking` holds it to that.
    if total > bytes_max or len(entries) > _FILES_MAX:
        raise TooLarge


class _Unpacking:
    """Into a new folder that nobody else writes to: what is there already came from the same zip."""

    def __init__(self, archive: zipfile.ZipFile, root: Path, same: dict[str, Path]) -> None:
        self._archive, self._root, self._same = archive, root, same
        self._parents: set[Path] = set()  # Known to be folders inside the root.
        self._written: set[Path] = set()

    def write(self, entry: zipfile.ZipInfo) -> None:
        """Inside the root or not at all; links become nothing unless they stay inside too."""
        target = self._root / entry.filename
        parts = [part for part in entry.filename.replace("\\", "/").split("/") if part not in ("", ".")]
        if ".." in parts or entry.filename.startswith("/") or "\x00" in entry.filename:
            raise zipfile.BadZipFile(f"{entry.filename!r} leads out of the archive")
        if entry.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            return
        mode = entry.external_attr >> 16
        if stat.S_ISLNK(mode):
            if entry.file_size > _LINK_BYTES_MAX:
                raise zipfile.BadZipFile(f"{entry.filename!r} is a link that leads nowhere")
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(self._archive.read(entry).decode(), target, self._root)
            return
        self._make_parent(target.parent, entry.filename)
        if target in self._written:
            target.unlink()  # It may be another version's file too, by another name.
        elif target.is_symlink():
            raise zipfile.BadZipFile(f"{entry.filename!r} would be written through a link")
        self._written.add(target)
        if entry.filename in self._same and _link_file(self._same[entry.filename], target):
            return
        with self._archive.open(entry) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file)
        target.chmod(0o755 if mode & stat.S_IXUSR else 0o644)

    def _make_parent(self, parent: Path, name: str) -> None:
        if parent in self._parents:
            return
        parent.mkdir(parents=True, exist_ok=True)
        if not parent.resolve().is_relative_to(self._root.resolve()):
            raise zipfile.BadZipFile(f"{name!r} would be written through a link")
        self._parents.add(parent)


def _link_file(same: Path, target: Path) -> bool:
    """A second name for a file that is just so. False where there is no such file any more, or it may have no more."""
    try:
        os.link(same, target, follow_symlinks=False)
    except OSError:
        return False
    return True


def _link(points_at: str, target: Path, root: Path) -> None:
    resolved = (target.parent / points_at).resolve()
    if points_at.startswith("/") or not resolved.is_relative_to(root.resolve()):
        raise zipfile.BadZipFile(f"{target.name!r} is a link out of the archive")
    target.symlink_to(points_at)
