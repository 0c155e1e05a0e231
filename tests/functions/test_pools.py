"""Instances and those who wait for one: nobody waits while there is room."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any

from fogbank.functions.instances import Instance
from fogbank.functions.model import Invocation, Version
from fogbank.functions.pools import Pool

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

EVENT = Invocation("id", b"{}")


class Unused:
    """What a pool only keeps for others."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


def pool_of(concurrency: int, folder: Path) -> Pool:
    version = Version("v", "greet:1", "python311", "greet", folder, web=True, concurrency=concurrency)
    unused: Any = Unused()
    return Pool(version, unused, unused, unused)


def instance(pool: Pool) -> Instance:
    log: Any = Unused()
    found = Instance(pool.version, log)
    found.pid, found.state = os.getpid(), "idle"
    return found


def run(what: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(what, 20))


def test_an_instance_that_is_taken_in_serves_those_who_wait_before_it_is_idle(tmp_path):
    async def take_in():
        pool = pool_of(3, tmp_path)
        waiting = [pool.queue(EVENT) for _ in range(2)]
        new = instance(pool)
        pool.take_in(new, 3)
        return {await pool.serve(one) for one in waiting} == {new}, pool.idle == [new], not pool.waiting

    assert run(take_in()) == (True, True, True)


def test_what_was_given_to_one_who_leaves_is_the_next_one_s(tmp_path):
    async def leave():
        pool = pool_of(1, tmp_path)
        first, second = (asyncio.ensure_future(pool.serve(pool.queue(EVENT))) for _ in range(2))
        await asyncio.sleep(0)
        pool.give_back(new := instance(pool))
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        return await second is new, pool.idle

    assert run(leave()) == (True, [])


def test_one_who_leaves_before_anything_is_given_waits_no_more(tmp_path):
    async def leave():
        pool = pool_of(1, tmp_path)
        waiting = asyncio.ensure_future(pool.serve(pool.queue(EVENT)))
        await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        pool.give_back(new := instance(pool))
        return len(pool.waiting), pool.idle == [new]

    assert run(leave()) == (0, True)


def test_an_instance_that_has_ended_is_given_to_nobody(tmp_path):
    async def end():
        pool = pool_of(2, tmp_path)
        gone, there = instance(pool), instance(pool)
        pool.take_in(there, 1)
        pool.take_in(gone, 2)
        gone.state = "dead"
        pool.give_back(gone)
        return pool.take_idle() is there, pool.take_idle()

    assert run(end()) == (True, None)


def test_as_many_hear_of_a_failed_birth_as_it_would_have_had_room_for(tmp_path):
    async def fail():
        pool = pool_of(2, tmp_path)
        waiting = [pool.queue(EVENT) for _ in range(3)]
        pool.fail_with(OSError("no room"))
        told = [one.served.exception() for one in waiting[:2]]
        third = waiting[2].served.done(), pool.fail(lambda _: None), pool.fail(lambda _: None)
        return [str(one) for one in told], third

    assert run(fail()) == (["no room", "no room"], (False, True, False))
