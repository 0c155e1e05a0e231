"""The answer to a query: what matches, in order, from where to where, and which fields of it."""

from __future__ import annotations

from heapq import merge
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from fogbank.gcp.services.firestore import fields, indexing, messages
from fogbank.gcp.services.firestore.queries import nearest, plan
from fogbank.gcp.services.firestore.queries.plan import Sorted
from fogbank.gcp.services.firestore.queries.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fogbank.gcp.services.firestore.names import Path
    from fogbank.gcp.services.firestore.queries.shape import Query
    from fogbank.gcp.services.firestore.state import Documents

    Pair = tuple[bytes, View]  # The sort key first.

_FIRST = itemgetter(0)


def answers(documents: Documents, query: Query, *, at_us: int | None = None) -> Iterator[Any]:
    """`Document`s. `at_us`: as it was at that time."""
    return told(query, matching(documents, query, at_us))


def told(query: Query, pairs: Iterable[Pair]) -> Iterator[Any]:
    """Of all that match, in order: the `Document`s that are asked for."""
    if query.nearest is not None:
        for distance, view in nearest.find(query.nearest, (view for _, view in pairs)):
            yield _measured(query, view, distance)
        return
    for _, view in limited(query, pairs):
        yield projected(query, view)


def limited(query: Query, pairs: Iterable[Pair]) -> Iterator[Pair]:
    end = None if query.limit is None else query.offset + query.limit
    return islice(pairs, query.offset, end)


def projected(query: Query, view: View) -> Any:
    document = view.named()
    if query.fields is None:
        return document
    small = messages.Document(name=document.name, create_time=document.create_time, update_time=document.update_time)
    fields.copy(document.fields, query.fields, small.fields)
    return small


def _measured(query: Query, view: View, distance: float) -> Any:
    assert query.nearest is not None
    name = query.nearest.result_field
    if name:
        view.document.fields[name].double_value = distance
    return projected(query, view)


def matching(documents: Documents, query: Query, at_us: int | None = None) -> Iterator[Pair]:
    """All that match, in order, without offset and limit."""
    now = _now(documents, query)
    if at_us is None:
        return now
    changed = {path for _, path in documents.changed(after_us=at_us) if query.has(path)}
    if not changed:
        return now
    then = sorted(_pairs(query, _rows_then(documents, changed, at_us), documents), key=_FIRST)
    return merge((pair for pair in now if pair[1].path not in changed), then, key=_FIRST)


def _rows_then(documents: Documents, paths: Iterable[Path], at_us: int) -> Iterator[tuple[Path, bytes]]:
    for path in paths:
        row = documents.raw(path, at_us)
        if row is not None:
            yield path, row


def _now(documents: Documents, query: Query) -> Iterator[Pair]:
    way = plan.rows(documents, query)
    pairs = _pairs(query, way.rows, documents)
    if way.sorted is Sorted.NOT:
        yield from sorted(pairs, key=_FIRST)
        return
    yield from pairs if way.sorted is Sorted.FULLY else _ties_sorted(query, pairs)


def _pairs(query: Query, rows: Iterable[tuple[Path, bytes]], documents: Documents) -> Iterator[Pair]:
    for path, row in rows:
        view = View(documents.database, path, row)
        if query.filter.matches(view):
            key = query.sort_key(view)
            if key is not None and query.within(key):
                yield key, view


def _ties_sorted(query: Query, pairs: Iterable[Pair]) -> Iterator[Pair]:
    first = query.orders[0].field
    for _, group in groupby(pairs, lambda pair: indexing.entry(pair[1].key(first) or b"")):
        yield from sorted(group, key=_FIRST)
