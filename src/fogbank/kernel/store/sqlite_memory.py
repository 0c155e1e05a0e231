"""What the SQLite driver holds in memory beside the database: rows that are committed, rows that are not yet, and what
was made of rows.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_CACHED_MAX = 4096  # Of one generation.
_CACHED_BYTES_MAX = 4096
_REMEMBERED_MAX = 8192
_FEW = 64
UNKNOWN: Final[Any] = object()


class RowCache:
    """Rows as they are committed. Configuration is read for every request and seldom written, and even a read that
    finds its page in memory costs SQLite ten times what a dictionary does; and what is written is often read next.

    Two generations: when the younger is full it becomes the older, and what was read in neither is forgotten.
    """

    def __init__(self) -> None:
        self._young: dict[bytes, bytes | None] = {}
        self._old: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """`UNKNOWN` where only the database can tell."""
        found = self._young.get(key, UNKNOWN)
        if found is UNKNOWN:
            found = self._old.get(key, UNKNOWN)
            if found is not UNKNOWN:
                self._young[key] = found
        return found  # type: ignore[no-any-return]  # A row's value, or none.

    def keep(self, key: bytes, value: bytes | None) -> None:
        if value is not None and len(value) > _CACHED_BYTES_MAX:
            self._young.pop(key, None)
            self._old.pop(key, None)
            return
        if len(self._young) >= _CACHED_MAX:
            self._old, self._young = self._young, {}
        self._young[key] = value


class Written:
    """What the transactions of the tick have written so far, which the database has not got yet: None where a row was
    deleted."""

    def __init__(self, changes: Callable[[bytes], None]) -> None:
        self._changes = changes
        self.rows: dict[bytes, bytes | None] = {}
        self._order: list[bytes] = []  # Its keys in order, as far as somebody has asked for it.
        self._new: list[bytes] = []

    def set(self, key: bytes, value: bytes | None) -> None:
        if key not in self.rows:
            self._new.append(key)
            self._changes(key)
        self.rows[key] = value

    def put_back(self, key: bytes, value: bytes | None) -> None:
        """`UNKNOWN`: as if it had never been written."""
        if value is UNKNOWN:
            del self.rows[key]
            self._order, self._new = [], list(self.rows)
        else:
            self.rows[key] = value

    def take(self) -> dict[bytes, bytes | None]:
        rows, self.rows = self.rows, {}
        self._order, self._new = [], []
        return rows

    def between(self, first: bytes, last: bytes) -> list[bytes]:
        if len(self._new) > _FEW:
            self._order += self._new
            self._order.sort()
            self._new = []
        elif self._new:
            for key in self._new:
                insort(self._order, key)
            self._new = []
        low = bisect_left(self._order, first)
        return self._order[low : bisect_left(self._order, last, low)]


class Memory:
    """What was made of rows (`Tx.recall`), until one of them is written."""

    def __init__(self) -> None:
        self._made: dict[Any, tuple[Any, frozenset[bytes]]] = {}
        self._of: dict[bytes, set[Any]] = {}
        self.get = self._made.get

    def keep(self, asked: Any, made: Any, rows: frozenset[bytes]) -> None:
        if len(self._made) >= _REMEMBERED_MAX:
            self._made.clear()
            self._of.clear()
        self._made[asked] = made, rows
        for row in rows:
            self._of.setdefault(row, set()).add(asked)

    def forget_if_of(self, row: bytes) -> None:
        if row in self._of:
            for asked in self._of.pop(row):
                self._made.pop(asked, None)
