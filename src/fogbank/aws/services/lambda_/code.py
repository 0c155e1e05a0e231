"""A function's zip: hostile until unpacked. Checked, unpacked once, kept by what is in it, never written again."""

from __future__ import annotations

import hashlib
import io
import shutil
import stat
import tempfile
import zipfile
from base64 import b64encode
from pathlib import Path

from fogbank.aws.service import ServiceError
from fogbank.aws.services.lambda_.state import Code
from fogbank.kernel.store import StoreError

ZIPPED_BYTES_MAX = 50 * 1024 * 1024  # Lambda quotas: "Deployment package (.zip file archive) size", direct upload.
UNZIPPED_BYTES_MAX = 250 * 1024 * 1024
_FILES_MAX = 100_000
_COULD_NOT = "Could not unzip uploaded file. Please check your file, then try to upload again."


def describe(content: bytes) -> Code:
    digest = hashlib.sha256(content)
    return Code(digest.hexdigest(), b64encode(digest.digest()).decode(), len(content))


def unpack(content: bytes, folder: Path) -> None:
    """Into `folder`, whole or not at all. Takes time: not for the loop.

    Raises InvalidParameterValueException, and `StoreError` where there is no room.
    """
    if folder.is_dir():
        return
    try:
        _unpack(content, folder)
    except OSError as error:
        if not folder.is_dir():  # Else another request unpacked the same zip meanwhile.
            raise StoreError(error.strerror or str(error)) from error


def _unpack(content: bytes, folder: Path) -> None:
    building = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))  # Functions of one app share a bundle.
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check(archive)
            for entry in archive.infolist():
                _write(archive, entry, building)
        building.chmod(0o755)
        building.rename(folder)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise ServiceError("InvalidParameterValueException", _COULD_NOT) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _check(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    total = sum(entry.file_size for entry in entries)  # What it says of itself; `_write` holds it to that.
    if total > UNZIPPED_BYTES_MAX or len(entries) > _FILES_MAX:
        raise ServiceError(
            "InvalidParameterValueException", f"Unzipped size must be smaller than {UNZIPPED_BYTES_MAX} bytes"
        )


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, root: Path) -> None:
    """One entry, inside `root` or not at all; links become nothing unless they stay inside too."""
    target = root / entry.filename
    parts = [part for part in entry.filename.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts or entry.filename.startswith("/") or "\x00" in entry.filename:
        raise zipfile.BadZipFile(f"{entry.filename!r} leads out of the archive")
    mode = entry.external_attr >> 16
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISLNK(mode):
        _link(archive.read(entry).decode(), target, root)
        return
    if target.is_symlink() or not target.parent.resolve().is_relative_to(root.resolve()):
        raise zipfile.BadZipFile(f"{entry.filename!r} would be written through a link")
    with archive.open(entry) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
    target.chmod(0o755 if mode & stat.S_IXUSR else 0o644)


def _link(points_at: str, target: Path, root: Path) -> None:
    resolved = (target.parent / points_at).resolve()
    if points_at.startswith("/") or not resolved.is_relative_to(root.resolve()):
        raise zipfile.BadZipFile(f"{target.name!r} is a link out of the archive")
    target.symlink_to(points_at)
