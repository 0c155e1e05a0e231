"""Packages for Node that tests need, from the registry, once for a machine; and apps of a test's own that use them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

_CACHE = Path("~/.cache/fogbank-tests").expanduser() / "node"
_LONGEST_S = 300
needed = [
    pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="this machine has no Node.js or npm"),
    pytest.mark.timeout(2 * _LONGEST_S + 60),
]


def installed(*packages: str) -> Path:
    """The node_modules that has them, each "NAME@VERSION"; the test is skipped where they cannot be had."""
    home = _CACHE / "+".join(name.replace("/", "+") for name in packages)
    home.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "installed").exists():
            (home / "package.json").write_text('{"name": "clients", "private": true}')
            command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", *packages]
            done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
            if done.returncode:
                pytest.skip(f"the packages cannot be had here: {done.stderr.strip()[-400:]}")
            (home / "installed").touch()
    return home / "node_modules"


def run(script: Path, *packages: str, folder: Path, **environment: str) -> str:
    """What the script writes, run in the folder as an app that has those packages; it has to end well."""
    folder.mkdir(exist_ok=True)
    (folder / "node_modules").symlink_to(installed(*packages))
    shutil.copy(script, folder)
    done = subprocess.run(
        ["node", "--trace-uncaught", script.name], cwd=folder, env={**os.environ, **environment}, capture_output=True,
        text=True, timeout=_LONGEST_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout
