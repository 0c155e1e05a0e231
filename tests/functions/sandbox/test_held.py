"""What an instance and the keeper of its cell hold for themselves: a version has them by the hundred."""

from __future__ import annotations

import asyncio
import os
import statistics
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.workshop import Workshop

_TOGETHER = 10
_INSTANCE_KB, _KEEPER_KB = 2300, 600  # Measured: 1850 and 380.

ECHO = "def handler(e, c):\n    return e"
ORPHANS = """
import os, time
def orphan():
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, b"%d" % os.fork())
        os._exit(0)
    os.wait()
    return int(os.read(read, 16))

def handler(e, c):
    pid, until = orphan(), time.monotonic() + 5
    if pid == 0:
        os._exit(0)
    while os.path.exists("/proc/%d" % pid) and time.monotonic() < until:
        time.sleep(0.01)
    return os.path.exists("/proc/%d" % pid)
"""


def _own_kb(pid: int) -> int:
    """Of the memory that it has written to, what no other process shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))


def _process_ids(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/pid")


def _keepers(instances: list[int]) -> list[int]:
    """Who else is in the cells of these instances."""
    cells, found = {_process_ids(pid) for pid in instances}, []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if _process_ids(int(path.name)) in cells:
                found.append(int(path.name))
    return sorted(set(found) - set(instances))


def test_an_idle_instance_and_its_keeper_hold_little_of_their_own(cells: Workshop) -> None:
    version = cells.function(ECHO)

    async def born() -> list[int]:
        await cells.engine.prepare(version, _TOGETHER)
        await asyncio.gather(*(cells.ask(version) for _ in range(_TOGETHER)))  # An event for each.
        status: list[dict[str, Any]] = cells.engine.status()
        return [one["pid"] for one in status if one["state"] == "idle"]

    instances = cells.run(born())
    keepers = _keepers(instances)
    assert len(instances) == _TOGETHER and len(keepers) == _TOGETHER
    assert statistics.median(map(_own_kb, instances)) < _INSTANCE_KB
    assert statistics.median(map(_own_kb, keepers)) < _KEEPER_KB
    cells.run(cells.engine.retire(version.id))


def test_a_process_that_is_left_behind_in_a_cell_is_buried(cells: Workshop) -> None:
    version = cells.function(ORPHANS)
    assert cells.answer(version) is False
    cells.run(cells.engine.retire(version.id))
