"""Dependencies and code into a bundle, whose bytes depend on the files alone: an unchanged app changes nothing."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LEFT_OUT = {".git", ".fogbank", ".aws-sam", ".venv", "__pycache__", ".pytest_cache", ".mypy_cache", ".DS_Store"}
_UNZIPPED_BYTES_MAX = 250 * 1024 * 1024  # Lambda quotas: "Deployment package (.zip file archive) size", unzipped.
_EPOCH = (1980, 1, 1, 0, 0, 0)  # The earliest that a zip can say.
_INSTALL_S = 600
_TICK_NS = 10_000_000  # A file's times are those of the kernel's last tick.


class PackageError(Exception):
    """The code cannot be bundled; the message says which folder and why."""


class _File(NamedTuple):
    """Two that are the same have the same content."""

    path: str
    size: int
    mode: int
    inode: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class Bundle:
    digest: str  # SHA-256 of the content.
    content: bytes


def bundle(source: Path, cache: Path) -> Bundle:
    """Zip a folder (or take a zip as it is), with what its requirements.txt or package.json asks for installed into it.

    `cache` keeps what was installed by the hash of the files that ask for it. Modules that lie there already are taken
    as they are.
    """
    if source.is_file():
        return _read_file(source)
    return _zip(_gathered(source, cache))


def source(folder: Path) -> Bundle:
    """Zip what is in a folder, without what package managers have put there: for a cloud that installs that itself."""
    if not folder.is_dir():
        raise PackageError(f"the code folder {folder} does not exist")
    return _zip({name: file for name, file in _files(folder) if "node_modules" not in name.split("/")})


class Bundler:
    """As `bundle`, again and again: a folder of which no file has changed is not read again."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._made: dict[Path, tuple[dict[str, _File], Bundle]] = {}

    def bundle(self, source: Path) -> Bundle:
        if source.is_file():
            return _read_file(source)
        now_ns, files = time.time_ns(), _gathered(source, self._cache)
        before = self._made.pop(source, None)
        made = before[1] if before and before[0] == files else _zip(files)
        if all(file.changed_ns < now_ns - _TICK_NS for file in files.values()):
            self._made[source] = files, made  # Else one may change once more and look as before.
        return made


def _gathered(source: Path, cache: Path) -> dict[str, _File]:
    """The files of a bundle, by their names in it."""
    if not source.is_dir():
        raise PackageError(f"the code folder {source} does not exist")
    installed = dict(_files(_requirements(source, cache))) | dict(_files(_modules(source, cache)))
    files = installed | dict(_files(source))
    total = sum(file.size for file in files.values())
    if total > _UNZIPPED_BYTES_MAX:
        limit = f"a function may have {_UNZIPPED_BYTES_MAX / 1e6:.0f}"
        raise PackageError(f"{source} is {total / 1e6:.0f} MB with its dependencies; {limit}")
    return files


def _read_file(source: Path) -> Bundle:
    """A zip is a bundle already; any other file becomes one of its own."""
    if zipfile.is_zipfile(source):
        content = source.read_bytes()
        return Bundle(hashlib.sha256(content).hexdigest(), content)
    return _zip({source.name: _file(str(source), source.stat())})


def _files(folder: Path | None) -> Iterator[tuple[str, _File]]:
    """Names inside the bundle and where each lies; links are followed only inside the folder."""
    if folder is None:
        return
    root = str(folder.resolve())
    for parent, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        inside = parent[len(root) + 1 :] + "/" if parent != root else ""
        for name in sorted(names):
            if name in _LEFT_OUT or name.endswith(".pyc"):
                continue
            facts = _facts(f"{parent}/{name}", root)
            if facts is not None and stat.S_ISREG(facts.st_mode):
                yield inside + name, _file(f"{parent}/{name}", facts)


def _facts(path: str, root: str) -> os.stat_result | None:
    """Of the file, or the one that a link leads to; none where it leads nowhere."""
    facts = os.lstat(path)
    if not stat.S_ISLNK(facts.st_mode):
        return facts
    if not Path(path).exists():
        return None
    if Path(path).is_file() and not Path(path).resolve().is_relative_to(root):
        raise PackageError(f"{path} is a link out of the code folder: copy what it points at, or leave it out")
    return Path(path).stat()


def _file(path: str, facts: os.stat_result) -> _File:
    return _File(path, facts.st_size, facts.st_mode, facts.st_ino, facts.st_mtime_ns)


def _zip(files: dict[str, _File]) -> Bundle:
    """Not compressed: it goes to this machine, and what is changed in it soon takes its place."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            file = files[name]
            entry = zipfile.ZipInfo(name, _EPOCH)
            runs = file.mode & stat.S_IXUSR
            entry.external_attr = (stat.S_IFREG | (0o755 if runs else 0o644)) << 16
            archive.writestr(entry, Path(file.path).read_bytes())
    content = buffer.getvalue()
    return Bundle(hashlib.sha256(content).hexdigest(), content)


def _requirements(source: Path, cache: Path) -> Path | None:
    """A folder with what requirements.txt asks for, installed once for each content of that file."""
    asked = source / "requirements.txt"
    if not asked.is_file() or not _asks_for_something(asked):
        return None
    key = hashlib.sha256(asked.read_bytes() + sys.version.encode()).hexdigest()
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]
    return _installed(
        asked, cache / "requirements" / key, lambda folder: [*pip, str(folder), "-r", str(asked.resolve())]
    )


def _modules(source: Path, cache: Path) -> Path | None:
    """The same for package.json, unless somebody has installed its modules in their place."""
    asked = source / "package.json"
    if (source / "node_modules").exists() or not _depends_on_something(asked):
        return None
    npm = shutil.which("npm")
    if npm is None:
        raise PackageError(f"{asked} asks for modules, and npm is not on the PATH to install them")
    facts = [file for file in (asked, source / "package-lock.json") if file.is_file()]
    key = hashlib.sha256(b"".join(file.read_bytes() for file in facts)).hexdigest()
    command = [npm, "ci" if len(facts) > 1 else "install", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"]

    def prepared(folder: Path) -> list[str]:
        folder.mkdir(parents=True, exist_ok=True)
        for file in facts:
            shutil.copy(file, folder)
        return [*command, "--prefix", str(folder)]

    return _installed(asked, cache / "modules" / key, prepared)


def _installed(asked: Path, place: Path, command: Callable[[Path], list[str]]) -> Path:
    """What the command puts into the folder that it is given; kept at `place` once it is whole."""
    if place.is_dir():
        return place
    building = place.with_suffix(f".{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    building.parent.mkdir(parents=True, exist_ok=True)
    result = subprocess.run(command(building), capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    if result.returncode:
        raise PackageError(f"{asked} could not be installed: {result.stderr.strip()[-2000:]}")
    building.rename(place)
    return place


def _depends_on_something(package: Path) -> bool:
    try:
        return bool(orjson.loads(package.read_bytes()).get("dependencies"))
    except FileNotFoundError:
        return False
    except (orjson.JSONDecodeError, AttributeError) as error:
        raise PackageError(f"{package} is not the JSON of a package: {error}") from error


def _asks_for_something(requirements: Path) -> bool:
    lines = (line.partition("#")[0].strip() for line in requirements.read_text().splitlines())
    return any(lines)
