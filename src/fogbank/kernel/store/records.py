"""Typed rows: a family of records of one dataclass under one key prefix, kept as msgpack.

A field that is added later needs a default; one that is taken away is passed over in old rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from fogbank.kernel.store import within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.kernel.store import Key, Tx

T = TypeVar("T")
_SHARED_MAX = 1024
_encode = msgspec.msgpack.Encoder().encode


class Records(Generic[T]):
    """`Records(Queue, "sqs", "queue")` keeps `Queue` rows at ("sqs", "queue", *parts)."""

    def __init__(self, row_type: type[T], *prefix: str) -> None:
        self.prefix = prefix
        self.decode = msgspec.msgpack.Decoder(row_type).decode
        self._shared: dict[bytes, T] = {}

    def key(self, *parts: str | int | bytes) -> Key:
        return (*self.prefix, *parts)

    def get(self, tx: Tx, *parts: str | int | bytes, lock: bool = False) -> T | None:
        raw = tx.get((*self.prefix, *parts), lock=lock)
        return None if raw is None else self.decode(raw)

    def get_shared(self, tx: Tx, *parts: str | int | bytes) -> T | None:
        """`get` for the way of every request: as long as the row stays the same so does the object, which belongs to
        all that have it. Nobody may change what is in it."""
        raw = tx.get((*self.prefix, *parts))
        if raw is None:
            return None
        row = self._shared.get(raw)
        if row is None:
            if len(self._shared) >= _SHARED_MAX:
                self._shared.clear()
            row = self._shared[raw] = self.decode(raw)
        return row

    def put(self, tx: Tx, *parts: str | int | bytes, row: T) -> None:
        tx.put((*self.prefix, *parts), _encode(row))

    def delete(self, tx: Tx, *parts: str | int | bytes) -> None:
        tx.delete((*self.prefix, *parts))

    def scan(
        self,
        tx: Tx,
        *parts: str | int | bytes,
        after: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[Key, T]]:
        """Rows below ("prefix", *parts) with their whole keys, in order; `after` is a key to go on behind (or before,
        in reverse)."""
        first, last = within(*self.prefix, *parts)
        if after is not None:
            first, last = (first, after) if reverse else ((*after, b""), last)
        for key, raw in tx.scan(first, last, limit=limit, reverse=reverse):
            yield key, self.decode(raw)

    def all(self, tx: Tx, *parts: str | int | bytes) -> list[T]:
        return [row for _, row in self.scan(tx, *parts)]

    def clear(self, tx: Tx, *parts: str | int | bytes) -> None:
        """Forget every row below the prefix."""
        for key, _ in list(tx.scan(*within(*self.prefix, *parts))):
            tx.delete(key)
