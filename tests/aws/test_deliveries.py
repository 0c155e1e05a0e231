"""What a service carries to others: side by side, in order within a group, and again after whatever went wrong."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from fogbank.aws.deliveries import Again, Deliveries
from fogbank.kernel.clock import VirtualClock
from fogbank.kernel.signals import Signals
from fogbank.kernel.telemetry import Telemetry
from fogbank.primitives import queues
from fogbank.primitives.queues import Message
from tests.support.stores import DRIVERS, fresh
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

QUEUE = "parcels"


@dataclass
class Depot:
    """A queue of deliveries over a store, and a carrier that a test writes."""

    driver: str
    carry: Callable[[Message], Awaitable[Again | None]]
    clock: VirtualClock = field(default_factory=VirtualClock)
    said: io.StringIO = field(default_factory=io.StringIO)

    async def open(self) -> None:
        signals = Signals(self.clock)
        self.store = await fresh(self.driver, signals)
        self.house: Any = SimpleNamespace(
            store=self.store, clock=self.clock, signals=signals, telemetry=Telemetry(self.clock, self.said),
            config=SimpleNamespace(store_url=""),
        )  # fmt: skip
        self.start()

    def start(self) -> None:
        self.task = asyncio.create_task(Deliveries(self.house, QUEUE, self.carry).run())

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def put(self, *names: str, group: str = "") -> None:
        for name in names:
            now_ms = self.clock.now_ms()
            made = Message(name, name, due_ms=now_ms, sent_ms=now_ms, group=group, notes={"tries": 0})
            await self.store.transact(queues.send, QUEUE, made)

    async def left(self) -> int:
        found = await self.store.transact(queues.counts, QUEUE, self.clock.now_ms())
        return found.visible + found.in_flight + found.delayed

    async def only(self, count: int) -> None:
        """Once no more than that are left."""
        while await self.left() != count:
            await asyncio.sleep(0.01)

    async def empty(self) -> None:
        await self.only(0)


def over(driver: str, work: Callable[[Depot], Awaitable[None]], carry: Any) -> None:
    async def run() -> None:
        depot = Depot(driver, carry)
        await depot.open()
        try:
            await asyncio.wait_for(work(depot), 30)
        finally:
            await depot.stop()
            await depot.store.close()

    asyncio.run(run())


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_slow_receiver_holds_up_no_other(driver: str) -> None:
    arrived: list[str] = []
    gate = asyncio.Event()

    async def carry(message: Message) -> None:
        if message.id == "slow":
            await gate.wait()
        arrived.append(message.id)

    async def work(depot: Depot) -> None:
        await depot.put("slow", "a", "b")
        await until(lambda: sorted(arrived) == ["a", "b"])
        await depot.only(1)
        gate.set()
        await depot.empty()

    over(driver, work, carry)
    assert arrived[-1] == "slow"


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_is_tried_again_keeps_its_place_in_its_group(driver: str) -> None:
    arrived: list[str] = []

    async def carry(message: Message) -> Again | None:
        tries = message.notes["tries"]
        if message.id == "2" and tries < 2:
            return Again(message.sent_ms + 1000 * (tries + 1), {"tries": tries + 1})
        arrived.append(message.id)
        return None

    async def work(depot: Depot) -> None:
        await depot.put("1", "2", "3", group="g")
        await depot.put("other")
        await until(lambda: sorted(arrived) == ["1", "other"])
        await depot.put("4", group="g")
        while await depot.left():
            await depot.clock.advance(100)
            await asyncio.sleep(0.01)

    over(driver, work, carry)
    assert [one for one in arrived if one != "other"] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_was_under_way_at_the_end_is_carried_anew(driver: str) -> None:
    began: list[str] = []
    gate = asyncio.Event()

    async def carry(message: Message) -> None:
        began.append(message.id)
        await gate.wait()

    async def work(depot: Depot) -> None:
        await depot.put("a", "b")
        await until(lambda: len(began) == 2)
        await depot.stop()
        gate.set()
        depot.start()
        await depot.empty()

    over(driver, work, carry)
    assert sorted(began) == ["a", "a", "b", "b"]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_carrier_that_breaks_is_told_of_and_tries_again(driver: str) -> None:
    arrived: list[str] = []
    broken = ["a"]

    async def carry(message: Message) -> None:
        if message.id in broken:
            broken.remove(message.id)
            raise RuntimeError("no room")
        arrived.append(message.id)

    async def work(depot: Depot) -> None:
        await depot.put("a", "b")
        await until(lambda: arrived == ["b"] and "no room" in depot.said.getvalue())
        while await depot.left():
            await depot.clock.advance(100)
            await asyncio.sleep(0.01)

    over(driver, work, carry)
    assert arrived == ["b", "a"]


def test_no_more_are_carried_at_once_than_there_is_room_for() -> None:
    begun: list[str] = []
    gate = asyncio.Event()

    async def carry(message: Message) -> None:
        begun.append(message.id)
        await gate.wait()

    async def work(depot: Depot) -> None:
        await depot.put(*(f"{n:03d}" for n in range(200)))
        await until(lambda: len(begun) == 64)
        await depot.put("more")
        assert len(begun) == 64
        gate.set()
        await depot.empty()

    over("sqlite", work, carry)
    assert len(begun) == len(set(begun)) == 201
