"""Whatever is published, acknowledged and sought, a queue holds what was published since and is kept, exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from fogbank.primitives import queues, topics
from tests.support.stores import StoreMachine, on_every_driver

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx


class ATopic(StoreMachine):
    """A queue that keeps what it has acknowledged, and one that does not, of one topic."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms, self.sent = 0, 0
        self.sent_ms: dict[str, int] = {}
        self.kept: dict[str, set[str]] = {"keeps": set(), "drops": set()}  # The model: what each could have again.
        self.held: dict[str, set[str]] = {"keeps": set(), "drops": set()}
        self.receipts: dict[str, dict[str, str]] = {"keeps": {}, "drops": {}}

    @rule(wait_ms=st.integers(0, 20))
    def wait(self, wait_ms: int) -> None:
        self.now_ms += wait_ms

    @rule()
    def publish(self) -> None:
        self.sent += 1
        message = queues.Message(f"{self.sent:06}", "body", self.now_ms, self.now_ms)
        self.sent_ms[message.id] = self.now_ms
        for queue in ("keeps", "drops"):
            self.transact(queues.send, queue, message)
            self.held[queue].add(message.id)

    @rule(queue=st.sampled_from(["keeps", "drops"]))
    def receive(self, queue: str) -> None:
        lent = self.transact(queues.receive, queue, limit=3, now_ms=self.now_ms, lend_ms=30)
        self.receipts[queue] |= {message.id: message.receipt for message in lent}

    @precondition(lambda self: any(self.receipts.values()))
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        pairs = [(queue, message_id) for queue, known in self.receipts.items() for message_id in known]
        queue, message_id = data.draw(st.sampled_from(sorted(pairs)))
        receipt = self.receipts[queue].pop(message_id)
        assert self.transact(topics.acknowledge, queue, receipt, keeps=queue == "keeps")
        self.held[queue].discard(message_id)
        if queue == "keeps":
            self.kept[queue].add(message_id)

    @rule(queue=st.sampled_from(["keeps", "drops"]), back_ms=st.integers(0, 60))
    def seek(self, queue: str, back_ms: int) -> None:
        since_ms, keeps = self.now_ms - back_ms, queue == "keeps"

        def fresh(message: queues.Message) -> queues.Message:
            return topics.renewed(message, self.now_ms)

        self.transact(topics.seek, queue, (queue,), since_ms=since_ms, keeps=keeps, fresh=fresh)
        everything = self.held[queue] | self.kept[queue]
        self.held[queue] = {one for one in everything if self.sent_ms[one] >= since_ms}
        self.kept[queue] = everything - self.held[queue] if keeps else set()
        self.receipts[queue] = {
            one: self.receipts[queue][one] for one in self.receipts[queue] if one in self.held[queue]
        }

    @rule(age_ms=st.integers(0, 60))
    def expire(self, age_ms: int) -> None:
        gone = {one for one in self.kept["keeps"] if self.sent_ms[one] < self.now_ms - age_ms}
        assert self.transact(topics.expire, "keeps", self.now_ms - age_ms) == len(gone)
        self.kept["keeps"] -= gone

    @invariant()
    def each_holds_what_the_model_says(self) -> None:
        for queue, held in self.held.items():
            rows = self.transact(queues.contents, queue)
            assert sorted(message.id for message in rows) == sorted(held)

    @invariant()
    def a_copy_is_as_if_never_lent(self) -> None:
        def copied(tx: Tx) -> list[Any]:
            topics.copy(tx, "keeps", "copy", self.now_ms)
            found = queues.contents(tx, "copy")
            queues.drop(tx, "copy")
            return found

        found = self.transact(copied)
        assert {one.id for one in found} == self.held["keeps"]
        assert all((one.receive_count, one.due_ms) == (0, self.now_ms) for one in found)


test_a_queue_holds_what_was_published_since_and_is_kept = on_every_driver(ATopic, examples=40, steps=30)
