"""Packages for Node that tests need, from the registry, once for a run of the tests."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_INSTALL = ("install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


def installed(folder: Path, *packages: str) -> Path:
    """`folder` with the packages in it; the test is skipped where they cannot be had."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("this machine has no Node")
    done = subprocess.run(
        [npm, *_INSTALL, "--prefix", str(folder), *packages], capture_output=True, text=True, timeout=110, check=False
    )
    if done.returncode:
        pytest.skip(f"the packages cannot be had: {done.stderr[-200:]}")
    return folder
