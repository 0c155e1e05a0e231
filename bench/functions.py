"""How fast functions are, as ratios taken in one run: births against plain python3, the hot path against a bare echo.

Run: .venv/bin/python -m bench.functions
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from fogbank.functions.runtimes.python import interpreters
from tests.support.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Iterator

_CUSTOM = Path(__file__).parents[1] / "tests" / "functions" / "provided" / "inside" / "bootstrap.c"
_BIRTHS = 40
_EVENTS, _ROUNDS = 4000, 5
_PAYLOAD = b'{"path": "/items", "body": "' + b"x" * 500 + b'"}'
_RESOURCE = "import boto3\nTABLE = boto3.resource('dynamodb', region_name='us-east-1').Table('items')\n"
_HANDLER = "def handler(event, context):\n    return event\n"


async def _first_replies(workshop: Workshop, version_of: list, pause_s: float = 0.0) -> list[float]:
    """Milliseconds from nothing to an answer, one event after another, each on a new instance."""
    took = []
    for version in version_of:
        began = time.perf_counter()
        outcome = await workshop.ask(version, 1)
        took.append((time.perf_counter() - began) * 1000)
        assert outcome.cold and outcome.error is None, outcome.payload
        for instance in list(workshop.engine._pools[version.id].idle):  # The next is born, not found.
            workshop.engine._pools[version.id].idle.remove(instance)
            instance.kill()
        await asyncio.sleep(pause_s)
    return took


async def _plain_python(count: int) -> list[float]:
    """The same handler's init in an interpreter started for it."""
    layer = interpreters.sdk_layer(Path(tempfile.gettempdir()) / "fogbank-bench-cache")
    environment = {"PYTHONPATH": str(layer), "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    took = []
    for _ in range(count):
        began = time.perf_counter()
        subprocess.run([interpreters.find("python3.11").path, "-S", "-c", _RESOURCE], env=environment, check=True)
        took.append((time.perf_counter() - began) * 1000)
    return took


class _Echo(asyncio.Protocol):
    """The limit: bytes to a Python process over a socket pair and back, and nothing else."""

    def __init__(self) -> None:
        self.waiter: asyncio.Future[None] | None = None
        self.missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.missing -= len(data)
        if self.missing <= 0 and self.waiter is not None:
            self.waiter.set_result(None)

    async def ask(self) -> None:
        self.waiter, self.missing = asyncio.get_running_loop().create_future(), len(_PAYLOAD)
        self.transport.write(_PAYLOAD)  # type: ignore[attr-defined]  # A socket's transport.
        await self.waiter


@contextlib.contextmanager
def _apart(pid: int) -> Iterator[None]:
    """This process on one processor and that one on another, where there are two. Left to themselves two that only wait
    for each other may share one: a bare echo is four times as fast then, and a ratio says where they happened to be."""
    before = os.sched_getaffinity(0)
    first, *others = sorted(before)
    if others:
        os.sched_setaffinity(0, {first})
        os.sched_setaffinity(pid, {others[0]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def _echo_rate(count: int) -> float:
    ours, theirs = socket.socketpair()
    program = f"import socket\ns = socket.socket(fileno={theirs.fileno()})\nwhile d := s.recv(65536): s.sendall(d)"
    process = subprocess.Popen([sys.executable, "-S", "-c", program], pass_fds=[theirs.fileno()])
    theirs.close()
    transport, echo = await asyncio.get_running_loop().connect_accepted_socket(_Echo, ours)
    await echo.ask()
    with _apart(process.pid):
        began = time.perf_counter()
        for _ in range(count):
            await echo.ask()
        rate = count / (time.perf_counter() - began)
    transport.close()
    process.kill()
    process.wait()
    return rate


async def _warm_rates(workshop: Workshop) -> tuple[float, float]:
    """Events a second, and bare echoes: in turns, so that noise meets both."""
    version = workshop.function(_HANDLER)
    await workshop.ask(version, 1)
    [instance] = workshop.engine._pools[version.id].idle
    warm, bare = [], []
    for _ in range(_ROUNDS):
        bare.append(await _echo_rate(_EVENTS))
        with _apart(instance.pid):
            warm.append(await _rate(workshop, version, _EVENTS))
    return statistics.median(warm), statistics.median(bare)


async def _rate(workshop: Workshop, version, count: int) -> float:
    await workshop.ask(version, 1)
    event = {"path": "/items", "body": "x" * 500}
    began = time.perf_counter()
    for _ in range(count):
        await workshop.ask(version, event)
    return count / (time.perf_counter() - began)


def _custom(workshop: Workshop):
    """A custom runtime in C, which costs next to nothing itself; none where no compiler is."""
    if shutil.which("gcc") is None:
        return None
    version = workshop.function({"README": ""}, runtime="provided.al2023")
    command = ["gcc", "-static", "-O2", "-D_GNU_SOURCE", "-o", str(version.code / "bootstrap"), str(_CUSTOM)]
    subprocess.run(command, check=True)
    return version


async def _custom_rows(workshop: Workshop) -> list[tuple[str, str, str]]:
    version = _custom(workshop)
    if version is None:
        return []
    birth = statistics.median(await _first_replies(workshop, [version] * _BIRTHS, pause_s=0.005))
    rate = await _rate(workshop, version, _EVENTS)
    return [
        ("custom runtime: birth, p50", f"{birth:.2f} ms", "a process and a port"),
        ("custom runtime: warm events one after another", f"{rate:,.0f}/s", "two HTTP requests each"),
    ]


async def _burst_s(workshop: Workshop, version, count: int) -> float:
    began = time.perf_counter()
    outcomes = await asyncio.gather(*(workshop.ask(version, 1) for _ in range(count)))
    assert all(outcome.error is None for outcome in outcomes)
    return time.perf_counter() - began


async def _measure(workshop: Workshop) -> list[tuple[str, str, str]]:
    small, heavy = workshop.function(_HANDLER), workshop.function(_RESOURCE + _HANDLER)
    for version in (small, heavy):  # The zygote starts, the snapshots are made.
        await _first_replies(workshop, [version])
    plain = statistics.median(await _plain_python(3))
    snapshot = statistics.median(await _first_replies(workshop, [small] * _BIRTHS))
    snapshot_heavy = statistics.median(await _first_replies(workshop, [heavy] * _BIRTHS))
    zygote = statistics.median(
        await _first_replies(workshop, [workshop.function(_RESOURCE + _HANDLER) for _ in range(5)])
    )
    warm, echo = await _warm_rates(workshop)
    bursting = workshop.function(_HANDLER)
    cold_s = await _burst_s(workshop, bursting, 200)
    warm_s = await _burst_s(workshop, bursting, 200)
    return [
        ("birth from a snapshot, p50", f"{snapshot:.2f} ms", "under 3 ms"),
        ("the same, a boto3 resource in it", f"{snapshot_heavy:.2f} ms", "under 5 ms"),
        ("birth from a zygote, a boto3 resource at import", f"{zygote:.1f} ms", f"plain python3: {plain:.1f} ms"),
        ("  as a part of plain python3", f"{zygote / plain:.2f}", "under 0.33"),
        ("warm events one after another", f"{warm:,.0f}/s", f"bare echo: {echo:,.0f}/s; each with two processors"),
        ("  as a part of the bare echo", f"{warm / echo:.2f}", "within 2x: over 0.5"),
        ("burst of 200 from zero", f"{cold_s * 1000:.0f} ms", f"warm: {warm_s * 1000:.0f} ms"),
        *await _custom_rows(workshop),
    ]


async def _spares(workshop: Workshop) -> list[float]:
    """As `_first_replies`, of a version that keeps one instance ahead."""
    version = workshop.function("import time\ndef handler(event, context):\n    time.sleep(event)\n")
    await asyncio.gather(*(workshop.ask(version, 0.1) for _ in range(3)))
    took = []
    for _ in range(_BIRTHS):
        pool = workshop.engine._pools[version.id]
        for instance in list(pool.idle):
            pool.idle.remove(instance)
            instance.kill()
        await asyncio.sleep(0.15)  # The next is there.
        began = time.perf_counter()
        assert (await workshop.ask(version, 0)).cold
        took.append((time.perf_counter() - began) * 1000)
    return took


async def _measure_in_cells(workshop: Workshop) -> list[tuple[str, str, str]]:
    if not (await workshop.engine._sandbox.given()).cells:
        return [("with the sandbox", "-", "this machine gives no namespaces")]
    small = workshop.function(_HANDLER)
    await _first_replies(workshop, [small])
    births = statistics.median(await _first_replies(workshop, [small] * _BIRTHS, 0.15))
    spares = statistics.median(await _spares(workshop))
    return [
        ("the same in the full sandbox, p50", f"{births:.2f} ms", "under 8 ms"),
        ("  where a spare was waiting", f"{spares:.2f} ms", "under 1 ms"),
    ]


def main() -> None:
    rows = []
    for sandbox, measure in (("off", _measure), ("auto", _measure_in_cells)):
        with tempfile.TemporaryDirectory() as folder:
            cache = Path(tempfile.gettempdir()) / "fogbank-bench-cache"
            workshop = Workshop(Path(folder), cache, sandbox=sandbox)
            try:
                rows += workshop.run(measure(workshop))
            finally:
                workshop.close()
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}")
    for what, found, against in rows:
        print(f"{what:<50}{found:>14}   {against}")


if __name__ == "__main__":
    main()
