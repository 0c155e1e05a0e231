"""Whatever is written and deleted, every index holds exactly the documents that stand in it, in its order."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from fogbank.kernel.store.sqlite import SqliteStore
from fogbank.primitives import documents
from fogbank.primitives.documents import NOWHERE, Place, Span
from tests.support.stores import StoreMachine, on_every_driver

KEYS = st.sampled_from([b"a", b"b", b"c", b"d"])
COLOURS = st.sampled_from([None, b"blue", b"red"])
MOMENTS = st.sampled_from([0, 100, 200])


class ATable(StoreMachine):
    def __init__(self) -> None:
        super().__init__()
        self.model: dict[bytes, tuple[bytes, Place]] = {}

    @rule(key=KEYS, body=st.binary(max_size=3), colour=COLOURS, due_ms=MOMENTS)
    def put(self, key: bytes, body: bytes, colour: bytes | None, due_ms: int) -> None:
        was = self.model[key][1] if key in self.model else NOWHERE
        now = Place({"colour": (colour,)} if colour else {}, due_ms)
        self.transact(documents.put, "shop", (key,), body, was, now)
        self.model[key] = (body, now)

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        was = self.model.pop(key)[1] if key in self.model else NOWHERE
        self.transact(documents.delete, "shop", (key,), was)

    @invariant()
    def documents_come_back_in_the_order_of_their_keys(self) -> None:
        found = self.transact(lambda tx: list(documents.scan(tx, "shop", Span())))
        assert found == [((key,), body) for key, (body, _) in sorted(self.model.items())]

    @invariant()
    def the_index_is_exact_and_equal_entries_stand_in_the_order_of_the_documents(self) -> None:
        found = self.transact(lambda tx: list(documents.scan_index(tx, "shop", "colour", Span(), parts=1)))
        entries = sorted(
            (place.entries["colour"][0], key) for key, (_, place) in self.model.items() if "colour" in place.entries
        )
        assert found == [((key,), self.model[key][0]) for _, key in entries]
        assert self.transact(documents.count_index, "shop", "colour") == len(entries)

    @invariant()
    def what_is_due_is_found_the_longest_due_first(self) -> None:
        due = sorted((place.due_ms, key) for key, (_, place) in self.model.items() if 0 < place.due_ms <= 150)
        assert self.transact(documents.expired, now_ms=150, limit=9) == [
            (due_ms, "shop", (key,)) for due_ms, key in due
        ]


test_every_index_is_exact = on_every_driver(ATable)


def test_a_dropped_table_is_swept_bit_by_bit_and_its_neighbour_stays() -> None:
    store = SqliteStore(":memory:")

    def do(work: Any, *args: Any, **options: Any) -> Any:
        return asyncio.run(store.transact(work, *args, **options))

    for number in range(5):
        for table in ("old", "old2"):
            place = Place({"index": (number,)})
            do(documents.put, table, (number,), b"", NOWHERE, place)
    do(documents.drop, "old")
    steps = 0
    while do(documents.sweep, limit=2):
        steps += 1
        assert steps < 20
    assert do(documents.count, "old") == do(documents.count_index, "old", "index") == 0
    assert do(documents.count, "old2") == do(documents.count_index, "old2", "index") == 5


def test_a_write_that_changes_no_indexed_value_writes_no_index_row() -> None:
    written: list[Any] = []

    class Counting:
        def put(self, key: Any, value: bytes) -> None:
            written.append(key)

    place = Place({"colour": (b"red",)}, 100)
    same = Place({"colour": (b"red",)}, 100)
    documents.put(Counting(), "shop", (b"a",), b"", place, same)  # type: ignore[arg-type]  # All that it needs here.
    assert written == [("doc", "shop", b"a")]
