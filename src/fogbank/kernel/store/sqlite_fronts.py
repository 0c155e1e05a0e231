"""The first rows of ranges that are claimed from, as they are committed: what a queue lends next.

Whoever claims asks for the same first rows again and again, and that the database finds the end of a range costs it
more than all the rest of a receive. Of a few ranges the first rows are kept here instead, and every commit is told.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

ROWS_MAX = 64  # Of one range.
_BYTES_MAX = 256 * 1024
_RANGES_MAX = 64
BEHIND = b"\xff"  # No key of a range comes behind its beginning and this.


class Front:
    """All rows of a range that stand before `end`, and none behind it."""

    __slots__ = ("_bytes", "_keys", "_rows", "end")

    def __init__(self, low: bytes, rows: Iterable[tuple[bytes, bytes]]) -> None:
        self._keys: list[bytes] = []
        self._rows: dict[bytes, bytes] = {}
        self._bytes = 0
        self.end = low + BEHIND
        for key, value in rows:
            self._put(key, value)
            if self.end == key:  # One too many: what follows is behind the end.
                break

    def first(self, before: bytes, limit: int, but: Container[bytes]) -> list[tuple[bytes, bytes]] | None:
        """The first rows whose keys are smaller than `before`, without `but` those; None if it knows too few."""
        found: list[tuple[bytes, bytes]] = []
        rows = self._rows
        for key in self._keys:
            if len(found) == limit or key >= before:
                return found
            if key not in but:
                found.append((key, rows[key]))
        return found if len(found) == limit or before <= self.end else None

    def wrote(self, key: bytes, value: bytes | None) -> None:
        if key >= self.end:
            return
        if value is not None:
            self._put(key, value)
        elif key in self._rows:
            self._drop(bisect_left(self._keys, key))

    def _put(self, key: bytes, value: bytes) -> None:
        old = self._rows.get(key)
        if old is None:
            self._keys.insert(bisect_left(self._keys, key), key)
        else:
            self._bytes -= len(old)
        self._rows[key] = value
        self._bytes += len(value)
        while len(self._keys) > ROWS_MAX or self._bytes > _BYTES_MAX:
            self.end = self._drop(-1)

    def _drop(self, at: int) -> bytes:
        key = self._keys.pop(at)
        self._bytes -= len(self._rows.pop(key))
        return key


class Fronts:
    """By the beginnings of their ranges."""

    def __init__(self) -> None:
        self._fronts: dict[bytes, Front] = {}
        self._lows: list[bytes] = []  # In order. None begins with another: a key is of one range at most.
        self.get = self._fronts.get

    def keep(self, low: bytes, front: Front) -> None:
        at = bisect_left(self._lows, low)
        if at < len(self._lows) and self._lows[at] == low:
            self._fronts[low] = front
            return
        if len(self._lows) >= _RANGES_MAX:
            self._fronts.clear()
            self._lows.clear()
            at = 0
        before, behind = self._lows[max(at - 1, 0) : at], self._lows[at : at + 1]
        if not any(low.startswith(other) for other in before) and not any(other.startswith(low) for other in behind):
            self._lows.insert(at, low)
            self._fronts[low] = front

    def wrote(self, rows: dict[bytes, bytes | None]) -> None:
        """A commit has left these; None where it has deleted one."""
        lows = self._lows
        if not lows:
            return
        for key, value in rows.items():
            at = bisect_right(lows, key) - 1
            if at >= 0 and key.startswith(lows[at]):
                self._fronts[lows[at]].wrote(key, value)
