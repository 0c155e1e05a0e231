"""What functions try to get at, and do not: as root and as an ordinary user, however their instances are born."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.functions.sandbox.protections import Protections

ROOT = Path(__file__).parents[3]
NOBODY = 65534
PACKAGES = os.pathsep.join([str(ROOT / "src"), str(ROOT), *(path for path in sys.path if path.endswith("-packages"))])
REFUSED = {
    "the keeper's environment": "EACCES",
    "the keeper's memory": "EACCES",
    "signal the server": "ESRCH",
    "signal the victim": "ESRCH",
    "state": "ENOENT",
    "victim's code": "ENOENT",
    "become root": "EINVAL",
    "mount": "EPERM",
    "umount": "EPERM",
    "a user namespace": "EPERM",
    "chroot": "EPERM",
    "ptrace": "EPERM",
    "keys": "EPERM",
    "join a namespace": "EPERM",
    "a device": "EPERM",
    "write its code": "EROFS",
    "write the system": "EROFS",
    "a raw socket": "EPERM",
    "the clock": "EPERM",
}


def interpreter_of_an_ordinary_user() -> str:
    """One that it may run, with the modules of these tests: root's may lie in root's home."""
    if os.geteuid() != 0:
        return sys.executable
    for path in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        command = [path, "-c", "import uvloop, tests.support.workshop"]
        with suppress(OSError):
            done = subprocess.run(command, user=NOBODY, env={"PYTHONPATH": PACKAGES}, capture_output=True, check=False)
            if done.returncode == 0:
                return path
    pytest.skip("an ordinary user of this machine has no Python that runs these tests")


@pytest.fixture(scope="module", params=["root", "user"])
def found(request: pytest.FixtureRequest, given: Protections) -> Iterator[dict[str, Any]]:
    if not given.cells:
        pytest.skip(f"this machine gives no namespaces: {given.missing['namespaces']}")
    is_root, settings = request.param == "root", dict[str, Any]()
    if is_root and os.geteuid() != 0:
        pytest.skip("the tests do not run as root")
    interpreter = sys.executable if is_root else interpreter_of_an_ordinary_user()
    with tempfile.TemporaryDirectory(prefix="fogbank-tests-") as folder:
        if not is_root and os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
            settings = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        done = subprocess.run(
            [interpreter, "-B", "-m", "tests.functions.sandbox.escapes", folder, f"{folder}/cache"],
            cwd=folder, env={**os.environ, "PYTHONPATH": PACKAGES, "HOME": "/root" if is_root else folder},
            capture_output=True, text=True, timeout=100, check=False, **settings,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        assert (told["server's id"] == 0) == is_root
        yield told


@pytest.mark.parametrize("born", ["fork", "zygote"])
def test_an_instance_reaches_nothing_outside_itself(found: dict[str, Any], born: str) -> None:
    assert {name: found[born][name] for name in REFUSED} == REFUSED


@pytest.mark.parametrize("born", ["fork", "zygote"])
def test_an_instance_is_nobody_with_no_rights_and_no_way_to_more(found: dict[str, Any], born: str) -> None:
    assert found[born]["ids"][:3] == [993, 993, 990]
    rights = found[born]["rights"]
    assert {rights.pop("NoNewPrivs"), rights.pop("Seccomp")} == {"1", "2"}
    assert set(rights.values()) == {"0" * 16}


@pytest.mark.parametrize("born", ["fork", "zygote", "node"])
def test_an_instance_sees_its_own_processes_and_folders_alone(found: dict[str, Any], born: str) -> None:
    first, *others = found[born]["processes"]
    assert first == 1 and len(others) == 1, "its keeper and itself"
    assert found[born]["tmp"] == []
    assert set(found[born]["root"]) >= {"opt", "proc", "tmp", "usr", "var"}
    assert not set(found[born]["root"]) & {"srv", "mnt", "media", "boot", "sys", "work"}
    if born != "node":
        assert found[born]["descriptors"], "no file of the server's is open in it"
        assert found[born]["home"] in ("ENOENT", "done: []", "done: ['.pyenv']"), "at most the way to its interpreter"


def test_a_node_instance_is_held_as_well(found: dict[str, Any]) -> None:
    node = found["node"]
    assert node["ids"] == [993, "/var/task"] and node["rights"] == "0" * 16
    assert (node["state"], node["server"], node["code"]) == ("ENOENT", "ESRCH", "EROFS")


def test_an_instance_has_no_more_disk_processes_and_descriptors_than_lambda_gives(found: dict[str, Any]) -> None:
    limits = found["limits"]
    assert limits["disk"] == "ENOSPC" and limits["descriptors"] == "EMFILE"
    assert 1000 <= limits["most descriptors"] <= 1024
    most, why = limits["forks"]
    assert 900 <= most <= 1024 and why == errno.EAGAIN


def test_what_an_instance_starts_counts_against_its_memory(found: dict[str, Any]) -> None:
    if found["protections"]["cgroup memory"] != "yes":
        pytest.skip(found["protections"]["cgroup memory"])
    error, reply = found["bomb"]
    if error is None:  # The kernel took what it had started, and the handler saw that.
        assert reply == -signal.SIGKILL
    else:
        assert reply["errorMessage"].endswith("Runtime exited with error: signal: killed")


def test_a_signal_to_everybody_reaches_nobody_else(found: dict[str, Any]) -> None:
    assert found["kill all"][1]["errorType"] == "ProcessLookupError"
    assert found["siblings"] == [1, 1, 1]
    assert found["victim"] == ["s3cret", 1] and found["victim again"] == ["s3cret", 2], (
        "the same instance, its own /tmp"
    )
