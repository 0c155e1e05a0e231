"""The loop that moves changes from their feeds to the topics of those who listen."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fogbank.gcp.service import Service
from fogbank.kernel.tasks import Background
from fogbank.primitives import queues

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class Moving(Service):
    service = "google.cloud.eventarc.v1.Eventarc"

    def backgrounds(self) -> Iterable[Background]:
        for name, link in self.house.links.items():
            if hasattr(link, "move"):
                yield Background(f"eventarc: {name.rpartition('.')[2]}", partial(self._move, link))

    async def _move(self, link: Any) -> None:
        house = self.house
        with house.signals.watch(queues.DUE, (link.QUEUE,)) as watch:
            while True:
                if not await house.store.transact(link.move, house.clock.now_ms(), house.ids.new):
                    await watch.wait()
