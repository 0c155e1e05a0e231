"""Whatever the order of events, a message is in the queue exactly once, until its newest receipt deletes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from fogbank.primitives import queues
from tests.support import stores
from tests.support.stores import StoreMachine, on_every_driver

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

MILLISECONDS = st.integers(0, 60)


class AQueue(StoreMachine):
    """Groups "a" and "b" are ordered; messages without a group are not."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms, self.sent = 0, 0
        self.due_ms: dict[str, int] = {}  # The model: when each living message is due.
        self.sent_ms: dict[str, int] = {}
        self.group: dict[str, str] = {}
        self.receipts: dict[str, str] = {}  # The newest receipt of each that was ever lent.
        self.stale: list[str] = []
        self.hidden: set[str] = set()  # Those whose holders have asked for another moment.

    def do(self, work: Any, *args: Any, **options: Any) -> Any:
        return self.transact(work, "orders", *args, **options)

    def any_receipt(self, data: st.DataObject) -> tuple[str, str]:
        message_id = data.draw(st.sampled_from(sorted(self.receipts)))
        return message_id, self.receipts[message_id]

    def blocked(self, message_id: str) -> bool:
        """Something of its group was sent before it and is not due."""
        group = self.group[message_id]
        earlier = (m for m in self.due_ms if m < message_id and self.group[m] == group)
        return bool(group) and any(self.due_ms[m] > self.now_ms for m in earlier)

    @rule(delay_ms=MILLISECONDS, group=st.sampled_from(["", "", "a", "b"]))
    def send(self, delay_ms: int, group: str) -> None:
        self.sent += 1
        message = queues.Message(f"{self.sent:06}", "body", self.now_ms + delay_ms, self.now_ms, group=group)
        self.do(queues.send, message)
        self.due_ms[message.id], self.group[message.id] = message.due_ms, group
        self.sent_ms[message.id] = message.sent_ms

    @rule(limit=st.integers(1, 10), lend_ms=st.integers(1, 50), pause_ms=st.integers(0, 9), few=st.integers(1, 10))
    def receive(self, limit: int, lend_ms: int, pause_ms: int, few: int) -> None:
        free = {m for m, at_ms in self.due_ms.items() if at_ms <= self.now_ms and not self.blocked(m)}
        lent = self.do(
            queues.receive, limit=limit, now_ms=self.now_ms, lend_ms=lend_ms, pause_ms=lambda lending: pause_ms,
            enough=lambda so_far: len(so_far) >= few,
        )  # fmt: skip
        lend_ms += pause_ms
        ids = [message.id for message in lent]
        assert set(ids) <= free
        assert len(ids) == min(limit, few, len(free))
        for group in ("a", "b"):
            assert [m for m in ids if self.group[m] == group] == sorted(m for m in ids if self.group[m] == group)
        for message in lent:
            if message.id in self.receipts:
                self.stale.append(self.receipts[message.id])
            self.hidden.discard(message.id)
            self.due_ms[message.id] = self.now_ms + lend_ms
            self.receipts[message.id] = message.receipt

    @rule(hidden=st.booleans())
    def release(self, hidden: bool) -> None:
        self.do(queues.release, self.now_ms, hidden=hidden)
        in_flight = [m for m in self.receipts if self.due_ms[m] > self.now_ms]
        for message_id in [m for m in in_flight if hidden or m not in self.hidden]:
            self.hidden.discard(message_id)
            self.due_ms[message_id] = self.sent_ms[message_id]
            self.stale.append(self.receipts.pop(message_id))

    @rule(wait_ms=MILLISECONDS)
    def wait(self, wait_ms: int) -> None:
        self.now_ms += wait_ms

    @precondition(lambda self: self.receipts)
    @rule(data=st.data(), more_ms=MILLISECONDS)
    def hide(self, data: st.DataObject, more_ms: int) -> None:
        message_id, receipt = self.any_receipt(data)
        in_flight = self.due_ms[message_id] > self.now_ms
        assert self.do(queues.hide, receipt, due_ms=self.now_ms + more_ms, now_ms=self.now_ms) is in_flight
        if in_flight:
            self.due_ms[message_id] = self.now_ms + more_ms
            self.hidden.add(message_id)

    @precondition(lambda self: self.receipts)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        message_id, receipt = self.any_receipt(data)
        in_flight = self.due_ms[message_id] > self.now_ms
        assert self.do(queues.give_back, receipt, due_ms=self.now_ms, now_ms=self.now_ms) is in_flight
        if in_flight:
            group = self.group[message_id]
            behind = [m for m in self.receipts if group and m > message_id and self.group[m] == group]
            for back in (message_id, *behind):
                self.due_ms[back] = min(self.due_ms[back], self.now_ms)

    @precondition(lambda self: self.receipts)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        message_id, receipt = self.any_receipt(data)
        assert self.do(queues.delete, receipt)
        del self.receipts[message_id], self.due_ms[message_id], self.group[message_id]

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def delete_with_an_old_receipt(self, data: st.DataObject) -> None:
        assert not self.do(queues.delete, data.draw(st.sampled_from(self.stale)))

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        rows = self.do(lambda tx, queue: [key[-2:] for key, _ in queues.MESSAGES.scan(tx, queue)])
        assert rows == sorted((at_ms, message_id) for message_id, at_ms in self.due_ms.items())

    @invariant()
    def the_counts_add_up(self) -> None:
        counts = self.do(queues.counts, self.now_ms)
        assert counts.visible == sum(1 for at_ms in self.due_ms.values() if at_ms <= self.now_ms)
        assert counts.visible + counts.in_flight + counts.delayed == len(self.due_ms)

    @invariant()
    def it_is_known_when_something_is_due(self) -> None:
        later = [at_ms for at_ms in self.due_ms.values() if at_ms > self.now_ms]
        assert self.do(queues.next_due_ms) == min(self.due_ms.values(), default=None)
        assert self.do(queues.next_due_ms, after_ms=self.now_ms) == min(later, default=None)


test_a_message_is_there_once_until_its_newest_receipt_deletes_it = on_every_driver(AQueue, examples=60, steps=40)


@pytest.mark.parametrize("driver", stores.DRIVERS)
def test_what_is_expired_or_dead_hides_nothing_behind_it(driver: str) -> None:
    def work(tx: Tx) -> tuple[list[str], list[str]]:
        for number in range(5):
            ends_ms = 50 if number < 2 else 0
            queues.send(tx, "q", queues.Message(f"{number}", "x", number, expires_ms=ends_ms, receive_count=number % 4))
        dead: list[str] = []
        lent = queues.receive(
            tx, "q", limit=1, now_ms=100, lend_ms=10, dead=lambda one: one.receive_count > 1,
            on_dead=lambda _, one: dead.append(one.id),
        )  # fmt: skip
        return [one.id for one in lent], dead

    async def scenario() -> None:
        store = await stores.fresh(driver)
        lent, dead = await store.transact(work)
        assert lent == ["4"]
        assert dead[-2:] == ["2", "3"]
        await store.close()

    asyncio.run(scenario())
