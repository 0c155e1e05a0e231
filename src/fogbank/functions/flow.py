"""A reply that comes in pieces, on its way from the instance that makes it to whoever asked, at the reader's pace.

An instance that is faster than its reader is held up once a little is waiting. A reader that goes away holds nobody up:
as in the cloud, the function runs on, and what it still says is dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fogbank.functions.model import Outcome, Source

_WAITING_BYTES_MAX = 256 * 1024


class Flow:
    """A `Sink`: filled while an event runs, emptied by one `Reader`."""

    def __init__(self) -> None:
        self.content_type: str | None = None  # Once the function has begun to answer in pieces.
        self.outcome: Outcome | None = None  # Once it has ended.
        self._refused: Exception | None = None  # It never ran.
        self._pieces: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._abandoned = False
        self._source: Source | None = None  # While it is held up.
        self._news = asyncio.Event()

    def begin(self, content_type: str) -> None:
        self.content_type = content_type
        self._news.set()

    def add(self, piece: bytes, source: Source) -> None:
        if self._abandoned:
            return
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        self._news.set()
        if self._waiting_bytes > _WAITING_BYTES_MAX and self._source is None:
            self._source = source
            source.pause()

    def finish(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self._news.set()

    def refuse(self, error: Exception) -> None:
        self._refused = error
        self._news.set()

    async def begun(self) -> None:
        """Until the first piece is there, or the outcome is. Raises why the event was refused."""
        while not self._pieces and self.outcome is None:
            if self._refused is not None:
                raise self._refused
            await self._wait()

    async def next(self) -> bytes | None:
        """None where no more will come."""
        while not self._pieces:
            if self.outcome is not None:
                return None
            await self._wait()
        piece = self._pieces.popleft()
        self._waiting_bytes -= len(piece)
        if self._waiting_bytes <= _WAITING_BYTES_MAX // 2:
            self._let_go_on()
        return piece

    @property
    def waits(self) -> bool:
        """Whether there is something to read now."""
        return bool(self._pieces)

    def abandon(self) -> None:
        self._abandoned = True
        self._pieces.clear()
        self._let_go_on()

    def _let_go_on(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.resume()

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()


class Reader:
    """The pieces, for one `async for`. Whoever drops it, read or unread, gives them up."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    @property
    def outcome(self) -> Outcome:
        """Once all is read."""
        assert self._flow.outcome is not None
        return self._flow.outcome

    @property
    def content_type(self) -> str | None:
        """None: the function has answered as a whole, which the outcome has."""
        return self._flow.content_type

    def __aiter__(self) -> Reader:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._flow.next()
        if piece is None:
            raise StopAsyncIteration
        return piece

    def __del__(self) -> None:
        self._flow.abandon()
