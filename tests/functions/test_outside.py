"""Who waits outside is called in, one at a time, and nobody's call is lost."""

from __future__ import annotations

import asyncio
import time

import pytest

from fogbank.functions.outside import Outside
from tests.support.waiting import until

LONG_S = 600.0


def waiting(outside: Outside, within_s: float = LONG_S) -> asyncio.Task[bool]:
    return asyncio.get_running_loop().create_task(outside.wait(time.perf_counter() + within_s))


def test_they_are_called_in_as_they_came():
    async def call():
        outside = Outside()
        first, second = waiting(outside), waiting(outside)
        await until(lambda: len(outside) == 2)
        outside.call_in()
        return await first, second.done(), second.cancel()

    assert asyncio.run(call()) == (True, False, True)


def test_whoever_waits_in_vain_is_not_called():
    async def wait():
        outside = Outside()
        return await outside.wait(time.perf_counter() + 0.001), len(outside)

    assert asyncio.run(wait()) == (False, 0)


def test_a_call_in_the_moment_when_patience_ends_is_heard():
    """Else there is room, and nobody is told of it."""

    async def call():
        outside = Outside()
        told = waiting(outside, 0.01)
        while not outside:
            await asyncio.sleep(0)
        time.sleep(0.02)  # Patience is over, and the loop has not seen it yet.
        await asyncio.sleep(0)  # It sees it after this, in the same round.
        outside.call_in()
        return await told

    assert asyncio.run(call()) is True


@pytest.mark.parametrize("called", [True, False])
def test_the_call_of_one_who_has_left_is_the_next_one_s_and_no_other(called):
    async def leave():
        outside = Outside()
        first, second = waiting(outside), waiting(outside)
        await until(lambda: len(outside) == 2)
        if called:
            outside.call_in()
        first.cancel()
        await asyncio.wait([first])
        for _ in range(10):
            await asyncio.sleep(0)
        return second.done() if called else len(outside) == 1

    assert asyncio.run(leave()) is True
