"""What share of the processors an instance gets: in proportion to its memory, one processor's worth at 1,769 MB.

Lambda Developer Guide, "Configure Lambda function memory": "Lambda allocates CPU power in proportion to the amount of
memory configured", "at 1,769 MB, a function has the equivalent of one vCPU".
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fogbank.functions.sandbox import groups
from tests.support.waiting import until

if TYPE_CHECKING:
    from fogbank.functions.instances import Instance
    from fogbank.functions.model import Version
    from fogbank.functions.sandbox.protections import Protections
    from tests.support.workshop import Workshop

SPINS = """
import os, time

def handler(e, c):
    if e:
        os.sched_setaffinity(0, {e["core"]})
        end = time.monotonic() + 50
        while time.monotonic() < end:
            pass
"""
ENOUGH_NS = 1_000_000_000


@pytest.fixture
def processors(given: Protections) -> None:
    """Where the kernel shares them out among instances."""
    if "cpu" not in given.limits:
        pytest.skip("no control group for processors may be made here")


def held(cells: Workshop, version: Version) -> Instance:
    """Its one instance, once that is in its own group."""
    cells.answer(version)
    [instance] = cells.engine._pools[version.id].idle
    assert instance.cell is not None and instance.cell.group is not None
    group = instance.cell.group
    cells.run(until(lambda: instance.pid in group.members()))
    return instance


def setting(instance: Instance, name: str) -> str | None:
    """What stands in that file of its group; None where its hierarchy has none of that name."""
    assert instance.cell is not None and instance.cell.group is not None
    found = [folder / name for folder in instance.cell.group._folders if (folder / name).exists()]
    return found[0].read_text().strip() if found else None


def ran_ns(instance: Instance) -> int:
    """How long it has been on a processor."""
    return int(Path(f"/proc/{instance.pid}/schedstat").read_text().split()[0])


@pytest.mark.usefixtures("processors")
@pytest.mark.parametrize(
    ("memory_mb", "shares", "weight"), [(128, 74, 7), (1769, 1024, 100), (3538, 2048, 200), (10_240, 5927, 578)]
)
def test_a_group_has_the_share_of_its_functions_memory_and_no_ceiling(
    cells: Workshop, memory_mb: int, shares: int, weight: int
) -> None:
    """1,024 shares (version 1) and a weight of 100 (version 2) are what the kernel gives one process."""
    version = cells.function(SPINS, memory_mb=memory_mb)
    instance = held(cells, version)
    found = setting(instance, "cpu.shares"), setting(instance, "cpu.weight")
    assert found in ((str(shares), None), (None, str(weight)))
    assert setting(instance, "cpu.cfs_quota_us") in (None, "-1")
    assert (setting(instance, "cpu.max") or "max").startswith("max")
    cells.run(cells.engine.retire(version.id))


@pytest.mark.parametrize(
    ("memory_mb", "shares", "weight"), [(128, 74, 7), (1769, 1024, 100), (10_240, 5927, 578), (1, 2, 1)]
)
def test_both_versions_of_control_groups_are_told_the_same_within_what_they_take(
    memory_mb: int, shares: int, weight: int
) -> None:
    """cgroups(7): cpu.shares begin at 2; cgroup-v2, "cpu.weight": 1 to 10,000. This machine may have only one."""
    values = groups._values(memory_mb, 512, 1024)
    told = {file: text.format_map(values) for file, text in (*groups._V1["cpu"], *groups._V2)}
    assert (told["cpu.shares"], told["?cpu.weight"]) == (str(shares), str(weight))


@pytest.mark.usefixtures("processors")
def test_two_functions_on_one_processor_get_it_in_proportion_to_their_memory(cells: Workshop) -> None:
    """Whoever else wants the processor takes from both alike, so this holds on a busy machine too."""
    core = max(os.sched_getaffinity(0))
    small, large = (cells.function(SPINS, memory_mb=mb, timeout_ms=55_000) for mb in (128, 1769))
    little, much = held(cells, small), held(cells, large)

    async def side_by_side() -> float:
        spinning: list[asyncio.Task[Any]] = [
            asyncio.ensure_future(cells.ask(version, {"core": core})) for version in (small, large)
        ]

        def pinned() -> bool:
            return all(os.sched_getaffinity(one.pid) == {core} for one in (little, much))

        await until(pinned)
        before = ran_ns(little), ran_ns(much)
        await until(lambda: ran_ns(much) - before[1] > ENOUGH_NS, within_s=45)
        ratio = (ran_ns(much) - before[1]) / (ran_ns(little) - before[0])
        for one in (little, much):
            one.kill()
        await asyncio.gather(*spinning)
        return ratio

    ratio = cells.run(side_by_side())
    assert 0.7 < ratio / (1769 / 128) < 1.4
    for version in (small, large):
        cells.run(cells.engine.retire(version.id))
