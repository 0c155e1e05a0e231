"""Time as a thing that is handed in, so that a test, or a user with `fogbank clock advance 1d`, can move it.

A clock is a source of time plus an offset. Whoever sleeps, sleeps until a moment *of this clock*: moving the
clock wakes the sleepers whose moment has come, in the order of their moments.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SETTLE_ROUNDS = 20
_SETTLE_MAX_S = 2.0  # At one moment on the way.
_PATIENCE_S = 10.0  # In one move.
_LOOK_AGAIN_S = 0.001
_MOVES_KEPT = 1000


class Aside:
    """Work that the event loop does not see (a thread's, a function's): a moving clock waits for it a while. `with
    clock.aside:` round the await of it."""

    def __init__(self) -> None:
        self.running = 0
        self.ended = 0

    def __enter__(self) -> None:
        self.running += 1

    def __exit__(self, *_: object) -> None:
        self.running -= 1
        self.ended += 1


class Clock:
    def __init__(self, source_ns: Callable[[], int] = time.time_ns, *, offset_ms: int = 0) -> None:
        """`source_ns`: nanoseconds since the Unix epoch, by the machine's clock. Asked several times for each request,
        so that nothing stands between."""
        self._source_ns, self.offset_ms = source_ns, offset_ms
        self._alarms: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self.aside = Aside()
        self._moves: deque[tuple[int, int]] = deque(maxlen=_MOVES_KEPT)  # (wall ms, offset until then).

    def now_ms(self) -> int:
        return self._source_ns() // 1_000_000 + self.offset_ms

    def wall_ms(self) -> int:
        """What the machine's own clock says, however this one was moved."""
        return self._source_ns() // 1_000_000

    def then_ms(self, wall_ms: int) -> int:
        """What this clock said when the machine's said `wall_ms`, as far as its moves are remembered."""
        return wall_ms + next((before for at, before in self._moves if at > wall_ms), self.offset_ms)

    async def sleep(self, milliseconds: int) -> None:
        await self.sleep_until(self.now_ms() + milliseconds)

    async def sleep_until(self, due_ms: int) -> None:
        if due_ms <= self.now_ms():
            await asyncio.sleep(0)
            return
        alarm: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._alarms, (due_ms, next(self._order), alarm))
        self._set_timer()
        await alarm

    async def wait_for(self, event: asyncio.Event, until_ms: int | None) -> bool:
        """True when `event` is set, False if this clock reaches `until_ms` first."""
        if event.is_set() or until_ms is None:
            return await event.wait()
        waiter = asyncio.ensure_future(event.wait())
        sleeper = asyncio.ensure_future(self.sleep_until(until_ms))
        try:
            await asyncio.wait((waiter, sleeper), return_when=asyncio.FIRST_COMPLETED)
            return waiter.done()
        finally:
            waiter.cancel()
            sleeper.cancel()

    async def advance(self, milliseconds: int) -> None:
        """Move on, stopping at every alarm on the way: what sleeps an hour at a time wakes 24 times in a day."""
        target_ms, give_up_s = self.now_ms() + milliseconds, time.monotonic() + _PATIENCE_S
        self._moves.append((self.wall_ms(), self.offset_ms))
        while (due_ms := self._next_due_ms()) is not None and due_ms <= target_ms:
            self.offset_ms += max(0, due_ms - self.now_ms())
            self._ring()
            await self._settle(give_up_s)
        self.offset_ms += max(0, target_ms - self.now_ms())
        self._set_timer()

    async def _settle(self, give_up_s: float) -> None:
        """Let those who woke do what they woke for, and set their next alarm after it. Who is busy all the time holds
        nobody up for long."""
        give_up_s = min(give_up_s, time.monotonic() + _SETTLE_MAX_S)
        while True:
            ended = self.aside.ended
            for _ in range(_SETTLE_ROUNDS):
                await asyncio.sleep(0)
            is_quiet = not self.aside.running and self.aside.ended == ended
            if is_quiet or time.monotonic() > give_up_s:
                return
            if self.aside.running:
                await asyncio.sleep(_LOOK_AGAIN_S)

    def _next_due_ms(self) -> int | None:
        while self._alarms and self._alarms[0][2].done():  # Its sleeper was cancelled.
            heapq.heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def _ring(self) -> None:
        now_ms = self.now_ms()
        while (due_ms := self._next_due_ms()) is not None and due_ms <= now_ms:
            heapq.heappop(self._alarms)[2].set_result(None)
        self._set_timer()

    def _set_timer(self) -> None:
        """One timer of the loop serves all alarms: the nearest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ms = self._next_due_ms()
        if due_ms is not None and not self._stands_still():
            delay_s = max(0.0, (due_ms - self.now_ms()) / 1000)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _stands_still(self) -> bool:
        return False


class VirtualClock(Clock):
    """A clock that moves only when it is told to."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        super().__init__(lambda: now_ms * 1_000_000)

    def _stands_still(self) -> bool:
        return True
