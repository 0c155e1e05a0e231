"""What is kept of a version in cells: it may die, and takes nobody along that is at work."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

from fogbank.functions.runtimes.python.nursery import Parent
from tests.support.meeting import MEET, Meeting
from tests.support.waiting import until

if TYPE_CHECKING:
    import pytest

    from fogbank.functions.model import Version
    from tests.support.workshop import Workshop

COUNTS = f"""
{MEET}
import os, time
MADE = time.time_ns()
def handler(e, c):
    meet(e)
    return [MADE, c.log_stream_name]
"""


def family_of(cells: Workshop, version: Version) -> Any:
    """What is kept of this version."""
    return cells.engine._runtimes.of(version.runtime)._runtime._families[version.id]  # type: ignore[attr-defined]


def test_a_template_that_dies_is_replaced_and_the_event_under_way_ends(
    cells: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    initialised: list[int] = []
    known = Parent._take

    def take(parent: Parent, fact: dict[str, Any], fds: list[int], pid: int) -> None:
        if "initialised" in fact:
            initialised.append(pid)
        known(parent, fact, fds, pid)

    monkeypatch.setattr(Parent, "_take", take)
    version = cells.function(COUNTS)
    cells.answer(version)
    family = family_of(cells, version)

    async def lose_it() -> list[Any]:
        under_way = asyncio.ensure_future(cells.ask(version, meeting.call))
        await until(lambda: meeting.there)
        os.kill(initialised[0], signal.SIGKILL)  # Who ran the initialisation, and has stayed behind.
        await until(lambda: family.template is None)
        new = await cells.ask(version)
        meeting.release()
        return [new, await under_way]

    with Meeting() as meeting:
        new, old = (outcome.value() for outcome in cells.run(lose_it()))
    assert new[0] != old[0], "another initialisation"

    async def together() -> list[Any]:
        return await asyncio.gather(*(cells.ask(version, meeting.call) for _ in range(4)))

    with Meeting(4) as meeting:
        replies = [outcome.value() for outcome in cells.run(together())]
    assert {made for made, _ in replies} <= {new[0], old[0]} and len({stream for _, stream in replies}) == 4
    cells.run(cells.engine.retire(version.id))


def test_a_cell_that_dies_with_its_template_is_made_anew(cells: Workshop) -> None:
    version = cells.function(COUNTS)
    first = cells.answer(version)
    family = family_of(cells, version)
    family.cell.kill()
    cells.run(until(lambda: family.template is None and not cells.engine._pools[version.id].all))
    again = cells.answer(version)
    assert again[0] != first[0]
    cells.run(cells.engine.retire(version.id))


def test_a_snapshot_that_was_asked_for_is_taken_in_a_cell_and_each_instance_is_restored_in_one_of_its_own(
    cells: Workshop,
) -> None:
    init = "import os, time, uuid\nMADE = str(uuid.uuid4())\n"
    init += "here = lambda: [os.readlink('/proc/self/ns/mnt'), os.getuid()]\n"
    version = cells.function(
        init + MEET + "def handler(e, c):\n    meet(e)\n    return [MADE, *here()]", snap_start=True
    )
    cells.lines.clear()
    cells.run(cells.engine.snapshot(version))
    assert "INIT_REPORT" in cells.text() and "no snapshot" not in cells.text()

    async def together() -> list[Any]:
        return await asyncio.gather(*(cells.ask(version, meeting.call) for _ in range(3)))

    with Meeting(3) as meeting:
        outcomes = cells.run(together())
    made, spaces, users = zip(*(outcome.value() for outcome in outcomes), strict=True)
    assert all(outcome.restored for outcome in outcomes) and len(set(made)) == 1
    assert len(set(spaces)) == 3 and set(users) == {993}
    cells.run(cells.engine.retire(version.id))
