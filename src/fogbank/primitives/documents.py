"""Tables of documents by ordered key: what DynamoDB, Cosmos DB and Firestore have in common.

A document is bytes of the skin's choosing under a key of its choosing. Writing one keeps, in the same transaction, its
entries in secondary indexes, the moment it expires, and the record of the change for whoever follows the table: an
index can never be stale, and a change is never lost or told twice.

An index entry holds no copy: it is the index's key followed by the document's own, and the reader fetches the document
behind it. So a write that changes no indexed value writes no index row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from fogbank.kernel.store import END, within

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fogbank.kernel.store import Key, Tx

DocumentKey = tuple[str | int | bytes, ...]


EXPIRY: Final = "documents.expiry"  # Emitted when a document that will expire is written.
DROPPED: Final = "documents.dropped"  # Emitted when rows wait to be swept.


class Change(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One change of one document, as its followers get it. `keys`, `old` and `new` are bytes of the skin's making;
    an image is empty where there was no document, or where the followers do not want it."""

    id: str
    kind: str  # "INSERT", "MODIFY", "REMOVE".
    keys: bytes
    old: bytes = b""
    new: bytes = b""
    size_bytes: int = 0
    by: str = ""  # "expiry" where nobody asked for it.
    trace: str = ""  # Of the request that asked for it.


