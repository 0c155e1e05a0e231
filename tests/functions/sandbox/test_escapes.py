"""What functions try to get at, and do not: as root and as an ordinary user, however their instances are born."""

from __future__ import annotations

import errno
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.functions.sandbox.users import told_by

if TYPE_CHECKING:
    from fogbank.functions.sandbox.protections import Protections

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


@pytest.fixture(scope="module", params=["root", "user"])
def found(request: pytest.FixtureRequest, given: Protections) -> dict[str, Any]:
    if not given.cells:
        pytest.skip(f"this machine gives no namespaces: {given.missing['namespaces']}")
    return told_by("tests.functions.sandbox.escapes", request.param)


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
