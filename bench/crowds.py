"""Many instances at once: what idle ones hold, how a burst from zero compares with a warm one, how soon Node is there.

Run: .venv/bin/python -m bench.crowds
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.measuring import show
from tests.support.workshop import Workshop

if TYPE_CHECKING:
    from fogbank.functions.model import Version

_IDLE, _BURST, _ROUNDS, _NODES = 200, 500, 5, 12
_HANDLER = "def handler(event, context):\n    return event\n"
_WITH_SDK = f"import boto3\nTABLE = boto3.resource('dynamodb', region_name='us-east-1').Table('items')\n{_HANDLER}"
_NODE = "exports.handler = async (event) => event;\n"


def _held_mb(pid: int) -> float:
    """Proportional set size: what is shared counts for each who shares it. Nothing of one that has just ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _descendants() -> set[int]:
    """Of this process: instances, keepers of their cells, and what they are forks of."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found, more = {os.getpid()}, True
    while more:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
    return found - {os.getpid()}


async def _idle_mb(workshop: Workshop) -> tuple[float, float]:
    """As they are born, and when each has answered an event."""
    version, before = workshop.function(_WITH_SDK), _descendants()
    await workshop.engine.prepare(version, _IDLE)
    assert len(workshop.engine._pools[version.id].idle) == _IDLE
    born = sum(_held_mb(pid) for pid in _descendants() - before)
    await asyncio.gather(*(workshop.ask(version, 1) for _ in range(_IDLE)))
    used = sum(_held_mb(pid) for pid in _descendants() - before)
    await workshop.engine.retire(version.id)
    return born, used


async def _burst_s(workshop: Workshop, version: Version) -> float:
    began = time.perf_counter()
    outcomes = await asyncio.gather(*(workshop.ask(version, 1) for _ in range(_BURST)))
    assert all(outcome.error is None for outcome in outcomes)
    return time.perf_counter() - began


async def _bursts(workshop: Workshop) -> tuple[float, float]:
    """Medians, from zero and warm, in turns."""
    cold, warm = [], []
    for _ in range(_ROUNDS):
        version = workshop.function(_HANDLER)
        cold.append(await _burst_s(workshop, version))
        warm.append(await _burst_s(workshop, version))
        await workshop.engine.retire(version.id)
    return statistics.median(cold), statistics.median(warm)


async def _node_ms(workshop: Workshop) -> float:
    """From nothing to an answer, of a process that was waiting."""
    await workshop.ask(workshop.function(_NODE, runtime="nodejs20.x"), 1)
    took = []
    for _ in range(_NODES):
        await asyncio.sleep(0.5)  # The pool fills up again.
        version = workshop.function(_NODE, runtime="nodejs20.x")
        began = time.perf_counter()
        outcome = await workshop.ask(version, 1)
        took.append((time.perf_counter() - began) * 1000)
        assert outcome.cold and outcome.error is None, outcome.payload
        await workshop.engine.retire(version.id)
    return statistics.median(took)


async def _measure(workshop: Workshop) -> list[tuple[str, str, str]]:
    for code in (_WITH_SDK, _HANDLER):  # The zygotes start.
        await workshop.ask(workshop.function(code), 1)
    cold_s, warm_s = await _bursts(workshop)
    node: Any = await _node_ms(workshop)
    born_mb, used_mb = await _idle_mb(workshop)
    where = "in cells" if workshop.engine.protections().get("namespaces") == "yes" else "without cells"
    return [
        (f"burst of {_BURST} from zero", f"{cold_s * 1000:.0f} ms", f"warm: {warm_s * 1000:.0f} ms"),
        ("  as a part of the same warm", f"{cold_s / warm_s:.1f}", "goal: under 3"),
        ("Node, claimed from the pool, p50", f"{node:.1f} ms", "goal: under 25 ms"),
        (f"{_IDLE} idle instances with a boto3 resource, {where}", f"{born_mb:.0f} MB", "goal: under 600 MB"),
        ("  when each has answered an event", f"{used_mb:.0f} MB", ""),
    ]


def main() -> None:
    for sandbox in ("off", "auto"):
        with tempfile.TemporaryDirectory() as folder:
            cache = Path(tempfile.gettempdir()) / "fogbank-bench-cache"
            workshop = Workshop(Path(folder), cache, sandbox=sandbox)
            try:
                rows = workshop.run(_measure(workshop))
            finally:
                workshop.close()
        show(f"Many instances, --sandbox {sandbox}", rows)


if __name__ == "__main__":
    main()
