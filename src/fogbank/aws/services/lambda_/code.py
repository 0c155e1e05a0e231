"""A function's zip: hostile until unpacked. Checked, unpacked once, kept by what is in it, never written again."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import tempfile
import zipfile
from base64 import b64encode
from pathlib import Path

from fogbank.aws.service import ServiceError
from fogbank.aws.services.lambda_ import unchanged
from fogbank.aws.services.lambda_.state import Code
from fogbank.kernel.store import StoreError

ZIPPED_BYTES_MAX = 50 * 1024 * 1024  # Lambda quotas: "Deployment package (.zip file archive) size", direct upload.
UNZIPPED_BYTES_MAX = 250 * 1024 * 1024
_FILES_MAX = 100_000
_COULD_NOT = "Could not unzip uploaded file. Please check your file, then try to upload again."


def describe(content: bytes) -> Code:
    digest = hashlib.sha256(content)
    return Code(digest.hexdigest(), b64encode(digest.digest()).decode(), len(content))


def unpack(content: bytes, folder: Path, before: unchanged.Unpacked | None = None) -> None:
    """Into `folder`, whole or not at all. `before`: an earlier zip of the same function. Takes time: not for the loop.

    Raises InvalidParameterValueException, and `StoreError` where there is no room.
    """
    if folder.is_dir():
        return
    try:
        _unpack(content, folder, before)
    except OSError as error:
        if not folder.is_dir():  # Else another request unpacked the same zip meanwhile.
            raise StoreError(error.strerror or str(error)) from error


def _unpack(content: bytes, folder: Path, before: unchanged.Unpacked | None) -> None:
    building = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))  # Functions of one app share a bundle.
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check(archive)
            unpacking = _Unpacking(archive, building, unchanged.files(content, archive, before) if before else {})
            for entry in archive.infolist():
                unpacking.write(entry)
        building.chmod(0o755)
        building.rename(folder)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise ServiceError("InvalidParameterValueException", _COULD_NOT) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _check(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    total = sum(entry.file_size for entry in entries)  # What it says of itself; `_Unpacking` holds it to that.
    if total > UNZIPPED_BYTES_MAX or len(entries) > _FILES_MAX:
        raise ServiceError(
            "InvalidParameterValueException", f"Unzipped size must be smaller than {UNZIPPED_BYTES_MAX} bytes"
        )


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
