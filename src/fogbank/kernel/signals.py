"""How one part waits for what another has committed, without asking again and again.

A wake may come for nothing (look again, then wait again) but is never lost: a watch is armed before its holder looks.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from fogbank.kernel.clock import Clock
    from fogbank.kernel.store import Key


class Signals:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watches: defaultdict[tuple[str, Key], set[Watch]] = defaultdict(set)

    def wake(self, signal: str, key: Key = ()) -> None:
        for watch in self._watches.get((signal, key), ()):
            watch.woken.set()

    def wake_all(self) -> None:
        """Everybody looks again: something may have been missed."""
        for watches in self._watches.values():
            for watch in watches:
                watch.woken.set()

    def watch(self, signal: str, key: Key = ()) -> Watch:
        """`with signals.watch("queue.due", (id,)) as watch:` look; `await watch.wait(until_ms)`; look again."""
        return Watch(self, (signal, key))


class Watch:
    def __init__(self, signals: Signals, name: tuple[str, Key]) -> None:
        self.woken = asyncio.Event()
        self._signals, self._name = signals, name

    def __enter__(self) -> Self:
        self._signals._watches[self._name].add(self)
        return self

    def __exit__(self, *_: object) -> None:
        watches = self._signals._watches[self._name]
        watches.discard(self)
        if not watches:
            del self._signals._watches[self._name]

    async def wait(self, until_ms: int | None = None) -> bool:
        """True once woken, False if the clock reached `until_ms` first."""
        woken = await self._signals._clock.wait_for(self.woken, until_ms)
        self.woken.clear()
        return woken
