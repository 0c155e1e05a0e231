"""What feeds a function from a queue, whatever the cloud: how many batches at a time, and what becomes of messages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fogbank.functions.triggers import queue
from fogbank.functions.triggers.model import NotRun, Trigger
from fogbank.primitives import queues
from tests.support.feeding import FAILED, FeedingBench
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fogbank.kernel.store import Tx
    from fogbank.primitives.queues import Message

QUEUE, LENT_MS = "q", 30_000


class Plain:
    """A link whose events are the texts of messages; the reply names those that failed."""

    def lending(self, tx: Tx, settings: Any, now_ms: int) -> Any:
        return LENT_MS, None, None

    def wanted(self, settings: Any, message: Message) -> bool:
        return True

    def encode(self, settings: Any, batch: Sequence[Message]) -> Any:
        return [message.body for message in batch]

    def trace(self, message: Message) -> str:
        return ""

    def lineage(self, batch: Sequence[Message]) -> str:
        return ""

    def failed(self, settings: Any, batch: Sequence[Message], reply: Any) -> set[str]:
        return {message.id for message in batch if message.body in (reply or ())}


class Bench(FeedingBench):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.drain = asyncio.Event()

    async def send(self, count: int) -> None:
        def put(tx: Tx) -> None:
            for number in range(count):
                queues.send(tx, QUEUE, queues.Message(f"{number:04}", str(number), self.clock.now_ms()))

        await self.store.transact(put)

    async def counts(self) -> queues.Counts:
        return await self.store.transact(queues.counts, QUEUE, self.clock.now_ms())


def run(test: Callable[[Bench], Any], **chosen: Any) -> Bench:
    """With the trigger running, until the test is over."""
    bench = Bench()

    async def go() -> None:
        trigger = Trigger("t", "queue", QUEUE, "f", "plain", **{"batch_max": 1, **chosen})
        running = asyncio.create_task(queue.run(bench, trigger, Plain(), bench.drain))
        try:
            await test(bench)
            assert not running.done()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(go())
    return bench


def test_no_more_batches_are_in_work_than_are_allowed_however_long_it_takes() -> None:
    """ScalingConfig, MaximumConcurrency."""

    async def test(bench: Bench) -> None:
        bench.holding = True
        await bench.send(20)
        await until(lambda: bench.at_once == 3)
        await bench.clock.advance(25_000)
        await bench.settle()
        assert bench.at_once == 3
        bench.holding = False
        await until(lambda: len(bench.events) == 20)

    assert run(test, at_once_max=3).most_at_once == 3


def test_where_nothing_is_set_there_are_five_at_first_and_three_hundred_more_a_minute_while_those_do_not_do() -> None:
    """ "Scaling behavior for SQS event source mappings"."""

    async def test(bench: Bench) -> None:
        bench.holding = True
        await bench.send(60)
        await until(lambda: bench.at_once == 5)
        await bench.settle()
        assert bench.at_once == 5
        for seconds in range(1, 6):
            await bench.clock.advance(1000)
            await until(lambda seconds=seconds: bench.at_once == 5 + 5 * seconds)
        bench.holding = False
        await until(lambda: len(bench.events) == 60)
        bench.holding = True  # All was quiet: it begins with five again.
        await bench.send(60)
        await until(lambda: bench.at_once == 5)
        await bench.settle()
        assert bench.at_once == 5
        bench.holding = False
        await until(lambda: len(bench.events) == 120)

    run(test)


def test_a_function_that_is_throttled_gets_the_messages_again_soon() -> None:
    async def test(bench: Bench) -> None:
        refusals = [NotRun("Function is throttled")]
        bench.answer = lambda event: refusals.pop() if refusals else None
        await bench.send(1)
        await until(lambda: not refusals)
        await bench.settle()
        await bench.clock.advance(1000)
        await until(lambda: bench.events == [["0"]])

    run(test)


def test_a_batch_that_failed_comes_back_when_its_time_is_over_and_not_before() -> None:
    async def test(bench: Bench) -> None:
        answers = [FAILED]
        bench.answer = lambda event: answers.pop() if answers else None
        await bench.send(1)
        await until(lambda: len(bench.events) == 1)
        await bench.settle()
        await bench.clock.advance(LENT_MS - 1)
        await bench.settle()
        assert len(bench.events) == 1
        await bench.clock.advance(1)
        await until(lambda: len(bench.events) == 2)
        await bench.settle()
        assert (await bench.counts()) == queues.Counts(0, 0, 0)

    run(test)


def test_messages_stay_lent_while_somebody_debugs_what_is_done_with_them() -> None:
    async def test(bench: Bench) -> None:
        bench.debugged = bench.holding = True
        await bench.send(1)
        await until(lambda: bench.at_once == 1)
        for _ in range(6):
            await bench.settle()
            await bench.clock.advance(LENT_MS // 2)
        await bench.settle()
        assert bench.most_at_once == 1
        bench.holding = False
        await until(lambda: bench.events == [["0"]])
        await bench.settle()
        assert (await bench.counts()) == queues.Counts(0, 0, 0)

    run(test)


def test_only_what_the_reply_names_stays() -> None:
    async def test(bench: Bench) -> None:
        bench.answer = lambda event: ["1"]
        await bench.send(3)
        await until(lambda: bench.events == [["0", "1", "2"]])
        await bench.settle()
        assert (await bench.counts()) == queues.Counts(0, 1, 0)

    run(test, batch_max=10)


def test_a_trigger_that_is_stopped_leaves_its_messages_lent() -> None:
    async def test(bench: Bench) -> None:
        bench.holding = True
        await bench.send(2)
        await until(lambda: bench.at_once == 2)

    bench = run(test)
    assert asyncio.run(bench.counts()) == queues.Counts(0, 2, 0)
    assert bench.at_once == 0


def test_a_trigger_that_is_to_end_waits_for_the_batches_in_work_and_takes_no_more() -> None:
    async def go() -> None:
        bench = Bench()
        trigger = Trigger("t", "queue", QUEUE, "f", "plain", batch_max=1, at_once_max=2)
        running = asyncio.create_task(queue.run(bench, trigger, Plain(), bench.drain))
        bench.holding = True
        await bench.send(5)
        await until(lambda: bench.at_once == 2)
        bench.drain.set()
        await bench.settle()
        assert not running.done()
        bench.holding = False
        await asyncio.wait_for(running, 10)
        assert len(bench.events) == 2
        assert await bench.counts() == queues.Counts(3, 0, 0)

    asyncio.run(go())
