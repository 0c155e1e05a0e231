"""Whatever is changed, documents are found as they were at every moment that is still remembered."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from fogbank.primitives import documents, versions
from fogbank.primitives.documents import Span
from tests.support.stores import StoreMachine, on_every_driver

TABLES, KEYS = st.sampled_from(["shop", "shop/a"]), st.sampled_from(["a", "b", 7])


class AHistory(StoreMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now: dict[tuple[str, Any], bytes] = {}
        self.states: list[dict[tuple[str, Any], bytes]] = [{}]  # At each moment since the beginning.
        self.changed: list[tuple[int, str, Any]] = []
        self.forgotten = 0

    @rule(table=TABLES, key=KEYS, body=st.sampled_from([b"", b"x", b"y"]))
    def change(self, table: str, key: Any, body: bytes) -> None:
        """An empty one deletes."""
        was = self.now.get((table, key))
        if was is None and not body:
            return
        at = len(self.states)
        self.transact(_change, table, key, was, body, at)
        self.now = {place: there for place, there in self.now.items() if place != (table, key)}
        if body:
            self.now[table, key] = body
        self.states.append(self.now)
        self.changed.append((at, table, key))

    @rule(back=st.integers(0, 5))
    def forget(self, back: int) -> None:
        until = max(self.forgotten, len(self.states) - 1 - back)
        while self.transact(versions.forget, "h", until=until, limit=2) == 2:
            pass
        self.forgotten = until

    @invariant()
    def every_moment_that_is_remembered_is_as_it_was(self) -> None:
        for at in range(self.forgotten, len(self.states)):
            for table in ("shop", "shop/a"):
                for key in ("a", "b", 7):
                    found = self.transact(versions.get, table, (key,), at=at)
                    assert found == self.states[at].get((table, key))

    @invariant()
    def the_changes_are_told_in_their_order(self) -> None:
        middle = (self.forgotten + len(self.states)) // 2
        for after, until in ((self.forgotten, None), (self.forgotten, middle), (middle, None)):
            found = self.transact(lambda tx, a=after, u=until: list(versions.changes(tx, "h", after=a, until=u)))
            last = len(self.states) if until is None else until
            assert [(at, table, key[0]) for at, table, key in found] == [
                change for change in self.changed if after < change[0] <= last
            ]

    @invariant()
    def a_document_has_changed_after_a_moment_or_has_not(self) -> None:
        for table, key in self.now:
            for at in range(self.forgotten, len(self.states)):
                found = self.transact(versions.changed_after, table, (key,), at=at)
                assert found == any(change[0] > at and change[1:] == (table, key) for change in self.changed)


def _change(tx: Any, table: str, key: Any, was: bytes | None, body: bytes, at: int) -> None:
    versions.keep(tx, "h", table, (key,), was, at=at)
    if body:
        documents.put(tx, table, (key,), body)
    else:
        documents.delete(tx, table, (key,))


test_what_was_is_found = on_every_driver(AHistory, examples=20, steps=12)


class Collections(StoreMachine):
    """Tables whose names have a beginning in common are found without what lies in them."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: set[str] = set()

    @rule(table=st.sampled_from(["a", "a/x", "a-b", "b", "b/y/z"]), key=KEYS)
    def write(self, table: str, key: Any) -> None:
        self.transact(documents.put, table, (key,), b"1")
        self.tables.add(table)

    @invariant()
    def the_next_table_is_found_by_name(self) -> None:
        found: list[str] = []
        at = "a"
        while (table := self.transact(documents.next_table, at, "c")) is not None:
            found.append(table)
            at = table + "\x00"
        assert found == sorted(self.tables)
        below = {table for table, *_ in self.transact(lambda tx: list(documents.scan_tables(tx, "a/", "a0")))}
        assert below == {table for table in self.tables if table.startswith("a/")}
        assert all(self.transact(lambda tx, t=table: list(documents.scan(tx, t, Span()))) for table in self.tables)


test_tables_are_found_by_the_beginnings_of_their_names = on_every_driver(Collections, examples=10, steps=8)
