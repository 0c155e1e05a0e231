"""Every background loop runs under one supervisor: named, restarted with back-off, stopped in order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from fogbank.kernel.telemetry import Telemetry

_FIRST_BACK_OFF_S = 0.1
_BACK_OFF_MAX_S = 30.0


@dataclass(frozen=True, slots=True)
class Background:
    """A loop of a service's, for the supervisor."""

    name: str  # Shown by `fogbank status`: "dynamodb: expire items".
    run: Callable[[], Awaitable[None]]


async def end(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel them, and wait until each has ended, however that was."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


@dataclass(slots=True)
class Task:
    name: str
    handle: asyncio.Task[None]
    restarts: int = 0
    last_error: str = ""


class Supervisor:
    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self.tasks: dict[str, Task] = {}

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run it until it returns; if it raises, say so and run it again. A task of this name must not be running."""
        if name in self.tasks and not self.tasks[name].handle.done():
            raise ValueError(f"a task named {name!r} is running already")
        self.tasks[name] = Task(name, asyncio.get_running_loop().create_task(self._keep(name, run), name=name))

    async def stop(self, name: str) -> None:
        task = self.tasks.pop(name, None)
        if task is not None:
            await end([task.handle])

    async def stop_all(self) -> None:
        """The last started stops first; one may start others while it is not its turn yet."""
        while self.tasks:
            await self.stop(next(reversed(self.tasks)))

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        back_off_s = _FIRST_BACK_OFF_S
        while True:
            try:
                await run()
                return
            except asyncio.CancelledError:
                raise
            except Exception as error:  # The one place that may: a loop must not die of one bad turn.
                task = self.tasks[name]
                task.restarts += 1
                task.last_error = f"{type(error).__name__}: {error}"
                self._telemetry.error("task failed", task=name, error=task.last_error, again_in_s=back_off_s)
            await asyncio.sleep(back_off_s)
            back_off_s = min(back_off_s * 2, _BACK_OFF_MAX_S)
