"""The debugger of Python functions, debugpy: installed with pip on first need, and kept for all projects.

Its wheel for all platforms: it runs in whichever Python runs the function.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from fogbank.functions.engine import NoRuntimeError

if TYPE_CHECKING:
    from pathlib import Path

_VERSION = "1.8.22"
_PINNED = f"debugpy=={_VERSION} --hash=sha256:a9e9d3550e15ca479c59333e90845029190531f0cacfedab3b815a57bd913947\n"
_INSTALL_S = 300


def folder(cache_dir: Path) -> Path:
    """Where it can be imported from. Takes a while on first need: not for the event loop's thread. Raises
    `NoRuntimeError`."""
    home = cache_dir / "python" / f"debugpy-{_VERSION}"
    if home.is_dir():
        return home
    building = home.with_name(f"{home.name}.{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    try:
        building.mkdir(parents=True)
        asked = building / "asked.txt"
        asked.write_text(_PINNED)
        _install(asked, building)
        building.rename(home)
    except OSError as error:
        if not home.is_dir():  # Else another fogbank was quicker.
            raise NoRuntimeError(f"debugpy could not be installed: {error.strerror or error}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return home


def _install(asked: Path, into: Path) -> None:
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target",
        str(into), "--platform", "any", "--only-binary=:all:", "--require-hashes", "-r", str(asked),
    ]  # fmt: skip
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise NoRuntimeError(f"debugpy could not be installed: pip took more than {_INSTALL_S} s") from error
    if result.returncode:
        raise NoRuntimeError(f"debugpy could not be installed: {' '.join(result.stderr.split())[-400:]}")
