"""Google's Node clients of Secret Manager, Cloud Tasks, Cloud Scheduler and Cloud Logging do what an app does."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.cloud import Cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCRIPT = Path(__file__).parent / "node" / "services.mjs"
_PACKAGES = (
    "@google-cloud/secret-manager@6.3.0", "@google-cloud/tasks@6.3.0", "@google-cloud/scheduler@5.4.0",
    "@google-cloud/logging@11.4.0",
)  # fmt: skip
_CACHE = Path("~/.cache/fogbank-tests").expanduser() / "google-node-services"
_LONGEST_S = 300
pytestmark = [
    pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="this machine has no Node.js or npm"),
    pytest.mark.timeout(2 * _LONGEST_S),
]


@pytest.fixture(scope="module")
def packages() -> Path:
    """The folder that has them in its node_modules, installed once for this machine and kept."""
    home = _CACHE / "-".join(name.rpartition("/")[2] for name in _PACKAGES)
    home.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "installed").exists():
            (home / "package.json").write_text('{"name": "clients", "private": true}')
            command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *_PACKAGES]
            done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
            if done.returncode:
                pytest.skip(f"Google's Node clients cannot be fetched here: {done.stderr.strip()[-400:]}")
            (home / "installed").touch()
    return home


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """On the machine's own clock: the clients of an app go by that."""
    running = Cloud(tmp_path / "data", moving=True)
    yield running
    running.stop()


def test_a_node_app_uses_all_four(cloud: Cloud, packages: Path, tmp_path: Path) -> None:
    place = tmp_path / "app"
    place.mkdir()
    (place / "node_modules").symlink_to(packages / "node_modules")
    shutil.copy(_SCRIPT, place)
    done = subprocess.run(
        ["node", "--trace-uncaught", _SCRIPT.name], cwd=place,
        env={**os.environ, "FOGBANK_ADDRESS": cloud.url.removeprefix("http://")},
        capture_output=True, text=True, timeout=_LONGEST_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
