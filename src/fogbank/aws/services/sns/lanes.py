"""How many requests go to one endpoint at a time: one that does not answer must not take the room of all others."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fogbank.kernel.clock import Clock

LANE_WIDTH = 8
_PATIENCE_MS = 500


class Busy(Exception):
    """The endpoint has enough to answer already."""


class _Lane:
    def __init__(self) -> None:
        self.open, self.waiting, self.freed = 0, 0, asyncio.Event()


class Lanes:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}

    @asynccontextmanager
    async def of(self, endpoint: str) -> AsyncIterator[None]:
        """`async with lanes.of(url)`: as one of those that are let in. Raises `Busy` where none of them ends soon."""
        lane = self._lanes.setdefault(endpoint, _Lane())
        lane.waiting += 1
        try:
            await self._enter(lane)
            lane.open += 1
        finally:
            lane.waiting -= 1
            self._tidy(endpoint, lane)
        try:
            yield
        finally:
            lane.open -= 1
            lane.freed.set()
            self._tidy(endpoint, lane)

    async def _enter(self, lane: _Lane) -> None:
        until_ms = self._clock.now_ms() + _PATIENCE_MS
        while lane.open >= LANE_WIDTH:
            lane.freed.clear()
            if not await self._clock.wait_for(lane.freed, until_ms):
                raise Busy

    def _tidy(self, endpoint: str, lane: _Lane) -> None:
        if not lane.open and not lane.waiting:
            self._lanes.pop(endpoint, None)
