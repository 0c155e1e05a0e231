"""The way to the documents that a query may find: by one index, by name, or through everything.

What a way brings is a little too much rather than too little; the filter decides. Where the service would ask for a
composite index, the best single one narrows the search and the rest is looked at document by document.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING, Final

from fogbank.gcp.services.firestore import fieldpaths, indexing, ordering
from fogbank.gcp.services.firestore.queries.filters import RANGES, Op
from fogbank.gcp.services.firestore.state import span_of
from fogbank.kernel.store import END
from fogbank.primitives.documents import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fogbank.gcp.services.firestore.fieldpaths import FieldPath
    from fogbank.gcp.services.firestore.names import Path
    from fogbank.gcp.services.firestore.queries.filters import Comparison, Conjunction
    from fogbank.gcp.services.firestore.queries.shape import Cursor, Order, Query
    from fogbank.gcp.services.firestore.state import Documents

    Rows = Iterator[tuple[Path, bytes]]


class Sorted(Enum):
    """How far rows come in the order of the query."""

    NOT = 0
    BY_FIRST = 1  # By the index's entry of the first field that is sorted by; those of one entry in any order.
    FULLY = 2


@dataclass(frozen=True, slots=True)
class Way:
    rows: Rows
    sorted: Sorted
    indexes: tuple[str, ...]  # Those it goes by, as the service shows them: "(age ASC, __name__ ASC)".


_BY_NAME: Final = ("(__name__ ASC)",)


def rows(documents: Documents, query: Query) -> Way:
    if query.descendants or not query.collection_id:
        return _wide(documents, query)
    collection = (*query.parent, query.collection_id)
    if len(query.conjunctions) == 1:
        [conjunction] = query.conjunctions
        return _by_equality(documents, collection, query, conjunction) or _by_order(
            documents, collection, query, conjunction
        )
    ways: list[Way] = []
    for conjunction in query.conjunctions:
        way = _by_equality(documents, collection, query, conjunction)
        if way is None:
            return _by_order(documents, collection, query, ())
        ways.append(way)
    found = _distinct(chain.from_iterable(way.rows for way in ways))
    return Way(found, Sorted.NOT, tuple(dict.fromkeys(index for way in ways for index in way.indexes)))


def _distinct(found: Iterable[tuple[Path, bytes]]) -> Rows:
    known: set[Path] = set()
    for path, row in found:
        if path not in known:
            known.add(path)
            yield path, row


def _wide(documents: Documents, query: Query) -> Way:
    """Several collections: there is no index over them, but that of names in a collection group."""
    first = query.orders[0]
    by_name, reverse = first.field == fieldpaths.NAME, first.descending
    if query.collection_id:
        found = documents.scan_group(query.parent, query.collection_id, reverse=by_name and reverse)
        return Way(
            found, Sorted.FULLY if by_name else Sorted.NOT, (_shown(fieldpaths.NAME, descending=by_name and reverse),)
        )
    if query.descendants:
        return Way(documents.scan_below(query.parent), Sorted.NOT, _BY_NAME)
    collections = [(*query.parent, each) for each in documents.collection_ids(query.parent)]
    found = chain.from_iterable(documents.scan(each, Span()) for each in collections)
    return Way(found, Sorted.NOT, _BY_NAME)


def _shown(field: FieldPath, *, descending: bool, array: bool = False) -> str:
    direction = "DESC" if descending else "ASC"
    if field == fieldpaths.NAME:
        return f"(__name__ {direction})"
    return f"({fieldpaths.show(field)} {'CONTAINS' if array else direction}, __name__ {direction})"


_EQUALITIES: Final = frozenset((Op.EQUAL, Op.IS_NULL, Op.IS_NAN))


def _by_equality(documents: Documents, collection: Path, query: Query, conjunction: Conjunction) -> Way | None:
    equal = [leaf for leaf in conjunction if leaf.op in _EQUALITIES and leaf.field != fieldpaths.NAME]
    narrow = equal or [leaf for leaf in conjunction if leaf.op is Op.ARRAY_CONTAINS]
    for leaf in conjunction:
        if leaf.field == fieldpaths.NAME and leaf.op is Op.EQUAL:
            return Way(_by_name(documents, collection, leaf), Sorted.FULLY, _BY_NAME)
    if not narrow:
        return None
    fixed = {leaf.field for leaf in equal}
    left = [order for order in query.orders if order.field not in fixed]
    fully = left[0].field == fieldpaths.NAME
    reverse = fully and left[0].descending
    found = _entries(documents, collection, narrow[0], reverse=reverse)
    index = _shown(narrow[0].field, descending=reverse, array=not equal)
    return Way(found, Sorted.FULLY if fully else Sorted.NOT, (index,))


def _entries(documents: Documents, collection: Path, leaf: Comparison, *, reverse: bool) -> Rows:
    if leaf.op is Op.ARRAY_CONTAINS:
        index, operands = indexing.by_member(leaf.field), leaf.operands
    else:
        index, operands = indexing.by_value(leaf.field), _SPECIAL.get(leaf.op, leaf.operands)
    for operand in operands:  # One, or none that could match.
        entry = indexing.entry(operand)
        yield from documents.scan_index(collection, index, span_of(entry, entry), reverse=reverse)


_SPECIAL: Final = {Op.IS_NULL: (ordering.NULL,), Op.IS_NAN: (ordering.double(float("nan")),)}


def _by_order(documents: Documents, collection: Path, query: Query, conjunction: Conjunction) -> Way:
    first = query.orders[0]
    bounds = _Bounds(first, conjunction, query.start, query.end)
    if first.field == fieldpaths.NAME:
        found = _in_bounds_of_names(documents, collection, bounds, reverse=first.descending)
        return Way(found, Sorted.FULLY, (_shown(first.field, descending=first.descending),))
    span = span_of(bounds.low, bounds.high)
    index = indexing.by_value(first.field)
    found = documents.scan_index(collection, index, span, reverse=first.descending)
    return Way(found, Sorted.BY_FIRST, (_shown(first.field, descending=first.descending),))


class _Bounds:
    """Between which values of the first field that is sorted by the answers lie, both ends included."""

    def __init__(self, first: Order, conjunction: Conjunction, start: Cursor | None, end: Cursor | None) -> None:
        self.low, self.high = b"", b"\xff"
        for leaf in conjunction:
            if leaf.field == first.field and leaf.op in RANGES and leaf.operands:
                self._of_range(leaf.op, leaf.operands[0])
        if start is not None and start.values:
            self._of_cursor(start.values[0], first, lower=True)
        if end is not None and end.values:
            self._of_cursor(end.values[0], first, lower=False)
        self.low, self.high = indexing.entry(self.low), indexing.entry(self.high)

    def _of_range(self, op: Op, operand: bytes) -> None:
        """Of the operand's type only."""
        tag = operand[0]
        if op in (Op.GREATER_THAN, Op.GREATER_THAN_OR_EQUAL):
            self.low, self.high = max(self.low, operand), min(self.high, bytes([tag + 1]))
        else:
            self.low, self.high = max(self.low, bytes([tag])), min(self.high, operand)

    def _of_cursor(self, value: bytes, first: Order, *, lower: bool) -> None:
        if first.descending:
            value, lower = ordering.inverted(value), not lower
        if lower:
            self.low = max(self.low, value)
        else:
            self.high = min(self.high, value)


def _by_name(documents: Documents, collection: Path, leaf: Comparison) -> Rows:
    for operand in leaf.operands:
        found = ordering.element_after(_prefix(documents, collection), operand)
        if found is not None:
            yield from documents.scan(collection, Span((found,), (found, END)))


def _in_bounds_of_names(documents: Documents, collection: Path, bounds: _Bounds, *, reverse: bool) -> Rows:
    prefix = _prefix(documents, collection)
    low, high = ordering.element_after(prefix, bounds.low), ordering.element_after(prefix, bounds.high)
    span = Span(() if low is None else (low,), (END,) if high is None else (high, END))
    return documents.scan(collection, span, reverse=reverse)


def _prefix(documents: Documents, collection: Path) -> bytes:
    return ordering.reference(documents.database, collection)[:-1]
