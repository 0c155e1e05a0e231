"""Claims that are answered from memory: what they find is what the table holds, however many rows come and go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.kernel.store import StoreError
from fogbank.kernel.store.sqlite import SqliteStore
from fogbank.kernel.store.sqlite_fronts import ROWS_MAX, Front, Fronts

if TYPE_CHECKING:
    from fogbank.kernel.store import Key, Tx

MANY = 3 * ROWS_MAX
LARGE = b"x" * 100_000  # Three of them are more than is kept of a range.
MOMENTS = st.integers(0, MANY)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "delete", "claim", "claim", "undone", "large"]),
        MOMENTS, st.integers(1, ROWS_MAX), st.booleans(),
    ),
    max_size=25,
)  # fmt: skip


def key(moment: int) -> Key:
    return ("queue", "q", moment, "id")


class Table:
    """A store and what it should hold. `model` is of the transactions that were not undone."""

    def __init__(self, store: SqliteStore) -> None:
        self.store, self.model = store, dict[int, bytes]()

    def step(self, kind: str, start: int, count: int) -> None:
        moments = range(start, start + count)
        if kind == "claim":
            found = self.store.run(lambda tx: list(tx.claim(("queue", "q"), ("queue", "q", start), limit=count)))
            expected = [(key(at), self.model[at]) for at in sorted(self.model) if at < start][:count]
            assert found == expected
        elif kind == "undone":
            with pytest.raises(KeyError):
                self.store.run(self._undone, moments)
        else:
            moments = moments[:3] if kind == "large" else moments
            change = {at: None if kind == "delete" else LARGE if kind == "large" else b"%d" % at for at in moments}
            self.store.run(self._change, change)
            self.model |= {at: value for at, value in change.items() if value is not None}
            for at in [at for at, value in change.items() if value is None]:
                self.model.pop(at, None)

    def _change(self, tx: Tx, change: dict[int, bytes | None]) -> None:
        for at, value in change.items():
            if value is None:
                tx.delete(key(at))
            else:
                tx.put(key(at), value)

    def _undone(self, tx: Tx, moments: range) -> None:
        self._change(tx, dict.fromkeys(moments, b"undone"))
        list(tx.claim(("queue", "q"), ("queue", "q", MANY), limit=1))
        raise KeyError("undone")


def with_table(scenario: Any) -> None:
    async def whole() -> None:
        store = SqliteStore(":memory:")
        try:
            await scenario(Table(store))
        finally:
            await store.close()

    asyncio.run(whole())


@settings(max_examples=200, deadline=None)
@given(steps=STEPS)
def test_a_claim_finds_what_the_table_holds_in_and_behind_the_tick_that_wrote_it(
    steps: list[tuple[str, int, int, bool]],
) -> None:
    async def scenario(table: Table) -> None:
        for kind, start, count, same_tick in steps:
            table.step(kind, start, count)
            if not same_tick:
                await table.store.transact(lambda _: None)

    with_table(scenario)


def test_claims_from_the_front_of_a_long_range_seldom_ask_the_database() -> None:
    async def scenario(table: Table) -> None:
        for start in range(0, 10 * ROWS_MAX, ROWS_MAX):
            table.step("put", start, ROWS_MAX)
        await table.store.transact(lambda _: None)
        asked: list[str] = []
        table.store._db.set_trace_callback(asked.append)
        for at in range(5 * ROWS_MAX):
            table.step("claim", 10 * ROWS_MAX, 1)
            table.step("delete", at, 1)
            await table.store.transact(lambda _: None)
        assert 0 < sum(statement.startswith("SELECT") for statement in asked) <= 6

    with_table(scenario)


def test_a_failed_commit_leaves_the_front_as_it_was() -> None:
    async def scenario(table: Table) -> None:
        table.step("put", 0, 4)
        await table.store.transact(lambda _: None)
        table.step("claim", 10, 2)
        table.store._db.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreError):
            await table.store.transact(lambda tx: tx.delete(key(0)))
        table.store._db.execute("PRAGMA query_only = OFF")
        table.step("claim", 10, 2)

    with_table(scenario)


def test_of_ranges_that_lie_in_each_other_only_the_first_is_kept() -> None:
    fronts = Fronts()
    for low in (b"ab", b"a", b"abc", b"b"):
        fronts.keep(low, Front(low, []))
    assert [low for low in (b"ab", b"a", b"abc", b"b") if fronts.get(low)] == [b"ab", b"b"]
    fronts.wrote({b"abx": b"1", b"ax": b"2", b"bx": b"3"})
    assert fronts.get(b"ab").first(b"b", 5, ()) is None, "its end is nearer"  # type: ignore[union-attr]
    assert fronts.get(b"ab").first(b"aby", 5, ()) == [(b"abx", b"1")]  # type: ignore[union-attr]
    for number in range(200):
        fronts.keep(b"c%03d" % number, Front(b"c%03d" % number, []))
    assert sum(fronts.get(b"c%03d" % number) is not None for number in range(200)) <= 64
