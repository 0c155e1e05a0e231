"""A version that was asked for more than it had keeps one instance ahead of need, in its cell."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

from tests.functions.provided.conftest import own_log
from tests.functions.provided.test_extensions import WATCH, heard, leave

if TYPE_CHECKING:
    from tests.support.workshop import Workshop

SLOW = "import time\ndef handler(e, c):\n    time.sleep(e or 0)\n    return c.log_stream_name"


def states(workshop: Workshop) -> list[Any]:
    return sorted(one["state"] for one in workshop.engine.status())


async def _until(true: Any) -> None:
    for _ in range(200):
        if true():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("not within four seconds")


def test_one_at_a_time_needs_no_spare(cells: Workshop) -> None:
    version = cells.function(SLOW)
    for _ in range(3):
        cells.answer(version)
    cells.run(asyncio.sleep(0.2))
    assert states(cells) == ["idle"]
    cells.run(cells.engine.retire(version.id))


def test_an_event_that_finds_nobody_idle_takes_the_spare_as_a_cold_start_and_another_is_made(cells: Workshop) -> None:
    version = cells.function(SLOW)

    async def crowd(count: int) -> list[Any]:
        return await asyncio.gather(*(cells.ask(version, 0.1) for _ in range(count)))

    cells.run(crowd(2))
    cells.run(_until(lambda: states(cells) == ["idle", "idle", "spare"]))
    outcomes = cells.run(crowd(3))
    assert sorted(one.cold for one in outcomes) == [False, False, True]
    assert len({one.payload for one in outcomes}) == 3, "three instances"
    cells.run(_until(lambda: states(cells) == ["idle", "idle", "idle", "spare"]))
    cells.run(cells.engine.retire(version.id))
    assert states(cells) == []


def test_a_spare_that_died_is_not_taken(cells: Workshop) -> None:
    version = cells.function(SLOW)

    async def crowd(count: int) -> list[Any]:
        return await asyncio.gather(*(cells.ask(version, 0.1) for _ in range(count)))

    cells.run(crowd(2))
    cells.run(_until(lambda: "spare" in states(cells)))
    cells.engine._pools[version.id].spare._instance.cell.kill()
    cells.run(asyncio.sleep(0.1))
    assert [one.error for one in cells.run(crowd(3))] == [None] * 3
    cells.run(cells.engine.retire(version.id))


def test_a_function_with_extensions_has_a_spare_with_its_own(cells: Workshop, extension: Any) -> None:
    """All of it is there before the event: the extensions have registered, and the initialisation is over."""
    version = cells.function(SLOW, layers=(extension("watch", WATCH),), **own_log())

    async def crowd(count: int) -> list[Any]:
        return await asyncio.gather(*(cells.ask(version, 0.3) for _ in range(count)))

    cells.run(crowd(2))
    cells.run(_until(lambda: states(cells) == ["idle", "idle", "spare"]))
    before = cells.text().count("registered ")
    outcomes = cells.run(crowd(3))
    assert sorted(one.cold for one in outcomes) == [False, False, True]
    assert len({one.payload for one in outcomes}) == 3 and before == 3
    assert len([event for event in heard(cells, version) if event["eventType"] == "INVOKE"]) == 5
    cells.run(leave(cells, version))
    assert states(cells) == []


def test_a_spare_whose_extension_ends_is_not_taken(cells: Workshop, extension: Any) -> None:
    version = cells.function(SLOW, layers=(extension("watch", WATCH),), **own_log())

    async def crowd(count: int) -> list[Any]:
        return await asyncio.gather(*(cells.ask(version, 0.3) for _ in range(count)))

    cells.run(crowd(2))
    cells.run(_until(lambda: "spare" in states(cells)))
    spare = cells.engine._pools[version.id].spare._instance
    [watching] = spare.channel.extensions.external()
    watching.process.signal(signal.SIGKILL)
    cells.run(_until(lambda: spare.state == "dead"))
    assert [one.error for one in cells.run(crowd(3))] == [None] * 3
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
    assert states(cells) == ["idle"] and cells.text().count("registered ") == 1
    cells.run(leave(cells, version))
