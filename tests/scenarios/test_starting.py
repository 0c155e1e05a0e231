"""What a person is told when the cloud cannot start: one line that says what, where, and what to do."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from tests.support.command import Fogbank

if TYPE_CHECKING:
    from pathlib import Path


def refused(program: Fogbank, *arguments: str) -> str:
    """The one line, in the foreground and in the background alike."""
    here, behind = (program.run("start", *arguments, *how, ok=False).stderr for how in ((), ("--detach",)))
    behind = behind.removeprefix("starting the cloud …\n")  # On a slow machine.
    assert here == behind and here.count("\n") == 1 and here.startswith("fogbank: ")
    return here


@pytest.mark.parametrize("folder", ["/proc/none", "/dev/null/x"])
def test_a_folder_that_cannot_be_made_is_named(fogbank: Fogbank, folder: str) -> None:
    told = refused(fogbank, "--data", folder)
    assert f"the state cannot be kept in {folder}" in told and "choose a folder with --data" in told


def test_a_file_that_is_no_state_is_named_and_kept(fogbank: Fogbank) -> None:
    (fogbank.folder / "odd").mkdir()
    (fogbank.folder / "odd/store.db").write_bytes(b"garbage" * 1000)
    told = refused(fogbank, "--data", "odd")
    assert "odd/store.db cannot be used (file is not a database); move it away" in told
    assert (fogbank.folder / "odd/store.db").read_bytes() == b"garbage" * 1000


def test_who_has_the_port_is_told(fogbank: Fogbank, tmp_path: Path) -> None:
    fogbank.run("start", "--detach")
    port = fogbank.url.rpartition(":")[2]
    told = refused(Fogbank(tmp_path), "--port", port, "--data", "other")
    assert f"the fogbank whose state is in {fogbank.folder}/.fogbank; end it with `fogbank stop --data" in told
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        other.settimeout(0)  # It never answers: nobody waits for that.
        told = refused(Fogbank(tmp_path), "--port", port, "--data", "other")
    assert f"port {port} on 127.0.0.1 is in use by another program; choose another with --port" in told


def test_what_a_killed_server_left_behind_does_not_lead_to_another_s_cloud(fogbank: Fogbank, tmp_path: Path) -> None:
    fogbank.run("start", "--detach")
    port, pid = fogbank.url.rpartition(":")[2], fogbank.json("status")["pid"]
    os.kill(pid, signal.SIGKILL)
    (tmp_path / "other").mkdir()
    other = Fogbank(tmp_path / "other")
    other.run("start", "--detach", "--port", port)
    try:
        assert fogbank.run("status", ok=False).returncode == 3
        assert "no fogbank is running" in fogbank.run("stop").stdout
        assert other.json("status")["status"] == "running"
    finally:
        other.stop()


def test_where_it_listens_on_all_addresses_one_that_answers_is_told(fogbank: Fogbank) -> None:
    fogbank.run("start", "--detach", "--host", "0.0.0.0")
    assert fogbank.url.startswith("http://127.0.0.1:")
    assert fogbank.client("sqs").create_queue(QueueName="q")["QueueUrl"].startswith("http://127.0.0.1:")


def test_an_ephemeral_cloud_keeps_nothing(fogbank: Fogbank) -> None:
    for _ in range(2):
        fogbank.run("start", "--detach", "--ephemeral")
        assert "QueueUrls" not in fogbank.client("sqs").list_queues()
        fogbank.client("sqs").create_queue(QueueName="q")
        fogbank.run("stop")
    assert not (fogbank.folder / ".fogbank/store.db").exists()


def test_a_setting_that_is_none_is_told_with_those_that_there_are(fogbank: Fogbank) -> None:
    told = fogbank.run("start", "--durability", "sometimes", ok=False).stderr
    assert "'sometimes' is not one of 'process', 'power'" in told
