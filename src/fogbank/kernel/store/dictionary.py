"""The store in a dictionary, for simulations and for judging transactions: nothing outlives it.

`rehearse` runs each transaction once for nothing before it counts. A networked driver may do that after a conflict, so
what cannot bear it is wrong.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any, Concatenate

from fogbank.kernel.store import Key, P, R
from fogbank.kernel.store.keys import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class DictionaryStore:
    def __init__(
        self, wake: Callable[[str, Key], None] = lambda _signal, _key: None, *, rehearse: bool = False
    ) -> None:
        self._wake, self._rehearse = wake, rehearse
        self._rows: dict[bytes, bytes] = {}
        self._order: list[bytes] = []

    @property
    def immediate(self) -> None:
        return None

    async def transact(self, work: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        if self._rehearse:
            self._run(work, *args, **kwargs)[1].undo()
        result, tx = self._run(work, *args, **kwargs)
        for signal, key in tx.signals:
            self._wake(signal, key)
        return result

    async def close(self) -> None:
        self._rows.clear()
        self._order.clear()

    def describe(self) -> dict[str, Any]:
        return {"driver": "dictionary", "rows": len(self._rows)}

    def _run(self, work: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> tuple[R, DictionaryTx]:
        tx = DictionaryTx(self._rows, self._order)
        try:
            return work(tx, *args, **kwargs), tx
        except BaseException:
            tx.undo()
            raise


class DictionaryTx:
    def __init__(self, rows: dict[bytes, bytes], order: list[bytes]) -> None:
        self._rows, self._order = rows, order
        self._before: list[tuple[bytes, bytes | None]] = []
        self.signals: list[tuple[str, Key]] = []

    def get(self, key: Key, *, lock: bool = False) -> bytes | None:
        return self._rows.get(pack(key))

    def put(self, key: Key, value: bytes) -> None:
        self._set(pack(key), value)

    def delete(self, key: Key) -> None:
        self._set(pack(key), None)

    def scan(
        self, first: Key, last: Key, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[Key, bytes]]:
        keys = self._order[bisect_left(self._order, pack(first)) : bisect_left(self._order, pack(last))]
        if reverse:
            keys.reverse()
        for key in keys[:limit]:
            value = self._rows.get(key)
            if value is not None:
                yield unpack(key), value

    def claim(self, first: Key, last: Key, *, limit: int) -> Iterator[tuple[Key, bytes]]:
        return self.scan(first, last, limit=limit)

    def count(self, first: Key, last: Key) -> int:
        return max(0, bisect_left(self._order, pack(last)) - bisect_left(self._order, pack(first)))

    def recall(self, work: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return work(self, *args, **kwargs)

    def emit(self, signal: str, key: Key = ()) -> None:
        self.signals.append((signal, key))

    def undo(self) -> None:
        for key, value in reversed(self._before.copy()):
            self._set(key, value)
        self.signals.clear()

    def _set(self, key: bytes, value: bytes | None) -> None:
        before = self._rows.get(key)
        self._before.append((key, before))
        if value is None:
            if before is not None:
                del self._rows[key]
                del self._order[bisect_left(self._order, key)]
            return
        if before is None:
            insort(self._order, key)
        self._rows[key] = value
