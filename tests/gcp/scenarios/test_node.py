"""Google's published Node clients, pointed at a server of ours by the emulators' variables, do what an app does."""

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

_SCRIPTS = Path(__file__).with_name("node")
_PACKAGES = ("@google-cloud/firestore@8.7.1", "@google-cloud/pubsub@5.3.1")
_CACHE = Path("~/.cache/fogbank-tests").expanduser() / "google-node-clients"
_LONGEST_S = 300
pytestmark = [
    pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="this machine has no Node.js or npm"),
    pytest.mark.timeout(2 * _LONGEST_S),
]


@pytest.fixture(scope="session")
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


@pytest.mark.parametrize(("script", "variable"), [
    ("firestore", "FIRESTORE_EMULATOR_HOST"), ("pubsub", "PUBSUB_EMULATOR_HOST"),
])  # fmt: skip
def test_an_app_of_nodes_does_all_that_its_client_can(
    cloud: Cloud, packages: Path, tmp_path: Path, script: str, variable: str
) -> None:
    place = tmp_path / "app"
    place.mkdir()
    (place / "node_modules").symlink_to(packages / "node_modules")
    shutil.copy(_SCRIPTS / f"{script}.mjs", place)
    address = cloud.url.removeprefix("http://")
    done = subprocess.run(
        ["node", "--trace-uncaught", f"{script}.mjs"],
        cwd=place, env={**os.environ, variable: address}, capture_output=True, text=True, timeout=_LONGEST_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
