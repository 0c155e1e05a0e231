"""Dependencies and code into a bundle, whose bytes depend on the files alone: an unchanged app changes nothing."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEFT_OUT = {".git", ".fogbank", ".aws-sam", ".venv", "__pycache__", ".pytest_cache", ".mypy_cache", ".DS_Store"}
_UNZIPPED_BYTES_MAX = 250 * 1024 * 1024  # Lambda quotas: "Deployment package (.zip file archive) size", unzipped.
_EPOCH = (1980, 1, 1, 0, 0, 0)  # The earliest that a zip can say.
_INSTALL_S = 600


class PackageError(Exception):
    """The code cannot be bundled; the message says which folder and why."""


@dataclass(frozen=True, slots=True)
class Bundle:
    digest: str  # SHA-256 of the content.
    content: bytes


def bundle(source: Path, cache: Path) -> Bundle:
    """Zip a folder (or take a zip as it is), with what its requirements.txt asks for installed into it.

    `cache` keeps installed requirements by the hash of the file that asks for them.
    """
    if source.is_file():
        return _read_file(source)
    if not source.is_dir():
        raise PackageError(f"the code folder {source} does not exist")
    files = dict(_files(_requirements(source, cache))) | dict(_files(source))
    total = sum(path.stat().st_size for path in files.values())
    if total > _UNZIPPED_BYTES_MAX:
        limit = f"a function may have {_UNZIPPED_BYTES_MAX / 1e6:.0f}"
        raise PackageError(f"{source} is {total / 1e6:.0f} MB with its dependencies; {limit}")
    return _zip(files)


def _read_file(source: Path) -> Bundle:
    """A zip is a bundle already; any other file becomes one of its own."""
    if zipfile.is_zipfile(source):
        content = source.read_bytes()
        return Bundle(hashlib.sha256(content).hexdigest(), content)
    return _zip({source.name: source})


def _files(folder: Path | None) -> Iterator[tuple[str, Path]]:
    """Names inside the bundle and where each lies; links are followed only inside the folder."""
    if folder is None:
        return
    root = folder.resolve()
    for parent, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        for name in sorted(names):
            path = Path(parent) / name
            if name in _LEFT_OUT or name.endswith(".pyc") or not path.is_file():
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                raise PackageError(f"{path} is a link out of the code folder: copy what it points at, or leave it out")
            yield path.relative_to(root).as_posix(), path


def _zip(files: dict[str, Path]) -> Bundle:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in sorted(files):
            path = files[name]
            entry = zipfile.ZipInfo(name, _EPOCH)
            runs = path.stat().st_mode & stat.S_IXUSR
            entry.external_attr = (stat.S_IFREG | (0o755 if runs else 0o644)) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    content = buffer.getvalue()
    return Bundle(hashlib.sha256(content).hexdigest(), content)


def _requirements(source: Path, cache: Path) -> Path | None:
    """A folder with what requirements.txt asks for, installed once for each content of that file."""
    asked = source / "requirements.txt"
    if not asked.is_file() or not _asks_for_something(asked):
        return None
    key = hashlib.sha256(asked.read_bytes() + sys.version.encode()).hexdigest()
    installed = cache / "requirements" / key
    if installed.is_dir():
        return installed
    building = installed.with_suffix(f".{os.getpid()}")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    result = subprocess.run(
        [*pip, "--target", str(building), "-r", str(asked.resolve())],
        capture_output=True,
        text=True,
        timeout=_INSTALL_S,
        check=False,
    )
    if result.returncode:
        raise PackageError(f"{asked} could not be installed: {result.stderr.strip()[-2000:]}")
    building.rename(installed)
    return installed


def _asks_for_something(requirements: Path) -> bool:
    lines = (line.partition("#")[0].strip() for line in requirements.read_text().splitlines())
    return any(lines)
