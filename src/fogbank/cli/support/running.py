"""The server of a data folder: finding it, starting it in the background, stopping it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.cli.support.client import Client
from fogbank.cli.support.problems import Problem
from fogbank.kernel.errors import unusable

if TYPE_CHECKING:
    from pathlib import Path

    from fogbank.kernel.config import Config

_START_S = 30.0
_ANSWER_S = 5.0
_STRANGER_S = 1.0
_ROOM_BYTES = 1_000_000  # With less on the disk, not even the reason of a failure can be written down.
_STOP_S = 15.0
_LOOK_AGAIN_S = 0.02


@dataclass(frozen=True, slots=True)
class Running:
    pid: int
    url: str
    region: str = ""

    @property
    def client(self) -> Client:
        return Client(self.url)


def note_path(data: Path) -> Path:
    """Where a server of this folder says how it can be reached."""
    return data / "run" / "server.json"


def write_note(data: Path, url: str, region: str) -> None:
    note_path(data).parent.mkdir(parents=True, exist_ok=True)  # An ephemeral state lies elsewhere.
    temporary = note_path(data).with_suffix(".new")
    temporary.write_bytes(orjson.dumps({"pid": os.getpid(), "url": url, "region": region}))
    temporary.replace(note_path(data))


def find(data: Path) -> Running | None:
    """The server of this folder, if one answers: after a kill -9 somebody else may by now be where the note points."""
    try:
        note = orjson.loads(note_path(data).read_bytes())
        running = Running(note["pid"], note["url"], note.get("region", ""))
        answer = Client(running.url, timeout_s=_ANSWER_S).get("/_fogbank/health")
    except (OSError, ValueError, KeyError, TypeError, Problem):
        return None
    return running if answer.get("pid") == running.pid else None


def holder(url: str) -> dict[str, Any] | None:
    """What the fogbank at an address says of itself; None where another program answers, or nobody."""
    try:
        facts = Client(url, timeout_s=_STRANGER_S).get("/_fogbank/status")
    except Problem:
        return None
    return facts if "data_dir" in facts else None


def need(data: Path) -> Running:
    running = find(data)
    if running is None:
        raise Problem(f"no fogbank is running on {data.absolute()}; start one with `fogbank start --detach`")
    return running


def start_detached(data: Path, config: Config) -> Running:
    """Start a server in the background, as `config` says; its log goes to DATA/fogbank.log."""
    log = data / "fogbank.log"
    try:
        data.mkdir(parents=True, exist_ok=True)
        output = log.open("ab")
    except OSError as error:
        raise Problem(unusable(data, error)) from error
    with output:
        began_at = output.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "fogbank", "start", "--data", str(data), *_arguments(config)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            env=os.environ | {"FOGBANK_STORE_URL": config.store_url},  # Its password is not for `ps` to show.
        )  # fmt: skip
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        running = find(data)
        if running is not None and running.pid == process.pid:
            return running
        if process.poll() is not None:
            said = log.read_bytes()[began_at:].decode(errors="replace").strip()
            raise Problem(said.removeprefix("fogbank: ") or _silent_end(data, process.returncode, log))
        time.sleep(_LOOK_AGAIN_S)
    process.kill()
    raise Problem(f"the server did not answer within {_START_S:.0f} s and was ended; see {log}")


def _silent_end(data: Path, status: int, log: Path) -> str:
    if shutil.disk_usage(data).free < _ROOM_BYTES:
        return f"the disk of {data.absolute()} is full: make room there and start again; nothing kept there is lost"
    return f"the server ended with status {status}; see {log}"


def stop(data: Path) -> bool:
    """End the server of this folder; False if none is running."""
    running = find(data)
    if running is None:
        return False
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    while time.monotonic() < deadline:
        if not _alive(running.pid):
            return True
        time.sleep(_LOOK_AGAIN_S)
    raise Problem(f"the server (process {running.pid}) did not end within {_STOP_S:.0f} s; see {data / 'fogbank.log'}")


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123
            return stat.read().rpartition(b")")[2].split()[0] != b"Z"  # Ended, only not yet reaped by its parent.
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not os.path.isdir("/proc/self")  # noqa: PTH112  # With /proc, its absence there was the answer.


def _arguments(config: Config) -> list[str]:
    """The options that start a server as `config` says (its data folder aside)."""
    given = ["--port", str(config.port), "--host", config.host, "--region", config.region]
    given += ["--durability", config.durability, "--log-level", config.log_level, "--sandbox", config.sandbox]
    given += ["--verify-signatures"] if config.verify_signatures else []
    given += ["--emulator-ports"] if config.emulator_ports else []
    return [*given, "--ephemeral"] if config.ephemeral else given
