"""A version that was asked for more than it had keeps one instance ahead of need, in its cell."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

from tests.functions.provided.conftest import own_log
from tests.functions.provided.test_extensions import WATCH, heard, leave
from tests.support.meeting import MEET, Meeting
from tests.support.waiting import until

if TYPE_CHECKING:
    from fogbank.functions.model import Version
    from tests.support.workshop import Workshop

SLOW = MEET + "def handler(e, c):\n    meet(e)\n    return c.log_stream_name"


def states(workshop: Workshop) -> list[Any]:
    return sorted(one["state"] for one in workshop.engine.status())


def crowd(workshop: Workshop, version: Version, count: int) -> list[Any]:
    """Events that are all in work at once."""

    async def ask() -> list[Any]:
        return await asyncio.gather(*(workshop.ask(version, meeting.call) for _ in range(count)))

    with Meeting(count) as meeting:
        return workshop.run(ask())  # type: ignore[no-any-return]  # `run` is for anything.


def test_one_at_a_time_needs_no_spare(cells: Workshop) -> None:
    version = cells.function(SLOW)
    for _ in range(3):
        cells.answer(version)
    cells.run(asyncio.sleep(0.2))
    assert states(cells) == ["idle"]
    cells.run(cells.engine.retire(version.id))


def test_an_event_that_finds_nobody_idle_takes_the_spare_as_a_cold_start_and_another_is_made(cells: Workshop) -> None:
    version = cells.function(SLOW)

    crowd(cells, version, 2)
    cells.run(until(lambda: states(cells) == ["idle", "idle", "spare"]))
    outcomes = crowd(cells, version, 3)
    assert sorted(one.cold for one in outcomes) == [False, False, True]
    assert len({one.payload for one in outcomes}) == 3, "three instances"
    cells.run(until(lambda: states(cells) == ["idle", "idle", "idle", "spare"]))
    cells.run(cells.engine.retire(version.id))
    assert states(cells) == []


def test_a_spare_that_died_is_not_taken(cells: Workshop) -> None:
    version = cells.function(SLOW)

    crowd(cells, version, 2)
    cells.run(until(lambda: "spare" in states(cells)))
    spare = cells.engine._pools[version.id].spare._instance
    spare.cell.kill()
    cells.run(until(lambda: spare.state == "dead"))
    assert [one.error for one in crowd(cells, version, 3)] == [None] * 3
    cells.run(cells.engine.retire(version.id))


def test_a_function_with_extensions_has_a_spare_with_its_own(cells: Workshop, extension: Any) -> None:
    """All of it is there before the event: the extensions have registered, and the initialisation is over."""
    version = cells.function(SLOW, layers=(extension("watch", WATCH),), **own_log())

    crowd(cells, version, 2)
    cells.run(until(lambda: states(cells) == ["idle", "idle", "spare"]))
    cells.run(until(lambda: cells.text().count("registered ") == 3))
    outcomes = crowd(cells, version, 3)
    assert sorted(one.cold for one in outcomes) == [False, False, True]
    assert len({one.payload for one in outcomes}) == 3
    assert len([event for event in heard(cells, version) if event["eventType"] == "INVOKE"]) == 5
    cells.run(leave(cells, version))
    assert states(cells) == []


def test_a_spare_whose_extension_ends_is_not_taken(cells: Workshop, extension: Any) -> None:
    version = cells.function(SLOW, layers=(extension("watch", WATCH),), **own_log())

    crowd(cells, version, 2)
    cells.run(until(lambda: "spare" in states(cells)))
    spare = cells.engine._pools[version.id].spare._instance
    [watching] = spare.channel.extensions.external()
    watching.process.signal(signal.SIGKILL)
    cells.run(until(lambda: spare.state == "dead"))
    assert [one.error for one in crowd(cells, version, 3)] == [None] * 3
    cells.run(leave(cells, version))


def test_a_snapshot_that_was_asked_for_is_not_kept_beside_extensions_and_the_log_says_so(
    cells: Workshop, extension: Any
) -> None:
    """What was initialised for it, extensions and all, waits for the first event."""
    version = cells.function(SLOW, layers=(extension("watch", WATCH),), snap_start=True, **own_log())
    cells.lines.clear()
    cells.run(cells.engine.snapshot(version))
    assert "fogbank: no snapshot of this function is kept: extensions run beside it" in cells.text()
    assert states(cells) == ["idle"]
    cells.answer(version)
    assert states(cells) == ["idle"]
    cells.run(until(lambda: "registered " in cells.text()))  # An extension writes when it comes to it.
    cells.run(leave(cells, version))
    assert cells.text().count("registered ") == 1
