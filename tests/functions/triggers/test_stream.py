"""What feeds a function from a stream, whatever the cloud, with a clock that stands still."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.functions.triggers import stored, stream
from fogbank.functions.triggers.model import RESULTS, NotRun, Told, Trigger
from fogbank.functions.triggers.progress import PROGRESS
from fogbank.primitives import streams
from tests.support.feeding import FAILED, FeedingBench
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fogbank.functions.triggers.stream_link import GivenUp
    from fogbank.kernel.store import Tx
    from fogbank.primitives.streams import Record, Stream

STREAM = "s"


class Letters:
    """A link whose records are text: the letter that it begins with is its partition key, "-" is not wanted."""

    def wanted(self, settings: Any, about: Stream, record: Record) -> bool:
        return record.data != b"-"

    def encode(self, settings: Any, about: Stream, shard: str, batch: Sequence[Record]) -> dict[str, Any]:
        return {"shard": shard, "texts": [record.data.decode() for record in batch]}

    def key(self, record: Record) -> bytes:
        return record.data[:1]

    def trace(self, record: Record) -> str:
        return ""

    def window(
        self, settings: Any, about: Stream, shard: str, begin_ms: int, end_ms: int, state: Any, *, final: bool,
        early: bool,
    ) -> dict[str, Any]:  # fmt: skip
        return {"window": [begin_ms, end_ms], "state": state, "final": final, "early": early}

    def done_until(self, settings: Any, batch: Sequence[Record], reply: Any) -> int | None:
        """The reply may be the text at which the function stopped."""
        at = [record.position for record in batch if record.data.decode() == reply]
        return at[0] - 1 if at else None

    def gave_up(self, settings: Any, about: Stream, given_up: GivenUp) -> Told | None:
        texts = [record.data.decode() for record in given_up.records]
        return Told("lost", {"texts": texts, "why": given_up.why, "tries": given_up.tries}, "")

    def parents(self, about: Stream, shard: str) -> Sequence[str]:
        return about.notes.get("parents", {}).get(shard, ())

    def ended(self, about: Stream, shard: str) -> bool:
        return bool(about.closed_ms) or shard in about.notes.get("ended", ())


class Bench(FeedingBench):
    @property
    def texts(self) -> list[list[str]]:
        return [event["texts"] for event in self.events]

    async def append(self, *texts: str, shard: str = "0") -> None:
        records = [text.encode() for text in texts]

        def put(tx: Tx) -> None:
            streams.append(tx, STREAM, records, now_ms=self.clock.now_ms(), shard=shard)

        await self.store.transact(put)

    async def open(self, **about: Any) -> None:
        made = streams.Stream(STREAM, "name", "owner", self.clock.now_ms(), **about)
        await self.store.transact(streams.create, made)

    async def put(self, **chosen: Any) -> Trigger:
        trigger = Trigger("t", "stream", STREAM, "f", "letters", **{"batch_max": 10, "begin": "TRIM_HORIZON", **chosen})
        await self.store.transact(stored.put, trigger)
        return trigger

    async def feed(self, trigger: Trigger, until_true: Callable[[], object]) -> None:
        """Run it until the test has seen enough, with time passing; then stop it as a restart would."""
        running = asyncio.create_task(stream.run(self, trigger, Letters(), asyncio.Event()))
        try:

            def look() -> object:
                if running.done():
                    running.result()
                return until_true()

            await until(look)
            await self.settle()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def run(test: Callable[[Bench], Any]) -> Bench:
    bench = Bench()
    asyncio.run(test(bench))
    return bench


# -- lanes --


def test_lanes_run_side_by_side_and_what_has_one_key_stays_in_order() -> None:
    """ParallelizationFactor: "Lambda still ensures in-order processing at the partition-key level"."""
    letters = "abcdefghijklmnopqrstuvwxyz"

    async def test(bench: Bench) -> None:
        await bench.open()
        await bench.append(*(f"{letter}{number}" for number in range(4) for letter in letters))
        trigger = await bench.put(lanes=4, batch_max=3)
        bench.holding = True
        running = asyncio.create_task(bench.feed(trigger, lambda: sum(map(len, bench.texts)) == 104))
        await until(lambda: bench.most_at_once == 4)
        bench.holding = False
        await running

    bench = run(test)
    assert bench.most_at_once == 4
    seen = [text for batch in bench.texts for text in batch]
    for letter in letters:
        assert [text for text in seen if text[0] == letter] == [f"{letter}{number}" for number in range(4)]


def test_a_lane_that_hangs_holds_up_no_other_and_repeats_nothing_of_theirs_after_a_restart() -> None:
    async def test(bench: Bench) -> None:
        await bench.open()
        await bench.append("a1", "b1", "c1", "d1", "a2", "b2", "c2", "d2")
        trigger = await bench.put(lanes=10, batch_max=1)
        bench.answer = lambda event: NotRun("held") if event["texts"][0][0] == "a" else None
        await bench.feed(trigger, lambda: len(bench.events) == 6)
        bench.answer = lambda event: None
        await bench.feed(trigger, lambda: len(bench.events) == 8)

    assert sorted(text for [text] in run(test).texts) == ["a1", "a2", "b1", "b2", "c1", "c2", "d1", "d2"]


def test_another_number_of_lanes_begins_where_the_slowest_was() -> None:
    async def test(bench: Bench) -> None:
        await bench.open()
        await bench.append("a", "b", "c")
        trigger = await bench.put()
        await bench.feed(trigger, lambda: bench.events)
        await bench.append("d", "e", "f")
        await bench.feed(await bench.put(lanes=3, batch_max=1), lambda: len(bench.events) == 4)
        await bench.append("g")
        await bench.feed(await bench.put(lanes=2), lambda: len(bench.events) == 5)

    texts = run(test).texts
    assert (texts[0], sorted(texts[1:4]), texts[4]) == (["a", "b", "c"], [["d"], ["e"], ["f"]], ["g"])


# -- batches --


def test_a_batch_waits_for_its_window_or_until_it_is_full() -> None:
    async def test(bench: Bench) -> None:
        await bench.open()
        trigger = await bench.put(window_ms=5000, batch_max=3)
        running = asyncio.create_task(bench.feed(trigger, lambda: len(bench.events) == 2))
        await bench.append("a")
        await bench.clock.advance(4000)
        await bench.append("b")
        assert bench.events == []
        await bench.clock.advance(1000)
        await until(lambda: bench.texts == [["a", "b"]])
        await bench.append("c", "d", "e", "f")  # Full: no need to wait.
        await running

    assert run(test).texts == [["a", "b"], ["c", "d", "e"]]


def test_what_is_not_wanted_fills_no_batch_and_is_passed_over_for_good() -> None:
    async def test(bench: Bench) -> None:
        await bench.open()
        await bench.append(*["-"] * 2500, "a", "-", "b")
        trigger = await bench.put(batch_max=2)
        await bench.feed(trigger, lambda: bench.events)
        kept = await bench.store.transact(PROGRESS.all, "t", "0")
        assert [one.position for one in kept] == [2503]

    assert run(test).texts == [["a", "b"]]


def test_an_event_is_never_larger_than_a_function_takes() -> None:
    async def test(bench: Bench) -> None:
        await bench.open()
        await bench.append(*(letter * 1_000_000 for letter in "abcdefgh"))
        await bench.feed(await bench.put(), lambda: sum(map(len, bench.texts)) == 8)

    sizes = [sum(map(len, texts)) for texts in run(test).texts]
    assert max(sizes) <= 6 * 1024 * 1024 and len(sizes) == 2


# -- failures --


def test_a_failed_batch_is_halved_until_the_bad_record_is_alone_and_only_then_are_retries_used_up() -> None:
    """ "Splitting batches doesn't consume the retry quota." """

    async def test(bench: Bench) -> None:
        await bench.open()
        await bench.append("a", "b", "bad", "d")
        trigger = await bench.put(bisect=True, retries_max=1)
        bench.answer = lambda event: FAILED if "bad" in event["texts"] else None
        await bench.feed(trigger, bench.passing(1000, lambda: bench.texts[-1:] == [["d"]]))

    bench = run(test)
    assert bench.texts == [["a", "b", "bad", "d"], ["a", "b"], ["bad", "d"], ["bad"], ["bad"], ["d"]]
    assert bench.lost == [{"texts": ["bad"], "why": "RetryAttemptsExhausted", "tries": 2}]


def test_a_batch_that_is_tried_again_stays_as_it_was_also_after_a_restart() -> None:
    async def test(bench: Bench) -> None:
        await bench.open()
        await bench.append("a", "b")
        trigger = await bench.put(retries_max=2)
        bench.answer = lambda event: FAILED
        await bench.feed(trigger, lambda: bench.events)
        await bench.append("c")
        await bench.clock.advance(1000)
        await bench.feed(trigger, lambda: len(bench.events) == 2)
        await bench.clock.advance(1000)
        bench.answer = lambda event: FAILED if "a" in event["texts"] else None
        await bench.feed(trigger, lambda: len(bench.events) == 4)

    bench = run(test)
    assert bench.texts == [["a", "b"], ["a", "b"], ["a", "b"], ["c"]]
    assert bench.lost == [{"texts": ["a", "b"], "why": "RetryAttemptsExhausted", "tries": 3}]


def test_what_was_done_of_a_batch_is_not_repeated() -> None:
    """ "Reporting batch item failures": all before the record that is named is done with."""

    async def test(bench: Bench) -> None:
        await bench.open()
        await bench.append("a", "b", "c")
        trigger = await bench.put()
        bench.answer = lambda event: "b" if "a" in event["texts"] else None
        running = asyncio.create_task(bench.feed(trigger, lambda: len(bench.events) == 3))
        await until(lambda: len(bench.events) == 2)
        await bench.append("d")
        await running

    assert run(test).texts == [["a", "b", "c"], ["b", "c"], ["d"]]


def test_records_that_are_too_old_are_given_up_and_the_younger_go_on() -> None:
    async def test(bench: Bench) -> None:
        await bench.open()
        await bench.append("old")
        await bench.clock.advance(61_000)
        await bench.append("new")
        await bench.feed(await bench.put(age_max_ms=60_000), lambda: bench.events)

    bench = run(test)
    assert (bench.texts, bench.lost) == ([["new"]], [{"texts": ["old"], "why": "RecordAgeExceeded", "tries": 0}])


def test_a_function_that_cannot_be_run_uses_up_no_retries_and_it_is_told_why() -> None:
    """ "Before invocation: … it retries until the records expire or exceed the maximum age"."""

    async def test(bench: Bench) -> None:
        await bench.open()
        await bench.append("a")
        trigger = await bench.put(retries_max=0)
        refusals = [NotRun("Function is throttled")] * 5
        bench.answer = lambda event: refusals.pop() if refusals else None

        await bench.feed(trigger, bench.passing(600, lambda: len(refusals) == 1))
        assert await bench.store.transact(RESULTS.get, "t") == "PROBLEM: Function is throttled"
        await bench.feed(trigger, bench.passing(600, lambda: bench.events))
        assert await bench.store.transact(RESULTS.get, "t") == "OK"

    bench = run(test)
    assert (bench.texts, bench.lost) == ([["a"]], [])


# -- where to begin --


@pytest.mark.parametrize(
    ("chosen", "seen"),
    [
        ({"begin": "TRIM_HORIZON"}, ["a", "b", "c"]),
        ({"begin": "LATEST"}, ["c"]),
        ({"begin": "AT_TIMESTAMP", "begin_ms": 1_800_000_001_000}, ["b", "c"]),
    ],
)
def test_a_trigger_begins_where_it_is_told_to_from_the_moment_that_it_is_put(chosen: Any, seen: list[str]) -> None:
    async def test(bench: Bench) -> None:
        await bench.open()
        await bench.append("a")
        await bench.clock.advance(1000)
        await bench.append("b")
        trigger = await bench.put(**chosen)
        await bench.append("c")  # Before its task has begun: not lost.
        await bench.feed(trigger, lambda: bench.events)

    assert run(test).texts == [seen]


def test_children_of_a_shard_are_read_when_it_has_been_read_to_its_end() -> None:
    async def test(bench: Bench) -> None:
        notes = {"parents": {"1": ["0"], "2": ["0"]}, "ended": ["0"]}
        await bench.open(shards=("0", "1", "2"), notes=notes)
        for shard, text in (("1", "later"), ("2", "later"), ("0", "first")):
            await bench.append(text, shard=shard)
        trigger = await bench.put()
        bench.answer = lambda event: NotRun("not yet") if len(bench.events) < 1 and event["shard"] != "0" else None
        await bench.feed(trigger, lambda: len(bench.events) == 3)

    bench = run(test)
    assert bench.events[0] == {"shard": "0", "texts": ["first"]}
    assert sorted(event["shard"] for event in bench.events[1:]) == ["1", "2"]


def test_a_stream_that_is_closed_and_read_ends_its_trigger() -> None:
    async def test(bench: Bench) -> None:
        await bench.open()
        trigger = await bench.put()
        running = asyncio.create_task(stream.run(bench, trigger, Letters(), asyncio.Event()))
        await bench.append("a")

        def close(tx: Tx) -> None:
            streams.close(tx, STREAM, now_ms=bench.clock.now_ms())

        await bench.store.transact(close)
        await asyncio.wait_for(running, 10)

    assert run(test).texts == [["a"]]


def test_a_lane_that_fails_ends_the_others_with_it() -> None:
    """The supervisor runs the trigger again: were others left over, records would come twice at a time."""

    async def test(bench: Bench) -> None:
        await bench.open()
        await bench.append("a", "b", "c", "d")
        trigger = await bench.put(lanes=4)

        def answer(event: Any) -> None:
            raise OSError("a bug")

        bench.answer = answer
        with pytest.raises(OSError, match="a bug"):
            await stream.run(bench, trigger, Letters(), asyncio.Event())
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert left == []

    run(test)


def test_a_trigger_that_is_to_end_waits_for_the_batch_in_work_and_takes_no_more() -> None:
    async def test(bench: Bench) -> None:
        await bench.open()
        await bench.append("a1", "a2", "b1", "b2")
        trigger = await bench.put(lanes=10, batch_max=1)
        bench.holding = True
        drain = asyncio.Event()
        running = asyncio.create_task(stream.run(bench, trigger, Letters(), drain))
        await until(lambda: bench.at_once == 2)
        drain.set()
        await bench.settle()
        assert not running.done()
        bench.holding = False
        await asyncio.wait_for(running, 10)
        positions = [one.position for one in await bench.store.transact(PROGRESS.all, "t", "0")]
        assert {1, 3} <= {*positions}  # What was done is kept.

    assert sorted(run(test).texts) == [["a1"], ["b1"]]


def test_a_trigger_that_only_waits_ends_at_once_and_a_removed_one_leaves_nothing() -> None:
    async def test(bench: Bench) -> None:
        await bench.open()
        trigger = await bench.put()
        drain = asyncio.Event()
        running = asyncio.create_task(stream.run(bench, trigger, Letters(), drain))
        bench.holding = True
        await bench.append("a")
        await until(lambda: bench.at_once == 1)
        await bench.store.transact(stored.remove, "t")
        drain.set()
        bench.holding = False
        await asyncio.wait_for(running, 10)
        assert await bench.store.transact(PROGRESS.all) == []
        again = asyncio.create_task(stream.run(bench, trigger, Letters(), other := asyncio.Event()))
        await bench.settle()
        other.set()
        await asyncio.wait_for(again, 10)

    run(test)


# -- tumbling windows --

MINUTE = 60_000
BEGIN = 1_800_000_000_000 // MINUTE * MINUTE


def counting(event: dict[str, Any]) -> dict[str, Any]:
    return {"state": {"n": event["state"].get("n", 0) + len(event["texts"])}}


def test_a_window_hands_its_state_on_and_ends_with_an_event_of_its_own() -> None:
    async def test(bench: Bench) -> None:
        bench.answer = counting
        await bench.open()
        trigger = await bench.put(tumbling_ms=MINUTE, batch_max=2)
        await bench.append("a", "b", "c")
        await bench.feed(trigger, lambda: len(bench.events) == 2)  # And a restart: the state is kept.
        running = asyncio.create_task(bench.feed(trigger, lambda: len(bench.events) == 4))
        await bench.settle()
        await bench.clock.advance(BEGIN + MINUTE - bench.clock.now_ms() - 1)
        await bench.settle()
        assert len(bench.events) == 2
        await bench.clock.advance(1)
        await until(lambda: len(bench.events) == 3)
        await bench.append("d")
        await running

    facts = [(event["texts"], event["state"], event["final"]) for event in run(test).events]
    assert facts == [
        (["a", "b"], {}, False), (["c"], {"n": 2}, False), ([], {"n": 3}, True), (["d"], {}, False),
    ]  # fmt: skip


def test_records_of_two_windows_never_share_an_event() -> None:
    async def test(bench: Bench) -> None:
        bench.answer = counting
        await bench.open()
        await bench.append("a")
        await bench.clock.advance(MINUTE)
        await bench.append("b")
        await bench.feed(await bench.put(tumbling_ms=MINUTE), lambda: len(bench.events) == 3)

    events = run(test).events
    assert [(event["texts"], event["final"]) for event in events] == [(["a"], False), ([], True), (["b"], False)]
    assert [event["window"][0] - BEGIN for event in events] == [0, 0, MINUTE]


def test_a_reply_without_a_state_is_a_failure() -> None:
    """ "If the response does not contain a state property, Lambda considers this a failed invocation." """

    async def test(bench: Bench) -> None:
        bench.answer = lambda event: {"n": 1}
        await bench.open()
        await bench.append("a")
        await bench.feed(await bench.put(tumbling_ms=MINUTE, retries_max=0), lambda: bench.lost)

    assert run(test).lost == [{"texts": ["a"], "why": "RetryAttemptsExhausted", "tries": 1}]


def test_a_state_that_is_too_big_ends_its_window_early_and_the_window_goes_on_anew() -> None:
    """ "If it exceeds that size, Lambda terminates the window early." """

    async def test(bench: Bench) -> None:
        bench.answer = lambda event: {"state": {"text": "x" * (1024 * 1024 if "a" in event["texts"] else 1)}}
        await bench.open()
        await bench.append("a", "b")
        await bench.feed(await bench.put(tumbling_ms=MINUTE, batch_max=1), lambda: len(bench.events) == 3)

    events = run(test).events
    assert [(event["texts"], event["early"], event["final"]) for event in events] == [
        (["a"], False, False), ([], True, False), (["b"], False, False),
    ]  # fmt: skip
    assert len(events[1]["state"]["text"]) == 1024 * 1024 and events[2]["state"] == {}


def test_a_window_whose_last_event_fails_holds_up_the_next_until_it_works() -> None:
    """ "If invocation is unsuccessful, your Lambda function suspends further processing until a successful
    invocation."
    """

    async def test(bench: Bench) -> None:
        failures = [FAILED, FAILED]
        bench.answer = lambda event: failures.pop() if event["final"] and failures else counting(event)
        await bench.open()
        await bench.append("a")
        await bench.clock.advance(MINUTE)
        await bench.append("b")
        trigger = await bench.put(tumbling_ms=MINUTE)
        await bench.feed(trigger, bench.passing(300, lambda: bench.texts[-1:] == [["b"]]))

    assert [event["final"] for event in run(test).events] == [False, True, True, True, False]


def test_a_trigger_that_has_windows_no_more_goes_on_where_it_was() -> None:
    async def test(bench: Bench) -> None:
        bench.answer = counting
        await bench.open()
        await bench.append("a")
        trigger = await bench.put(tumbling_ms=MINUTE)
        await bench.feed(trigger, lambda: bench.events)
        bench.answer = lambda event: None
        await bench.append("b")
        changed = replace(trigger, tumbling_ms=0)
        await bench.store.transact(stored.put, changed)
        await bench.feed(changed, lambda: len(bench.events) == 2)

    assert run(test).texts == [["a"], ["b"]]


# -- whatever happens --


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_fails_and_whenever_it_is_killed_nothing_is_lost_and_keys_stay_in_order(data: st.DataObject) -> None:
    """Batches fail, are halved, run beside each other, and the server is killed at any moment and begins again: each
    record is done with in the order of its key, and comes again only if its batch was in work."""
    keys = data.draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=25))
    texts = [f"{key}{number:02}" for number, key in enumerate(keys)]
    chosen = {"lanes": data.draw(st.integers(1, 4)), "batch_max": data.draw(st.integers(1, 6)),
              "bisect": data.draw(st.booleans())}  # fmt: skip
    fates = data.draw(st.lists(st.sampled_from(["good", "bad", "partly", "not run"]), max_size=20))
    kills = data.draw(st.lists(st.integers(0, 60), max_size=6))
    done: list[str] = []

    async def test(bench: Bench) -> None:
        def answer(event: dict[str, Any]) -> Any:
            fate = fates.pop() if fates else "good"
            if fate == "not run":
                return NotRun("no")
            if fate == "bad":
                return FAILED
            stop = event["texts"][len(event["texts"]) // 2] if fate == "partly" else None
            done.extend(event["texts"][: event["texts"].index(stop)] if stop else event["texts"])
            return stop

        bench.answer = answer
        await bench.open()
        await bench.append(*texts)
        trigger = await bench.put(**chosen)
        for turns in kills:
            running = asyncio.create_task(stream.run(bench, trigger, Letters(), asyncio.Event()))
            for _ in range(turns):
                await asyncio.sleep(0)
            await bench.clock.advance(700)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await bench.feed(trigger, bench.passing(60_000, lambda: {*done} == {*texts}))

    bench = Bench()
    asyncio.run(test(bench))
    for key in "abcd":
        first_time = list(dict.fromkeys(text for text in done if text[0] == key))
        assert first_time == [text for text in texts if text[0] == key]
    assert len(done) <= len(texts) + len(kills) * chosen["lanes"] * chosen["batch_max"]
    assert bench.lost == []
