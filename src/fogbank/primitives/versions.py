"""What documents were: the state that each change ended, and the order of all changes, as long as readers may ask.

Documents themselves stand in `primitives/documents`, as they are now. A *history* is the changes of any number of
tables in one order of time; whoever writes a change sees to it that its time is later than that of all before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from fogbank.kernel.store import END, within
from fogbank.primitives import documents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.kernel.store import Tx
    from fogbank.primitives.documents import DocumentKey

CHANGED: Final = "versions.changed"  # Emitted with (history,) at every change.
_NONE: Final = b""  # There was no document.


class Changed(NamedTuple):
    at: int
    table: str
    key: DocumentKey


def keep(tx: Tx, history: str, table: str, key: DocumentKey, was: bytes | None, *, at: int) -> None:
    """The document was `was` (none: there was none) until `at`, when it changed: once for each change of one."""
    tx.put(("doc-past", table, *key, at), was or _NONE)
    tx.put(("doc-log", history, at, table, *key), b"")
    tx.emit(CHANGED, (history,))


def get(tx: Tx, table: str, key: DocumentKey, *, at: int) -> bytes | None:
    """The document as it was at that time, a change at that very time included."""
    for _, was in tx.scan(("doc-past", table, *key, at + 1), ("doc-past", table, *key, END), limit=1):
        return was or None
    return documents.get(tx, table, key)


def changed_after(tx: Tx, table: str, key: DocumentKey, *, at: int) -> bool:
    return any(True for _ in tx.scan(("doc-past", table, *key, at + 1), ("doc-past", table, *key, END), limit=1))


def changes(tx: Tx, history: str, *, after: int, until: int | None = None) -> Iterator[Changed]:
    """The oldest first; those at `after` itself not, those at `until` too."""
    last = ("doc-log", history, END) if until is None else ("doc-log", history, until + 1)
    for key, _ in tx.scan(("doc-log", history, after + 1), last):
        yield Changed(int(key[2]), str(key[3]), key[4:])  # type: ignore[arg-type]  # As `keep` writes them.


def oldest(tx: Tx, history: str) -> int | None:
    """When the first change was that is still remembered."""
    for key, _ in tx.scan(*within("doc-log", history), limit=1):
        return int(key[2])  # type: ignore[arg-type]  # As `keep` writes them.
    return None


def forget(tx: Tx, history: str, *, until: int, limit: int = 500) -> int:
    """Nobody asks any more what was until that time. How many changes were forgotten: `limit` if more may be left."""
    rows = list(tx.scan(("doc-log", history), ("doc-log", history, until + 1), limit=limit))
    for key, _ in rows:
        tx.delete(("doc-past", *key[3:], key[2]))
        tx.delete(key)
    return len(rows)
