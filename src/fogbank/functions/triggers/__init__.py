"""What feeds functions: stored triggers, each run by a task of its own as long as it is enabled.

What a batch looks like to a function is a cloud's affair. A stored trigger carries the *name* of a link, not the link,
so it finds it again after a restart; the links are handed in when this is built.

One that is changed, put to rest or removed takes no more batches, and ends when those in work have: a function is not
stopped in its middle. What it has become begins then.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fogbank.functions.triggers import queue, stream
from fogbank.functions.triggers.model import CHANGED, TRIGGERS, Deliver, Invoke, IsDebugged, Trigger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.kernel.clock import Clock
    from fogbank.kernel.signals import Signals
    from fogbank.kernel.store import Store
    from fogbank.kernel.tasks import Supervisor

_RUNNERS: dict[str, Any] = {"queue": queue.run, "stream": stream.run}


@dataclass(slots=True)
class _Running:
    trigger: Trigger
    drain: asyncio.Event = field(default_factory=asyncio.Event)  # Set: no more batches.
    working: bool = False  # Else it has ended, or waits to begin again after a failure.


@dataclass(frozen=True, slots=True)
class Triggers:
    store: Store
    clock: Clock
    signals: Signals
    supervisor: Supervisor
    links: Mapping[str, Any]
    invoke: Invoke
    is_debugged: IsDebugged
    deliver: Deliver

    async def run(self) -> None:
        """Keep a task running for each enabled trigger, as they come, change and go."""
        running: dict[str, _Running] = {}
        with self.signals.watch(CHANGED) as watch:
            while True:
                wanted = {one.id: one for one in await self.store.transact(TRIGGERS.all) if one.enabled}
                for trigger_id, one in list(running.items()):
                    if wanted.get(trigger_id) != one.trigger:
                        one.drain.set()
                        if not one.working:
                            await self.supervisor.stop(_name(one.trigger))
                            del running[trigger_id]
                for trigger_id in wanted.keys() - running.keys():
                    one = running[trigger_id] = _Running(wanted[trigger_id])
                    self.supervisor.start(_name(one.trigger), lambda one=one: self._run_one(one))  # type: ignore[misc]
                await watch.wait()

    async def _run_one(self, one: _Running) -> None:
        one.working = True
        try:
            await _RUNNERS[one.trigger.kind](self, one.trigger, self.links[one.trigger.link], one.drain)
        finally:
            one.working = False
            self.signals.wake(CHANGED)


def _name(trigger: Trigger) -> str:
    return f"trigger {trigger.link}: {trigger.id}"
