"""A query that looks at much, in slices: between them others are served, and the answer is still of one moment.

Each slice is a transaction of its own, and sees what is there by then. That does no harm: a document that has not
changed since the moment of the query stands where it stood, and is met once; those that have changed are known, and
what they were at that moment is kept (`primitives/versions`). They are put in place of what the slices saw.
"""

from __future__ import annotations

import asyncio
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, cast

from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.firestore import indexing
from fogbank.gcp.services.firestore.queries import plan, run
from fogbank.gcp.services.firestore.queries.plan import Sorted
from fogbank.gcp.services.firestore.queries.view import View
from fogbank.gcp.services.firestore.state import Documents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fogbank.gcp.services.firestore.names import Path
    from fogbank.gcp.services.firestore.queries.run import Pair
    from fogbank.gcp.services.firestore.queries.shape import Query
    from fogbank.kernel.store import Key, Store, Tx

ROWS: Final = 250  # Of one slice: some milliseconds.
_PAGE: Final = 125
_FIRST: Final = itemgetter(0)


class Slices:
    """`begin` in the transaction that the query begins in, then `finish`; `pairs` is the answer without offset and
    limit, or as much of its beginning as they need."""

    def __init__(self, documents: Documents, query: Query, at_us: int | None) -> None:
        self._tx = _Turning(documents.tx)
        self._documents = Documents(cast("Tx", self._tx), documents.database, documents.uid)
        self._query = query
        self._now = at_us is None  # What is there at this very moment: nothing has changed, as long as it is one slice.
        self._at_us = documents.last_commit_us() if at_us is None else at_us
        self._way = plan.rows(self._documents, query)
        self._found = _Found(query, self._way.sorted)
        self._end = None if query.limit is None or query.nearest is not None else query.offset + query.limit
        self._whole, self._over, self._slices = True, False, 0
        self.pairs: Iterable[Pair] = ()
        self.looked_at = 0

    def begin(self) -> bool:
        """Whether that was all."""
        self._over = self._some()
        return self._over

    async def finish(self, store: Store) -> None:
        self._whole = False
        slices = 0
        while not self._over:
            await asyncio.sleep(0)  # On an embedded store a transaction is no pause.
            slices += 1
            await store.transact(self._slice, slices)

    def _slice(self, tx: Tx, number: int) -> None:
        if number > self._slices:  # One that is run again has looked already, and what it saw was so.
            self._tx.take(tx)
            self._over = self._some()
            self._slices = number

    def _some(self) -> bool:
        """Look at some rows more. Whether the answer is there."""
        done = 0
        for path, row in islice(self._way.rows, ROWS):
            done += 1
            self._found.look_at(View(self._documents.database, path, row))
        self.looked_at += done
        over = done < ROWS
        if over or (self._end is not None and self._found.complete >= self._end):
            over = self._settle(over=over)
        self._tx.leave()
        return over

    def _settle(self, *, over: bool) -> bool:
        """Put what has changed since the moment of the query in its place. Whether that is enough."""
        changed = set() if self._now and self._whole else self._changed()
        kept = self._found.all(over=over)
        if changed:
            kept = [pair for pair in kept if pair[1].path not in changed]
        if not over and len(kept) < (self._end or 0):
            return False
        self.pairs = merge(kept, self._then(changed), key=_FIRST) if changed else kept
        return True

    def _changed(self) -> set[Path]:
        return {path for _, path in self._documents.changed(after_us=self._at_us) if self._query.has(path)}

    def _then(self, changed: Iterable[Path]) -> list[Pair]:
        found = _Found(self._query, Sorted.NOT)
        for path in changed:
            row = self._documents.raw(path, self._at_us)
            if row is not None:
                found.look_at(View(self._documents.database, path, row))
        return found.all(over=True)

    @property
    def indexes(self) -> tuple[str, ...]:
        return self._way.indexes

    @property
    def answers(self) -> Iterator[Any]:
        """`Document`s."""
        return run.told(self._query, self.pairs)


class _Found:
    """What matches, put in order as far as the rows do not come in it."""

    def __init__(self, query: Query, how: Sorted) -> None:
        self._query, self._how = query, how
        self._pairs: list[Pair] = []  # In order, but where nothing comes in order.
        self._ties: list[Pair] = []  # Of one entry of the index, in any order.
        self._entry: bytes | None = None

    @property
    def complete(self) -> int:
        """How many are known to be the first."""
        return 0 if self._how is Sorted.NOT else len(self._pairs)

    def look_at(self, view: View) -> None:
        query = self._query
        key = query.sort_key(view) if query.filter.matches(view) else None
        if key is None or not query.within(key):
            return
        if self._how is not Sorted.BY_FIRST:
            self._pairs.append((key, view))
            return
        entry = indexing.entry(view.key(query.orders[0].field) or b"")
        if entry != self._entry:
            self._close()
            self._entry = entry
        self._ties.append((key, view))

    def all(self, *, over: bool) -> list[Pair]:
        if over:
            self._close()
        if self._how is Sorted.NOT:
            self._pairs.sort(key=_FIRST)
        return self._pairs

    def _close(self) -> None:
        self._ties.sort(key=_FIRST)
        self._pairs += self._ties
        self._ties = []


class _Turning:
    """A transaction that only reads, and goes on as another: a scan takes its next rows from the one that is there."""

    def __init__(self, tx: Tx) -> None:
        self._tx: Tx | None = tx

    def take(self, tx: Tx) -> None:
        if self._tx is not None:  # A slice was cut off within, and is run again.
            raise RpcError(Code.UNAVAILABLE, "The query was interrupted.")
        self._tx = tx

    def leave(self) -> None:
        self._tx = None

    @property
    def _now(self) -> Tx:
        assert self._tx is not None
        return self._tx

    def get(self, key: Key, *, lock: bool = False) -> bytes | None:
        return self._now.get(key, lock=lock)

    def scan(
        self, first: Key, last: Key, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[Key, bytes]]:
        left = limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            rows = list(self._now.scan(first, last, reverse=reverse, limit=size))
            yield from rows
            if len(rows) < size:
                return
            behind = rows[-1][0]
            first, last = (first, behind) if reverse else ((*behind, b""), last)
            left = None if left is None else left - size