encode_change = msgspec.msgpack.Encoder().encode
decode_change = msgspec.msgpack.Decoder(Change).decode
_NOTHING: Final[dict[str, DocumentKey]] = {}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document stands beside its table: in indexes, and when it expires (0: never)."""

    entries: Mapping[str, DocumentKey]
    due_ms: int = 0
    many: frozenset[tuple[str, DocumentKey]] = frozenset()  # In indexes in which it may stand several times.


NOWHERE: Final = Place(_NOTHING)


def get(tx: Tx, table: str, key: DocumentKey, *, lock: bool = False) -> bytes | None:
    return tx.get(("doc", table, *key), lock=lock)


def put(tx: Tx, table: str, key: DocumentKey, body: bytes, was: Place = NOWHERE, now: Place = NOWHERE) -> None:
    """Write it. `was` and `now`: where the document stood before (nowhere, if there was none) and stands from now."""
    tx.put(("doc", table, *key), body)
    if was is not now:
        _move(tx, table, key, was, now)


def delete(tx: Tx, table: str, key: DocumentKey, was: Place = NOWHERE) -> None:
    tx.delete(("doc", table, *key))
    if was is not NOWHERE:
        _move(tx, table, key, was, NOWHERE)


def _move(tx: Tx, table: str, key: DocumentKey, was: Place, now: Place) -> None:
    before, after = was.entries, now.entries
    for index, entry in before.items():
        if after.get(index) != entry:
            tx.delete(("doc-index", table, index, *entry, *key))
    for index, entry in after.items():
        if before.get(index) != entry:
            tx.put(("doc-index", table, index, *entry, *key), b"")
    for index, entry in was.many - now.many:
        tx.delete(("doc-index", table, index, *entry, *key))
    for index, entry in now.many - was.many:
        tx.put(("doc-index", table, index, *entry, *key), b"")
    if was.due_ms != now.due_ms:
        expire(tx, table, key, was_ms=was.due_ms, due_ms=now.due_ms)


# Reading in order ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """Keys from `first` up to, not including, `last`: parts of a document's key or of an index's, END at the end."""

    first: Key = ()
    last: Key = (END,)


def scan(
    tx: Tx, table: str, span: Span, *, reverse: bool = False, limit: int | None = None
) -> Iterator[tuple[DocumentKey, bytes]]:
    """Documents in the order of their keys."""
    rows = tx.scan(("doc", table, *span.first), ("doc", table, *span.last), reverse=reverse, limit=limit)
    return ((key[2:], body) for key, body in rows)  # type: ignore[misc]  # No END is ever stored.


def scan_index(
    tx: Tx, table: str, index: str, span: Span, *, parts: int, reverse: bool = False
) -> Iterator[tuple[DocumentKey, bytes]]:
    """Documents in the order of an index whose own key has `parts` parts."""
    first, last = ("doc-index", table, index, *span.first), ("doc-index", table, index, *span.last)
    for key, _ in tx.scan(first, last, reverse=reverse):
        own: Any = key[3 + parts :]
        body = tx.get(("doc", table, *own))
        if body is not None:
            yield own, body


def count(tx: Tx, table: str) -> int:
    return tx.count(*within("doc", table))


def count_index(tx: Tx, table: str, index: str) -> int:
    return tx.count(*within("doc-index", table, index))


def enter(tx: Tx, table: str, index: str, entry: DocumentKey, key: DocumentKey) -> None:
    """Put an existing document into an index that is being built."""
    tx.put(("doc-index", table, index, *entry, *key), b"")


# Tables whose names tell where they belong (collections below documents) ----------------------------------------------


def next_table(tx: Tx, first: str, last: str) -> str | None:
    """The name of the first table that has documents, `first <= name < last`: the way from one to the next is a read
    each, however many documents lie between them."""
    for key, _ in tx.scan(("doc", first), ("doc", last), limit=1):
        return str(key[1])
    return None


def scan_tables(tx: Tx, first: str, last: str, *, limit: int | None = None) -> Iterator[tuple[str, DocumentKey, bytes]]:
    """All documents of all tables with `first <= name < last`: in the order of the names, then of the keys."""
    for key, body in tx.scan(("doc", first), ("doc", last), limit=limit):
        yield str(key[1]), key[2:], body  # type: ignore[misc]  # No END is ever stored.


# Expiry --------------------------------------------------------------------------------------------------------------


def expire(tx: Tx, table: str, key: DocumentKey, *, was_ms: int = 0, due_ms: int = 0) -> None:
    if was_ms:
        tx.delete(("doc-due", was_ms, table, *key))
    if due_ms:
        tx.put(("doc-due", due_ms, table, *key), b"")
        tx.emit(EXPIRY)


def expired(tx: Tx, *, now_ms: int, limit: int) -> list[tuple[int, str, DocumentKey]]:
    """(due_ms, table, key) of documents whose time has come, the longest due first, claimed by this transaction."""
    rows = tx.claim(("doc-due",), ("doc-due", now_ms + 1), limit=limit)
    return [(int(key[1]), str(key[2]), key[3:]) for key, _ in rows]  # type: ignore[arg-type, misc]  # As written above.


def next_expiry_ms(tx: Tx) -> int | None:
    for key, _ in tx.scan(*within("doc-due"), limit=1):
        return int(key[1])  # type: ignore[arg-type]  # As written above.
    return None


# Dropping ------------------------------------------------------------------------------------------------------------


def drop(tx: Tx, table: str) -> None:
    """The table will never be read again; `sweep` clears its rows away bit by bit."""
    tx.put(("doc-dropped", table, ""), b"")
    tx.emit(DROPPED)


def drop_index(tx: Tx, table: str, index: str) -> None:
    tx.put(("doc-dropped", table, index), b"")
    tx.emit(DROPPED)


def sweep(tx: Tx, *, limit: int = 1000) -> int:
    """Clear away up to `limit` rows of dropped tables and indexes; 0 when nothing is left."""
    for mark, _ in list(tx.scan(*within("doc-dropped"), limit=1)):
        table, index = str(mark[1]), str(mark[2])
        prefixes: Sequence[tuple[str, ...]]
        prefixes = (("doc-index", table, index),) if index else (("doc", table), ("doc-index", table))
        for prefix in prefixes:
            keys = [key for key, _ in tx.scan(*within(*prefix), limit=limit)]
            for key in keys:
                tx.delete(key)
            if keys:
                return len(keys)
        tx.delete(mark)
        return 1
    return 0
