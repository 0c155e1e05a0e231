"""The instances of one version, those who wait for one, and who is given which."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fogbank.functions.instances import Instance
from fogbank.functions.outside import Outside

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.functions.dialect import Dialect
    from fogbank.functions.model import Invocation, Outcome, Version
    from fogbank.functions.snapshots import Snapshot
    from fogbank.functions.spares import Spare

_BIRTHS_AT_ONCE = 12  # Of one version: more forks at a time only wait for each other.


@dataclass(slots=True, eq=False)
class Waiting:
    """An event that found no idle instance."""

    invocation: Invocation
    served: asyncio.Future[Instance | Outcome]  # The instance that is to run it, or how the birth of one failed.


@dataclass(slots=True)
class Pool:
    version: Version
    dialect: Dialect
    spare: Spare
    snapshot: Snapshot
    # The last used first: the others may be let go. One that may be at several stands here for each it has room for.
    idle: list[Instance] = field(default_factory=list)
    all: set[Instance] = field(default_factory=set)
    busy: int = 0
    waiting: deque[Waiting] = field(default_factory=deque)
    outside: Outside = field(default_factory=Outside)  # Requests beyond the most instances.
    coming: int = 0  # Births under way, or due, for those who wait.
    provisioned: int = 0
    retired: bool = False
    births: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_BIRTHS_AT_ONCE))
    filling: asyncio.Lock = field(default_factory=asyncio.Lock)  # Whoever fills it sees what the one before has made.

    # -- instances --

    def take_idle(self) -> Instance | None:
        while self.idle:
            instance = self.idle.pop()
            if instance.state == "idle":
                return instance
        return None

    def take_in(self, instance: Instance, seats: int) -> None:
        """It is initialised, and has room for so many events."""
        for _ in range(seats):
            self.give_back(instance)

    def give_back(self, instance: Instance) -> None:
        if instance.state == "idle":
            waiting = self.next_waiting()
            if waiting is None:
                self.idle.append(instance)
            else:
                waiting.served.set_result(instance)

    # -- those who wait --

    def queue(self, invocation: Invocation) -> Waiting:
        waiting = Waiting(invocation, asyncio.get_running_loop().create_future())
        self.waiting.append(waiting)
        return waiting

    async def serve(self, waiting: Waiting) -> Instance | Outcome:
        """Whichever comes first: one that another event gives back, or one that is born."""
        try:
            return await waiting.served
        except BaseException:
            if waiting in self.waiting:
                self.waiting.remove(waiting)
            elif not waiting.served.cancelled() and isinstance(served := waiting.served.result(), Instance):
                self.give_back(served)  # It was given just now.
            raise

    def next_waiting(self) -> Waiting | None:
        """Who waits longest and still waits; it waits no more."""
        while self.waiting:
            one = self.waiting.popleft()
            if not one.served.done():
                return one
        return None

    def fail(self, outcome_of: Callable[[Invocation], Outcome]) -> bool:
        """Whether somebody waits; as many are told as the instance would have had room for."""
        told = False
        for _ in range(self.version.concurrency):
            waiting = self.next_waiting()
            if waiting is None:
                break
            waiting.served.set_result(outcome_of(waiting.invocation))
            told = True
        return told

    def fail_with(self, error: Exception) -> None:
        """The same, of a failure that is none of the function's."""
        for _ in range(self.version.concurrency):
            waiting = self.next_waiting()
            if waiting is not None:
                waiting.served.set_exception(error)

    def abandon(self, error: Exception) -> None:
        while waiting := self.next_waiting():
            waiting.served.set_exception(error)
