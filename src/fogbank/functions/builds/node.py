"""Node.js: what package.json asks for, and functions-framework, which the cloud adds where it is not listed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Final

import orjson

from fogbank.functions.builds.failures import BuildFailed
from fogbank.kernel.making import making

if TYPE_CHECKING:
    from pathlib import Path

_FRAMEWORK: Final = "@google-cloud/functions-framework"
_FRAMEWORK_VERSION: Final = "^3.4.0"  # Still on the runtimes that the newer ones have left behind.
_INSTALL_S: Final = 600
_REASON_LENGTH_MAX: Final = 2000
_MAINS: Final = ("index.js", "function.js")
_READ: Final = ("package-lock.json", "npm-shrinkwrap.json", ".npmrc")


def build(code: Path, cache_dir: Path, environment: dict[str, str]) -> tuple[Path, ...]:
    manifest = _manifest(code)
    source = environment.get("GOOGLE_FUNCTION_SOURCE", "")
    if source and not (code / source).is_file():
        raise BuildFailed(f"GOOGLE_FUNCTION_SOURCE specified file '{source}' but it does not exist")
    if not source and "main" not in manifest and not any((code / name).is_file() for name in _MAINS):
        raise BuildFailed("function.js or index.js does not exist, and package.json names no main")
    listed = _FRAMEWORK in {**manifest.get("dependencies", {}), **manifest.get("devDependencies", {})}
    facts = [path for name in _READ if (path := code / name).is_file()]
    key = hashlib.sha256(orjson.dumps(manifest.get("dependencies", {}), option=orjson.OPT_SORT_KEYS))
    for path in (code / "package.json", *facts):
        if path.is_file():
            key.update(path.read_bytes())
    home = cache_dir / "builds" / f"node-{key.hexdigest()[:32]}"
    if not home.is_dir():
        _install(home, manifest, facts, code, listed=listed)
    return (home,)


def _manifest(code: Path) -> dict[str, Any]:
    try:
        found = orjson.loads((code / "package.json").read_bytes())
    except FileNotFoundError:
        return {}
    except orjson.JSONDecodeError as error:
        raise BuildFailed(f"failed to parse package.json: {error}") from error
    if not isinstance(found, dict):
        raise BuildFailed("failed to parse package.json: it is no object")
    for name in ("dependencies", "devDependencies"):
        if not isinstance(found.get(name, {}), dict):
            raise BuildFailed(f"failed to parse package.json: {name} is no object")
    return found


def _install(home: Path, manifest: dict[str, Any], facts: list[Path], code: Path, *, listed: bool) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise BuildFailed("npm is not on the PATH to install the function's dependencies")
    try:
        with making(home):
            if not home.is_dir():  # Functions of one source are deployed together, and need the same.
                _fill(home, npm, manifest, facts, code, listed=listed)
    except OSError as error:
        raise BuildFailed(str(error)) from error


def _fill(home: Path, npm: str, manifest: dict[str, Any], facts: list[Path], code: Path, *, listed: bool) -> None:
    """Whole or not at all."""
    building = home.with_name(f"{home.name}.{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    into = building / "nodejs"
    try:
        into.mkdir(parents=True)
        if (code / "package.json").is_file():
            shutil.copy(code / "package.json", into)
        for path in facts:
            shutil.copy(path, into)
        options = ["--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"]
        has_lock = any(path.name != ".npmrc" for path in facts)
        if manifest.get("dependencies") or has_lock:
            _run([npm, "ci" if has_lock else "install", *options], into)
        if not listed:
            _run([npm, "install", "--no-save", *options, f"{_FRAMEWORK}@{_FRAMEWORK_VERSION}"], into)
        building.rename(home)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _run(command: list[str], into: Path) -> None:
    try:
        result = subprocess.run(
            command, cwd=into, capture_output=True, text=True, timeout=_INSTALL_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(f"npm took more than {_INSTALL_S} s") from error
    if result.returncode:
        raise BuildFailed(f"npm could not install the function's dependencies:\n{result.stderr[-_REASON_LENGTH_MAX:]}")
