"""Requests that found all instances full, and wait a while for room, in the order they came."""

from __future__ import annotations

import asyncio
import time
from collections import deque


class Outside:
    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, until_s: float) -> bool:
        """Whether one was called in before that moment, of `time.perf_counter`. There may be no room all the same: who
        comes just then is quicker."""
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(called)
        try:
            async with asyncio.timeout(until_s - time.perf_counter()):
                await called
        except TimeoutError:
            return _was_called(called)  # In the same moment: nobody else was.
        except asyncio.CancelledError:
            if _was_called(called):  # The next may come in instead.
                self.call_in()
            raise
        finally:
            if called in self._waiting:
                self._waiting.remove(called)
        return True

    def call_in(self) -> None:
        """Whoever waits longest."""
        while self._waiting:
            called = self._waiting.popleft()
            if not called.done():
                called.set_result(None)
                return


def _was_called(called: asyncio.Future[None]) -> bool:
    return called.done() and not called.cancelled()
