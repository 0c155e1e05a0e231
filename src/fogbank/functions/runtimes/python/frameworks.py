"""Google's functions-framework, and what most functions load beside it, as a zygote may have loaded it before.

A function's own packages are never loaded by a zygote: it holds rights that no function has. It loads these instead,
pinned with their checksums in `packages/`; a function whose own are of the very same versions is a fork that has them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fogbank.kernel.making import making

if TYPE_CHECKING:
    from fogbank.functions.runtimes.python.interpreters import Interpreter

_PINNED: Final = Path(__file__).parent / "packages"
_KINDS: Final = ("firestore", "functions")  # The one that has loaded more stands first.
_INSTALL_S: Final = 600
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)( ;[^\\]*)?", re.MULTILINE)
_REASON_LENGTH_MAX: Final = 2000


class InstallError(Exception):
    """Packages could not be installed; the message is what pip said."""


def constraints() -> str:
    """The versions that are preferred wherever a function leaves the choice, as pip reads them."""
    text = (_PINNED / f"{_KINDS[0]}.txt").read_text(encoding="utf-8")
    return "".join(f"{name}=={version}{(marker or '').rstrip()}\n" for name, version, marker in _PIN.findall(text))


def fitting(cache_dir: Path, interpreter: Interpreter, packages: Path) -> Path | None:
    """The folder of what a zygote may have loaded for a function that has installed `packages`; none if that differs,
    or was never installed here."""
    own = versions(packages)
    for kind in _KINDS:
        folder = _folder(cache_dir, interpreter, kind)
        if folder.is_dir() and _loads(own, versions(folder)):
            return folder
    return None


def _loads(own: dict[str, str], loaded: dict[str, str]) -> bool:
    return all(own.get(name) == version for name, version in loaded.items())


@cache
def versions(packages: Path) -> dict[str, str]:
    """What is installed there, by names as pip compares them. Such a folder never changes."""
    found = importlib.metadata.distributions(path=[str(packages)])
    return {normalized(one.metadata["Name"]): one.version for one in found}


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def install(cache_dir: Path, interpreter: Interpreter, packages: Path) -> None:
    """Have at hand what zygotes of functions with these packages load, where that is known. Raises `InstallError`."""
    own = versions(packages)
    for kind in _KINDS:
        named = _names(kind)
        if named <= own.keys():
            folder = _folder(cache_dir, interpreter, kind)
            if not folder.is_dir():
                run_pip(interpreter, folder, ["--require-hashes", "--no-deps", "-r", str(_PINNED / f"{kind}.txt")])
            return


def _names(kind: str) -> set[str]:
    """What the pinned packages of a kind are there for."""
    asked = (_PINNED / f"{kind}.in").read_text(encoding="utf-8").split()
    return {normalized(name) for name in asked}


def _folder(cache_dir: Path, interpreter: Interpreter, kind: str) -> Path:
    pinned = (_PINNED / f"{kind}.txt").read_bytes()
    key = hashlib.sha256(pinned).hexdigest()[:16]
    return cache_dir / "python" / f"google-{kind}-{interpreter.version}-{key}"


def run_pip(interpreter: Interpreter, target: Path, asked: list[str], *, cwd: Path | None = None) -> None:
    """Install into a new folder, whole or not at all. Raises `InstallError`."""
    try:
        with making(target):
            if not target.is_dir():  # Functions of one source are deployed together, and need the same.
                _fill(interpreter, target, asked, cwd)
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"pip took more than {_INSTALL_S} s") from error
    except OSError as error:
        raise InstallError(str(error)) from error


def _fill(interpreter: Interpreter, target: Path, asked: list[str], cwd: Path | None) -> None:
    building = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--python", interpreter.path, "install", "--quiet"]
    options = ["--disable-pip-version-check", "--no-input", "--target", str(building)]
    try:
        result = subprocess.run(
            [*pip, *options, *asked], capture_output=True, text=True, timeout=_INSTALL_S, check=False, cwd=cwd,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if result.returncode:
            raise InstallError(result.stderr.strip()[-_REASON_LENGTH_MAX:])
        building.mkdir(exist_ok=True)  # Where nothing was asked for.
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
