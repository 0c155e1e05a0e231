"""What a database remembers: its documents as they are and as they were, their places in indexes, its time of commit.

A collection is a table of `primitives/documents`, named by the database's incarnation and the collection's path; a
document's row is the protobuf `Document` without its name. Every change is kept in `primitives/versions`, under the
time of its commit in microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.services.firestore import messages, names, ordering, ttl
from fogbank.gcp.services.firestore.indexing import place
from fogbank.kernel.store import END
from fogbank.kernel.store.records import Records
from fogbank.primitives import documents, versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.gcp.services.firestore.names import Path
    from fogbank.kernel.store import Tx
    from fogbank.primitives.documents import Span

AGING: Final = "firestore.aging"  # Emitted when something was written that is to be forgotten some day.
RETENTION_US: Final = 3600 * 1_000_000  # "Read data at a past time": within the past hour.


@dataclass(frozen=True, slots=True)
class DatabaseRow:
    uid: str  # Of its incarnation.
    created_us: int
    location: str = ""
    deleted: bool = False  # A new one of this name goes on with its incarnation, and after its times.
    updated_us: int = 0
    told: bytes = b""  # A google.firestore.admin.v1.Database: what of it was set.


DATABASES: Final = Records(DatabaseRow, "firestore", "database")  # By project and id.


def forgot(tx: Tx, uid: str, until_us: int) -> None:
    tx.put(("firestore", "forgotten", uid), until_us.to_bytes(8))


class Documents:
    """The documents of one database, in one transaction of the store."""

    def __init__(self, tx: Tx, database: names.Database, uid: str) -> None:
        self.tx, self.database, self.uid = tx, database, uid
        self._base = f"firestore:{uid}/"

    @classmethod
    def open(cls, tx: Tx, database: names.Database) -> Documents:
        """A database that nobody has written to is empty."""
        row = DATABASES.get_shared(tx, database.project, database.id)
        return cls(tx, database, row.uid if row is not None else "")

    @classmethod
    def open_or_create(cls, tx: Tx, database: names.Database, *, uid: str, now_us: int) -> Documents:
        """Every database is there from its first write on."""
        row = DATABASES.get_shared(tx, database.project, database.id)
        if row is None or row.deleted:
            row = DatabaseRow(uid if row is None else row.uid, now_us)
            DATABASES.put(tx, database.project, database.id, row=row)
        return cls(tx, database, row.uid)

    # Time ------------------------------------------------------------------------------------------------------------

    def last_commit_us(self) -> int:
        """The moment of what is there now: every commit to come is later, whatever the clock of its node says."""
        return int.from_bytes(self.tx.get(("firestore", "time", self.uid)) or b"")

    def next_commit_us(self, now_us: int) -> int:
        """Later than every commit before it and every read that was answered. Who commits at the same moment on another
        node meets this one at the row."""
        at_us = max(now_us, self.last_commit_us()) + 1
        self.tx.put(("firestore", "time", self.uid), at_us.to_bytes(8))
        return at_us

    def read_us(self, now_us: int) -> int:
        """What a reader of what is there now is told about the time."""
        return max(now_us, self.last_commit_us())

    def forgotten_us(self) -> int:
        """What was before that moment cannot be told any more."""
        return int.from_bytes(self.tx.get(("firestore", "forgotten", self.uid)) or b"")

    # One document ----------------------------------------------------------------------------------------------------

    def table(self, collection: Path) -> str:
        return self._base + "/".join(collection)

    def raw(self, path: Path, at_us: int | None = None) -> bytes | None:
        table, key = self.table(path[:-1]), (names.sortable(path[-1]),)
        if at_us is None:
            return documents.get(self.tx, table, key)
        return versions.get(self.tx, table, key, at=at_us)

    def get(self, path: Path, at_us: int | None = None) -> Any:
        """The `Document`, or None; as it was at `at_us`, if that is given."""
        row = self.raw(path, at_us)
        return None if row is None else self.decoded(path, row)

    def decoded(self, path: Path, row: bytes) -> Any:
        found = messages.Document.FromString(row)
        found.name = self.database.document(path)
        return found

    def changed_after(self, path: Path, at_us: int) -> bool:
        return versions.changed_after(self.tx, self.table(path[:-1]), (names.sortable(path[-1]),), at=at_us)

    def replace(self, path: Path, was: Any, now: Any, *, at_us: int) -> None:
        """`was` and `now`: the `Document`, or None. Each document once in a commit."""
        table, key = self.table(path[:-1]), (names.sortable(path[-1]),)
        before = None if was is None else documents.get(self.tx, table, key)
        versions.keep(self.tx, self.uid, table, key, before, at=at_us)
        self.tx.emit(AGING)
        there = documents.NOWHERE if was is None else place(was)
        if now is None:
            documents.delete(self.tx, table, key, there)
        else:
            row = messages.Document(fields=now.fields, create_time=now.create_time, update_time=now.update_time)
            documents.put(self.tx, table, key, row.SerializeToString(), there, place(now))
        ttl.note(self.tx, self.uid, path, was, now)
        group = ("firestore", "group", self.uid, path[-2], ordering.path_prefix(path))
        if was is None:
            self.tx.put(group, "/".join(path).encode())
        elif now is None:
            self.tx.delete(group)

    # Many documents --------------------------------------------------------------------------------------------------

    def scan(self, collection: Path, span: Span, *, reverse: bool = False) -> Iterator[tuple[Path, bytes]]:
        for (document_id,), row in documents.scan(self.tx, self.table(collection), span, reverse=reverse):
            yield (*collection, names.shown(document_id)), row

    def scan_index(
        self, collection: Path, index: str, span: Span, *, reverse: bool = False
    ) -> Iterator[tuple[Path, bytes]]:
        table = self.table(collection)
        for (document_id,), row in documents.scan_index(self.tx, table, index, span, parts=1, reverse=reverse):
            yield (*collection, names.shown(document_id)), row

    def scan_group(self, parent: Path, collection_id: str, *, reverse: bool = False) -> Iterator[tuple[Path, bytes]]:
        """Documents of all collections of that id below `parent`, in the order of their names."""
        for path in self.group_paths(parent, collection_id, reverse=reverse):
            row = self.raw(path)
            if row is not None:
                yield path, row

    def group_paths(
        self, parent: Path, collection_id: str, *, after: Path = (), reverse: bool = False
    ) -> Iterator[Path]:
        within, prefix = ("firestore", "group", self.uid, collection_id), ordering.path_prefix(parent)
        first = (*within, ordering.path_prefix(after), END) if after else (*within, prefix)
        last = (*within, prefix + b"\xff")  # No element begins with it.
        for _, path in self.tx.scan(first, last, reverse=reverse):
            yield tuple(path.decode().split("/"))

    def scan_below(self, parent: Path, *, limit: int | None = None) -> Iterator[tuple[Path, bytes]]:
        """All documents below `parent`, in no order."""
        first, last = self._below(parent)
        for table, (document_id,), row in documents.scan_tables(self.tx, first, last, limit=limit):
            yield (*self.collection_of(table), names.shown(document_id)), row

    def collection_ids(self, parent: Path, at_us: int | None = None) -> list[str]:
        """Of the collections below `parent` that hold documents, or have documents below theirs."""
        return sorted(self._children_at(parent, at_us), key=str.encode)

    def ids_with_children(self, collection: Path, at_us: int | None = None) -> set[str]:
        """Of the documents, there or not, below which there are others."""
        return self._children_at(collection, at_us)

    def _children_at(self, path: Path, at_us: int | None) -> set[str]:
        found = self._children(path)
        if at_us is None:
            return found
        depth = len(path)
        changed = {each for _, each in self.changed(after_us=at_us) if each[:depth] == path and len(each) > depth + 1}
        before = {each[depth] for each in changed if self.raw(each, at_us) is not None}
        return before | {child for child in found - before if self._has_other((*path, child), changed)}

    def _has_other(self, path: Path, changed: set[Path]) -> bool:
        """Whether there is a document below that was there all the time."""
        own = self.scan(path, documents.Span()) if len(path) % 2 else ()
        return any(found not in changed for found, _ in chain(own, self.scan_below(path)))

    def _children(self, path: Path) -> set[str]:
        """The next element of all paths of collections that begin with this one."""
        first, last = self._below(path)
        found: set[str] = set()
        at = first
        while (table := documents.next_table(self.tx, at, last)) is not None:
            child = table[len(first) :].split("/", 1)[0]
            # Behind the child's own table others may come before those below it: "a", "a-b", "a/x/y".
            at = first + child + ("0" if "/" in table[len(first) :] else "\x00")
            found.add(child)
        return found

    def _below(self, path: Path) -> tuple[str, str]:
        """First and last names of tables below a path: "0" is what comes behind "/"."""
        prefix = self._base + "".join(part + "/" for part in path)
        return prefix, prefix[:-1] + "0"

    def collection_of(self, table: str) -> Path:
        return tuple(table[len(self._base) :].split("/"))

    # Changes ---------------------------------------------------------------------------------------------------------

    def changed(self, *, after_us: int, until_us: int | None = None) -> Iterator[tuple[int, Path]]:
        """(time, path) of every change, the oldest first."""
        for at_us, table, (document_id,) in versions.changes(self.tx, self.uid, after=after_us, until=until_us):
            yield at_us, (*self.collection_of(table), names.shown(document_id))


def span_of(low: bytes, high: bytes) -> Span:
    return documents.Span((low,), (high, END))
