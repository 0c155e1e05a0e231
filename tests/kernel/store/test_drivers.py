"""What the store promises, kept by every driver."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from fogbank.kernel.store import Key, Tx, within
from fogbank.kernel.store.keys import pack
from tests.support import stores
from tests.support.stores import StoreMachine, on_every_driver
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fogbank.kernel.store import Store

LONG = "x" * 2_100  # Longer than an index entry of some databases.
NAMES = st.sampled_from(["", "a", "a\0", "aa", "b", LONG, LONG + "y", LONG[:-1], "é"])
SMALL = st.one_of(NAMES, st.integers(-2, 2), st.sampled_from([b"", b"\0", b"\xff"]))
KEYS = st.lists(SMALL, min_size=1, max_size=2).map(tuple)
VALUES = st.binary(max_size=4)


class Wakes:
    """Signals that only remember."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Key]] = []

    def wake(self, signal: str, key: Key = ()) -> None:
        self.heard.append((signal, key))

    def wake_all(self) -> None:
        self.heard.append(("everybody", ()))


@pytest.fixture(params=stores.DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(driver: str, scenario: Callable[[Store], Coroutine[Any, Any, None]], signals: Any = None) -> None:
    async def whole() -> None:
        store = await stores.fresh(driver, signals)
        try:
            await scenario(store)
        finally:
            await store.close()

    asyncio.run(whole())


def two_rows(tx: Tx, one: Key, other: Key) -> tuple[bytes | None, bytes | None]:
    return tx.get(one), tx.get(other)


class ATable(StoreMachine):
    """The model is a dictionary; its order is that of the packed keys, which have a test of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[Key, bytes] = {}

    @rule(changes=st.lists(st.tuples(KEYS, st.one_of(st.none(), VALUES)), max_size=5), fails=st.booleans())
    def change(self, changes: list[tuple[Key, bytes | None]], fails: bool) -> None:
        def work(tx: Tx) -> None:
            for key, value in changes:
                if value is None:
                    tx.delete(key)
                else:
                    tx.put(key, value)
                assert tx.get(key) == value, "a transaction reads its own writes"
            if fails:
                raise KeyError("undone")

        if fails:
            with pytest.raises(KeyError):
                self.transact(work)
            return
        self.transact(work)
        for key, value in changes:
            if value is None:
                self.model.pop(key, None)
            else:
                self.model[key] = value

    @rule(key=KEYS, lock=st.booleans())
    def get(self, key: Key, lock: bool) -> None:
        assert self.transact(lambda tx: tx.get(key, lock=lock)) == self.model.get(key)

    @rule(key=KEYS, other=KEYS)
    def recall(self, key: Key, other: Key) -> None:
        """What is made of rows is made anew once one of them is written, and an undone write leaves no trace in it."""
        both = self.model.get(key), self.model.get(other)
        assert self.transact(lambda tx: tx.recall(two_rows, key, other)) == both

        def undone(tx: Tx) -> None:
            tx.put(other, b"undone")
            assert tx.recall(two_rows, key, other)[1] == b"undone"
            raise KeyError("undone")

        with pytest.raises(KeyError):
            self.transact(undone)
        assert self.transact(lambda tx: tx.recall(two_rows, key, other)) == both

    @rule(low=KEYS, high=KEYS, limit=st.one_of(st.none(), st.integers(0, 4)), reverse=st.booleans(), unsent=KEYS)
    def scan(self, low: Key, high: Key, limit: int | None, reverse: bool, unsent: Key) -> None:
        def work(tx: Tx) -> tuple[list[tuple[Key, bytes]], int, list[tuple[Key, bytes]]]:
            before = tx.get(unsent)
            tx.put(unsent, b"unsent")
            found = list(tx.scan(low, high, limit=limit, reverse=reverse))
            counted, claimed = tx.count(low, high), list(tx.claim(low, high, limit=2))
            if before is None:
                tx.delete(unsent)
            else:
                tx.put(unsent, before)
            return found, counted, claimed

        rows = self.model | {unsent: b"unsent"}
        inside = sorted(key for key in map(pack, rows) if pack(low) <= key < pack(high))
        by_packed = {pack(key): (key, value) for key, value in rows.items()}
        expected = [by_packed[key] for key in inside]
        found, counted, claimed = self.transact(work)
        assert found == (expected[::-1] if reverse else expected)[:limit]
        assert counted == len(expected)
        assert claimed == expected[:2]

    @invariant()
    def everything_is_there(self) -> None:
        assert dict(self.transact(lambda tx: list(tx.scan(*within())))) == self.model


test_any_transactions_leave_what_a_dictionary_would_hold = on_every_driver(ATable)


def test_a_scan_of_many_rows_gives_each_once_in_order(driver: str) -> None:
    async def scenario(store: Store) -> None:
        names = [("row", number, LONG if number % 7 == 0 else "") for number in range(2_500)]
        await store.transact(lambda tx: [tx.put(name, b"%d" % name[1]) for name in names])
        assert await store.transact(lambda tx: [key for key, _ in tx.scan(*within("row"))]) == names
        backwards = await store.transact(lambda tx: [key for key, _ in tx.scan(*within("row"), reverse=True)])
        assert backwards == names[::-1]
        some = await store.transact(lambda tx: [key for key, _ in tx.scan(*within("row"), limit=1_300)])
        assert some == names[:1_300]

    run(driver, scenario)


def test_increments_from_many_tasks_all_count(driver: str) -> None:
    def add(tx: Tx) -> None:
        tx.put(("counter",), b"%d" % (int(tx.get(("counter",), lock=True) or b"0") + 1))

    async def scenario(store: Store) -> None:
        await asyncio.gather(*(store.transact(add) for _ in range(100)))
        assert await store.transact(lambda tx: tx.get(("counter",))) == b"100"

    run(driver, scenario)


def test_of_many_claimants_each_row_has_one(driver: str) -> None:
    def take(tx: Tx) -> list[Key]:
        taken = []
        for key, _ in tx.claim(*within("job"), limit=3):
            tx.delete(key)
            taken.append(key)
        return taken

    async def scenario(store: Store) -> None:
        jobs = [("job", number) for number in range(60)]
        await store.transact(lambda tx: [tx.put(job, b"") for job in jobs])
        taken: list[Key] = []
        while len(taken) < len(jobs):
            for keys in await asyncio.gather(*(store.transact(take) for _ in range(8))):
                taken += keys
        assert sorted(taken) == jobs  # type: ignore[type-var]  # All are ("job", number).

    run(driver, scenario)


def test_two_that_decide_on_one_row_and_write_others_do_not_both_win(driver: str) -> None:
    """One seat: whoever reads the room locked and finds no guest may put one."""

    def enter(tx: Tx, guest: int) -> bool:
        tx.get(("room",), lock=True)
        if tx.count(*within("guest")):
            return False
        tx.put(("guest", guest), b"")
        return True

    async def scenario(store: Store) -> None:
        for round_ in range(10):
            await store.transact(lambda tx: [tx.delete(key) for key, _ in list(tx.scan(*within("guest")))])
            await store.transact(lambda tx: tx.put(("room",), b""))
            entered = await asyncio.gather(*(store.transact(enter, guest) for guest in range(8)))
            assert entered.count(True) == 1, round_

    run(driver, scenario)


def test_signals_go_out_once_what_they_tell_is_kept_and_not_at_all_if_it_failed(driver: str) -> None:
    wakes = Wakes()

    def tell(tx: Tx, name: str, fails: bool) -> None:
        tx.put(("row",), b"")
        tx.emit("changed", (name, 1))
        if fails:
            raise KeyError(name)

    async def scenario(store: Store) -> None:
        with pytest.raises(KeyError):
            await store.transact(tell, "never", True)
        await store.transact(tell, "once", False)
        await until(lambda: ("changed", ("once", 1)) in wakes.heard)
        assert [signal for signal, _ in wakes.heard].count("changed") == 1

    run(driver, scenario, wakes)
