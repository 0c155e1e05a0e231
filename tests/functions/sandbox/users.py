"""Programs of these tests that run as root, or as an ordinary user of this machine, and tell what they found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[3]
_NOBODY = 65534
_ELSEWHERE = [path for path in sys.path if path.endswith("-packages")]
_PACKAGES = os.pathsep.join([str(_ROOT / "src"), str(_ROOT), *_ELSEWHERE])


def told_by(program: str, user: str) -> dict[str, Any]:
    """What this module prints that is run as `user`, "root" or "user", with a folder of its own and one for a cache."""
    is_root, settings = user == "root", dict[str, Any]()
    if is_root and os.geteuid() != 0:
        pytest.skip("the tests do not run as root")
    interpreter = sys.executable if is_root else _interpreter_of_an_ordinary_user()
    with tempfile.TemporaryDirectory(prefix="fogbank-tests-") as folder:
        if not is_root and os.geteuid() == 0:
            os.chown(folder, _NOBODY, _NOBODY)
            settings = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        done = subprocess.run(
            [interpreter, "-B", "-m", program, folder, f"{folder}/cache"],
            cwd=folder, env={**os.environ, "PYTHONPATH": _PACKAGES, "HOME": "/root" if is_root else folder},
            capture_output=True, text=True, timeout=100, check=False, **settings,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["server's id"] == 0) == is_root
    return told


def _interpreter_of_an_ordinary_user() -> str:
    """One that it may run, with the modules of these tests: root's may lie in root's home."""
    if os.geteuid() != 0:
        return sys.executable
    for path in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        command = [path, "-c", "import uvloop, tests.support.workshop"]
        with suppress(OSError):
            environment = {"PYTHONPATH": _PACKAGES}
            done = subprocess.run(command, user=_NOBODY, env=environment, capture_output=True, check=False)
            if done.returncode == 0:
                return path
    pytest.skip("an ordinary user of this machine has no Python that runs these tests")
