"""What is measured, as processes of their own on 127.0.0.1: fogbank, and its peers from the package registries.

Peers are installed once, pinned, into an environment of their own in `.bench/`; one that cannot be is left out by name.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".bench"
PYTHON_PEERS = ("ministack==1.5.33", "moto[server]==5.2.5", "functions-framework==3.10.2")
NODE_PEERS = ("serverless@3.40.0", "serverless-offline@13.9.0")
_START_S = 60


class Absent(Exception):
    """The peer is not here, and why."""


@dataclass
class Served:
    process: subprocess.Popen[bytes]
    port: int
    log: Path
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str) -> Any:
        return boto3.client(
            service, endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="test",
            aws_secret_access_key="test", config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip

    @property
    def resident_mb(self) -> float:
        """Of the process and all that it started."""
        return sum(_resident_kb(pid) for pid in _family(self.process.pid)) / 1024


def peers() -> Path:
    """The environment of the Python peers, made where it is missing."""
    bin_dir = HOME / "python" / "bin"
    done = HOME / "python" / (".done " + " ".join(PYTHON_PEERS).replace("/", "_"))
    if not done.exists():
        print("  installing the peers into .bench/ …")
        try:
            subprocess.run([sys.executable, "-m", "venv", str(HOME / "python")], check=True)
            pip = [str(bin_dir / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            subprocess.run([*pip, *PYTHON_PEERS], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Absent(f"could not be installed: {error}") from error
        done.touch()
    return bin_dir


def node_peers() -> Path:
    home = HOME / "node"
    if not (home / "node_modules" / "serverless-offline").is_dir():
        home.mkdir(parents=True, exist_ok=True)
        (home / "package.json").write_text('{"name": "peers", "private": true}')
        try:
            command = ["npm", "install", "--no-audit", "--no-fund", *NODE_PEERS]
            subprocess.run(command, cwd=home, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Absent(f"could not be installed: {error}") from error
    return home


@contextlib.contextmanager
def serving(command: list[str], port: int, *, folder: Path, ready: str = "/", **environment: str) -> Iterator[Served]:
    """Started, answering, and ended with all that it started."""
    log = folder / f"server-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            env={**os.environ, **environment},
        )  # fmt: skip
    try:
        _await_answer(process, port, ready, log)
        yield Served(process, port, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def fogbank(folder: Path) -> contextlib.AbstractContextManager[Served]:
    port = free_port()
    command = [sys.executable, "-m", "fogbank", "start", "--port", str(port), "--data", str(folder / "data")]
    return serving(command, port, folder=folder, ready="/_fogbank/health", PYTHONPATH=str(ROOT / "src"))


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _await_answer(process: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            raise Absent(f"ended with status {process.returncode}: {log.read_text(errors='replace')[-300:]}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            connection.getresponse().read()
            return
        time.sleep(0.02)
    raise Absent(f"did not answer within {_START_S} s")


def _family(pid: int) -> list[int]:
    found = [pid]
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parent = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid:
                    found += _family(int(name))
    return found


def _resident_kb(pid: int) -> int:
    """Proportional set size: pages that several processes share are counted once."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
