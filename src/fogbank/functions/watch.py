"""The time and the memory of instances that are at work, looked at again and again: a timer for every event, and a
control group for every instance, would cost far more."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fogbank.functions.instances import Instance

_EVERY_S = 0.05


class Watch:
    def __init__(self) -> None:
        self._watched: set[Instance] = set()
        self._looking = False
        self._looked_s = 0.0

    def begin(self, instance: Instance) -> None:
        """Its time-out is kept, and if it holds too much memory it is ended, as the kernel would."""
        self._watched.add(instance)
        if not self._looking:
            self._looking = True
            self._look_soon()

    def end(self, instance: Instance) -> None:
        self._watched.discard(instance)

    def _look_soon(self) -> None:
        asyncio.get_running_loop().call_later(_EVERY_S, self._look)

    def _look(self) -> None:
        next_s = asyncio.get_running_loop().time() + 2 * _EVERY_S
        before_s, self._looked_s = self._looked_s, time.perf_counter()
        for instance in self._watched:
            instance.look(next_s)
            if instance.began_s > before_s and instance.is_held:
                continue  # Its event is young, and the kernel sees to its memory: nearly all are over by the next look.
            held_mb, limit_mb = instance.memory_mb(), instance.version.memory_mb
            instance.peak_mb = max(instance.peak_mb, min(held_mb, limit_mb))
            if held_mb > limit_mb and not instance.version.debugged:  # A debugger's own part is not counted.
                instance.out_of_memory = True
                instance.kill_process()
        self._looking = bool(self._watched)
        if self._looking:
            self._look_soon()
