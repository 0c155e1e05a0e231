"""What feeds functions: stored triggers, each run by a task of its own as long as it is enabled.

What a batch looks like to a function is a cloud's affair. A stored trigger carries the *name* of a link, not the link,
so it finds it again after a restart; the links are handed in when this is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fogbank.functions.triggers import queue, stream
from fogbank.functions.triggers.model import CHANGED, TRIGGERS, Deliver, Invoke, Trigger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.kernel.clock import Clock
    from fogbank.kernel.signals import Signals
    from fogbank.kernel.store import Store
    from fogbank.kernel.tasks import Supervisor

_RUNNERS: dict[str, Any] = {"queue": queue.run, "stream": stream.run}


@dataclass(frozen=True, slots=True)
class Triggers:
    store: Store
    clock: Clock
    signals: Signals
    supervisor: Supervisor
    links: Mapping[str, Any]
    invoke: Invoke
    deliver: Deliver

    async def run(self) -> None:
        """Keep a task running for each enabled trigger, as they come, change and go."""
        running: dict[str, Trigger] = {}
        with self.signals.watch(CHANGED) as watch:
            while True:
                wanted = {one.id: one for one in await self.store.transact(TRIGGERS.all) if one.enabled}
                for trigger_id, before in list(running.items()):
                    if wanted.get(trigger_id) != before:
                        await self.supervisor.stop(_name(before))
                        del running[trigger_id]
                for trigger_id, one in wanted.items():
                    if trigger_id not in running:
                        running[trigger_id] = one
                        self.supervisor.start(_name(one), lambda one=one: self._run_one(one))  # type: ignore[misc]
                await watch.wait()

    async def _run_one(self, trigger: Trigger) -> None:
        await _RUNNERS[trigger.kind](self, trigger, self.links[trigger.link])


def _name(trigger: Trigger) -> str:
    return f"trigger {trigger.link}: {trigger.id}"
