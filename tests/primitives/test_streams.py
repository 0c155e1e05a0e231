"""A stream gives back what was appended, in order, once, from any position that is still there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from fogbank.kernel.store.sqlite import SqliteStore
from fogbank.primitives import streams
from tests.support.stores import StoreMachine, on_every_driver


def run(store: SqliteStore, work: Any, *args: Any, **options: Any) -> Any:
    return asyncio.run(store.transact(work, *args, **options))


class AStream(StoreMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 1000
        self.model: list[tuple[int, int, bytes]] = []  # (position, at_ms, data) of what is still there.
        self.next = 1

    def do(self, work: Any, *args: Any, **options: Any) -> Any:
        return self.transact(work, "orders", *args, **options)

    @rule(records=st.lists(st.binary(max_size=8), max_size=4))
    def append(self, records: list[bytes]) -> None:
        positions = self.do(streams.append, records, now_ms=self.now_ms)
        assert positions == list(range(self.next, self.next + len(records)))
        self.model += [(position, self.now_ms, data) for position, data in zip(positions, records, strict=True)]
        self.next += len(records)

    @rule(milliseconds=st.integers(0, 50))
    def wait(self, milliseconds: int) -> None:
        self.now_ms += milliseconds

    @rule(after=st.integers(0, 30), limit=st.integers(1, 5))
    def read(self, after: int, limit: int) -> None:
        found = [(each.position, each.at_ms, each.data) for each in self.do(streams.read, after=after, limit=limit)]
        assert found == [each for each in self.model if each[0] > after][:limit]

    @rule(age_ms=st.integers(0, 100))
    def find_the_oldest_since(self, age_ms: int) -> None:
        since_ms = self.now_ms - age_ms
        expected = next((position for position, at_ms, _ in self.model if at_ms >= since_ms), self.next)
        assert self.do(streams.tail, since_ms=since_ms) == expected

    @rule(age_ms=st.integers(0, 100), limit=st.integers(1, 5))
    def trim(self, age_ms: int, limit: int) -> None:
        old = [each for each in self.model if each[1] < self.now_ms - age_ms][:limit]
        assert self.do(streams.trim, before_ms=self.now_ms - age_ms, limit=limit) == len(old)
        self.model = self.model[len(old) :]

    @invariant()
    def head_is_the_newest_position_ever(self) -> None:
        assert self.do(streams.head) == self.next - 1


test_what_was_appended_comes_back_in_order_once = on_every_driver(AStream)


def test_a_batch_ends_before_it_gets_larger_than_asked_but_holds_at_least_one_record() -> None:
    store = SqliteStore(":memory:")
    run(store, streams.append, "orders", [b"x" * 60, b"y" * 60, b"z"], now_ms=1)
    assert [len(each.data) for each in run(store, streams.read, "orders", bytes_max=100)] == [60]
    assert [len(each.data) for each in run(store, streams.read, "orders", bytes_max=10)] == [60]
    assert [len(each.data) for each in run(store, streams.read, "orders", after=1, bytes_max=100)] == [60, 1]


def test_time_never_goes_back_within_a_shard() -> None:
    store = SqliteStore(":memory:")
    run(store, streams.append, "orders", [b"a"], now_ms=2000)
    run(store, streams.append, "orders", [b"b"], now_ms=1000)
    assert [each.at_ms for each in run(store, streams.read, "orders")] == [2000, 2000]


def test_who_appends_wakes_the_readers_of_that_shard() -> None:
    woken: list[Any] = []
    store = SqliteStore(":memory:", lambda signal, key: woken.append((signal, key)))
    run(store, streams.append, "orders", [b"a", b"b"], now_ms=1, shard="7")
    run(store, streams.append, "orders", [], now_ms=1, shard="8")
    assert woken == [(streams.APPENDED, ("orders", "7"))]


def test_a_closed_stream_is_found_by_its_name_until_it_is_forgotten() -> None:
    store = SqliteStore(":memory:")
    stream = streams.Stream("id-1", "arn:orders", "shop/orders/", created_ms=1)
    run(store, streams.create, stream)
    run(store, streams.append, "id-1", [b"a"], now_ms=1)
    run(store, streams.close, "id-1", now_ms=5)
    assert run(store, streams.find, "arn:orders").closed_ms == 5
    assert [each.id for each in run(store, streams.owned, "shop/")] == ["id-1"]
    run(store, streams.forget, "id-1")
    assert run(store, streams.find, "arn:orders") is None
    assert run(store, streams.owned, "shop/") == []
    assert run(store, streams.read, "id-1") == []


def sharded(name: str = "clicks") -> streams.Stream:
    return streams.Stream("id", name, "me/" + name, 0, shards=("a",), lineage={"a": streams.Shard(0)})


def test_a_shard_that_ends_takes_no_more_and_its_children_know_it() -> None:
    store = SqliteStore(":memory:")
    run(store, streams.create, sharded())
    run(store, streams.append, "id", [b"before"], now_ms=1, shard="a")
    opening = {name: streams.Shard(2, ("a",)) for name in ("b", "c")}
    run(store, streams.reshard, "id", ending=["a"], opening=opening, now_ms=2)
    with pytest.raises(streams.ShardEnded):
        run(store, streams.append, "id", [b"late"], now_ms=3, shard="a")
    assert run(store, streams.append, "id", [b"after"], now_ms=3, shard="b") == [1]
    about = run(store, streams.get, "id")
    assert about.shards == ("a", "b", "c") and about.children("a") == ["b", "c"]
    assert [about.has_ended(name) for name in about.shards] == [True, False, False]
    assert [one.data for one in run(store, streams.read, "id", "a", after=0, limit=9)] == [b"before"]


def test_whoever_reads_a_shard_is_woken_by_its_end() -> None:
    woken: list[Any] = []
    store = SqliteStore(":memory:", lambda signal, key: woken.append((signal, key)))
    run(store, streams.create, sharded())
    run(store, streams.reshard, "id", ending=["a"], opening={"b": streams.Shard(1, ("a",))}, now_ms=1)
    assert woken == [(streams.APPENDED, ("id", "a"))]


def test_what_is_dropped_is_swept_away_in_steps_and_nobody_finds_it_meanwhile() -> None:
    store = SqliteStore(":memory:")
    run(store, streams.create, sharded())
    run(store, streams.append, "id", [b"x"] * 25, now_ms=1, shard="a")
    run(store, streams.drop, "id")
    assert run(store, streams.find, "clicks") is None
    steps = 0
    while run(store, streams.sweep, limit=10):
        steps += 1
    assert steps == 3 and run(store, streams.read, "id", "a", after=0, limit=99) == []
    run(store, streams.create, sharded())
    assert run(store, streams.append, "id", [b"new"], now_ms=2, shard="a") == [1]
