"""Runs the deploys that are under way: one for each stack, in the background, begun again after a crash.

A step's record is durable before its effect is relied on, so a deploy that a crash has cut is rolled back at the next
start, and no stack stays in progress for ever.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fogbank.aws.stacks import records
from fogbank.aws.stacks.course import Course
from fogbank.kernel.store import StoreError
from fogbank.kernel.tasks import end

if TYPE_CHECKING:
    from fogbank.aws.service import House

_AGAIN_S = 1.0  # Of the machine's time: room on a disk does not come with the cloud's clock.


@dataclass(slots=True)
class _Running:
    task: asyncio.Task[None] | None = None
    course: Course | None = None  # Once it has begun.


class Deployer:
    """One for each server."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._running: dict[str, _Running] = {}

    def begin(self, stack_id: str) -> None:
        """Bring a stack to where its row says, once what is under way for it has stopped."""
        before = self._running.get(stack_id)
        if before is not None:
            self.cancel(stack_id)
        now = self._running[stack_id] = _Running()
        now.task = asyncio.get_running_loop().create_task(self._run(stack_id, now, before))

    def cancel(self, stack_id: str) -> None:
        """Let nothing new begin for a stack; an update then goes back."""
        running = self._running.get(stack_id)
        if running is not None and running.course is not None:
            running.course.cancel()

    async def resume(self) -> None:
        """After a start: what was under way when the last server ended is rolled back, or deleted to the end."""
        for stack in await self._house.store.transact(records.STACKS.all):
            under_way = stack.status.endswith("_IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS"
            if under_way and stack.id not in self._running:  # Somebody may have begun one since this server started.
                self.begin(stack.id)

    async def stop(self) -> None:
        await end(running.task for running in self._running.values() if running.task is not None)

    async def _run(self, stack_id: str, now: _Running, before: _Running | None) -> None:
        try:
            if before is not None and before.task is not None:
                await asyncio.wait([before.task])
            while True:
                try:
                    await self._bring(stack_id, now)
                    return
                except StoreError as error:  # A full disk: once there is room, all goes on as after a crash.
                    self._house.telemetry.error("deploy interrupted", stack=stack_id, error=str(error))
                    await asyncio.sleep(_AGAIN_S)
        finally:
            if self._running.get(stack_id) is now:
                del self._running[stack_id]

    async def _bring(self, stack_id: str, now: _Running) -> None:
        stack = await self._house.store.transact(records.STACKS.get, stack_id)
        if stack is None or not stack.status.endswith("_IN_PROGRESS"):
            return  # What was under way has done it already.
        rows = await self._house.store.transact(records.RESOURCES.all, stack_id)
        course = now.course = Course(self._house, stack, rows)
        try:
            await course.run()
        except StoreError:
            raise
        except Exception as error:  # A bug in a type's code: told on the stack, which must not stay in progress.
            self._house.telemetry.error("deploy failed", stack=stack.name, error=repr(error))
            await course.broken(error)
