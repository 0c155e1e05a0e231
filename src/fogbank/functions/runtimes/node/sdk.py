"""The SDK packages that Node functions find beside their own, installed once with npm and kept for all projects.

What is installed is pinned in `packages/`, with the checksum of every file that npm fetches for it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

_PINNED = Path(__file__).parent / "packages"
_INSTALL_S = 600
_REASON_LENGTH_MAX = 400


class SdkError(Exception):
    """The packages cannot be installed; the message says why and what to do."""


def folder(cache_dir: Path, generation: str) -> Path:
    """The node_modules of "v2" or "v3". Takes a while on first need: not for the event loop's thread."""
    pinned = _PINNED / generation
    key = hashlib.sha256((pinned / "package-lock.json").read_bytes()).hexdigest()[:16]
    home = cache_dir / "node" / f"sdk-{generation}-{key}"
    if home.is_dir():
        return home / "node_modules"
    building = home.with_name(f"{home.name}.{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    try:
        shutil.copytree(pinned, building)
        _install(building, generation)
        building.rename(home)
    except OSError as error:
        if not home.is_dir():  # Else another fogbank was quicker.
            raise SdkError(_told(generation, error.strerror or str(error))) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return home / "node_modules"


def _install(into: Path, generation: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise SdkError(_told(generation, "npm is not on the PATH"))
    command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    try:
        result = subprocess.run(
            command, cwd=into, capture_output=True, text=True, timeout=_INSTALL_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise SdkError(_told(generation, f"npm took more than {_INSTALL_S} s")) from error
    if result.returncode:
        raise SdkError(_told(generation, " ".join(result.stderr.split())[:_REASON_LENGTH_MAX]))


def _told(generation: str, reason: str) -> str:
    name = "aws-sdk" if generation == "v2" else "the clients of @aws-sdk"
    return f"{name} could not be installed ({reason}); it is tried again with the next instance; or bundle what is used"
