"""The end of an execution environment: everybody in it is told, has a while to end, and is ended.

Lambda Developer Guide, "Using the Lambda Extensions API to create extensions", "Shutdown phase".
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fogbank.functions.runtimes.provided.extensions import Extensions
    from fogbank.functions.runtimes.provided.telemetry import Telemetry

# "500 ms – A function with a registered internal extension; 2,000 ms – A function with one or more registered external
# extensions"; none without extensions.
_EXTERNAL_S, _INTERNAL_S = 2.0, 0.5
_RUNTIMES_PART = 0.3
_KILLED_S = 2.0  # For the kernel to end what was killed.


class Program(Protocol):
    """The process of a runtime, or of an extension."""

    gone: asyncio.Event

    @property
    def pid(self) -> int: ...
    @property
    def over(self) -> bool: ...
    def signal(self, number: int) -> None: ...
    def tree(self) -> Iterator[int]: ...


async def take_leave(runtime: Program | None, extensions: Extensions, telemetry: Telemetry, reason: str) -> None:
    """The runtime first, by a signal; then the extensions that asked for it, by an event."""
    loop, external = asyncio.get_running_loop(), extensions.external()
    limit_s = _EXTERNAL_S if external else _INTERNAL_S
    end_s = loop.time() + limit_s
    if runtime is not None:
        runtime.signal(signal.SIGTERM)
        await _gone([runtime], limit_s * _RUNTIMES_PART)
        runtime.signal(signal.SIGKILL)
    await telemetry.flush(max((end_s - loop.time()) / 2, 0))
    left_s = max(end_s - loop.time(), 0)
    event = {"eventType": "SHUTDOWN", "deadlineMs": int((time.time() + left_s) * 1000), "shutdownReason": reason}
    for extension in external:
        if "SHUTDOWN" in extension.events:
            extension.give(event)
        elif extension.process is not None:
            extension.process.signal(signal.SIGKILL)
    programs = [extension.process for extension in external if extension.process is not None]
    await _gone(programs, left_s)
    for program in programs:
        program.signal(signal.SIGKILL)
    await _gone(programs, _KILLED_S)


async def _gone(programs: Sequence[Program], timeout_s: float) -> None:
    """All of them, or the time is up."""
    waiting = [asyncio.ensure_future(program.gone.wait()) for program in programs if not program.over]
    if waiting:
        _, late = await asyncio.wait(waiting, timeout=timeout_s)
        for task in late:
            task.cancel()
