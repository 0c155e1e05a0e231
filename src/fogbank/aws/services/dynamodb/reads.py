"""Query and Scan: from conditions to a span of keys, from a span to a page.

"Query: … a single Query operation will read up to the maximum number of items set (if using the Limit parameter) or a
maximum of 1 MB of data and then apply any filtering to the results".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from fogbank.aws.services.dynamodb import capacity, stored
from fogbank.aws.services.dynamodb.schema import NO_MATCH, PLACES, key_bytes, place_of
from fogbank.aws.services.dynamodb.values import Item, check_item, kind_of, measure_item, refuse
from fogbank.kernel.store import END
from fogbank.primitives import documents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from fogbank.aws.services.dynamodb.expressions.keyconditions import KeyTest
    from fogbank.aws.services.dynamodb.schema import Index, KeySchema, Schema
    from fogbank.kernel.store import Key, Tx
    from fogbank.primitives.documents import DocumentKey

PAGE_BYTES_MAX: Final = 1 << 20
_INVALID: Final = "One or more parameter values were invalid: "
_BAD_START: Final = "The provided starting key is invalid"
_NOT_SUPPORTED: Final = "Query key condition not supported"


@dataclass(slots=True)
class Page:
    items: list[Item] = field(default_factory=list)
    count: int = 0
    scanned: int = 0
    last_key: Item | None = None
    table_bytes: int = 0
    index_bytes: int = 0
    fetched_units: float = 0.0  # Of items that a local index had to be completed with, each read by itself.


@dataclass(slots=True)
class Reading:
    """What to read of a table or an index, and what to make of it."""

    schema: Schema
    index: Index | None = None
    span: documents.Span = documents.Span()  # noqa: RUF009  # Frozen.
    reverse: bool = False
    limit: int | None = None
    accept: Callable[[Item], bool] | None = None
    shape: Callable[[Item], Item] | None = None
    keep_items: bool = True
    fetch: bool = False  # Complete what a local index does not project.
    consistent: bool = False


def read_page(tx: Tx, reading: Reading) -> Page:
    page, size, index = Page(), 0, reading.index
    limit = reading.limit or 1 << 62
    last: Item | None = None
    for _, raw in _rows(tx, reading):
        item = stored.unpack(raw)
        row_bytes = stored.size_of(raw)
        if index is None:
            page.table_bytes += row_bytes
        else:
            item, row_bytes = _of_index(page, reading, index, item, row_bytes)
        page.scanned += 1
        size += row_bytes
        last = item
        if reading.accept is None or reading.accept(item):
            page.count += 1
            if reading.keep_items:
                page.items.append(item if reading.shape is None else reading.shape(item))
        if page.scanned >= limit or size >= PAGE_BYTES_MAX:
            page.last_key = start_key(reading.schema, index, last)
            break
    return page


def _rows(tx: Tx, reading: Reading) -> Iterable[tuple[DocumentKey, bytes]]:
    table, span, index = reading.schema.table.id, reading.span, reading.index
    if index is None:
        return documents.scan(tx, table, span, reverse=reading.reverse, limit=reading.limit)
    return documents.scan_index(tx, table, index.id, span, parts=index.key.parts, reverse=reading.reverse)


def _of_index(page: Page, reading: Reading, index: Index, item: Item, item_bytes: int) -> tuple[Item, int]:
    projected = index.project(item)
    row_bytes = item_bytes if projected is item else measure_item(projected)
    page.index_bytes += row_bytes
    if not reading.fetch:
        return projected, row_bytes
    page.fetched_units += capacity.read_units(item_bytes, consistent=reading.consistent)
    return item, row_bytes


def start_key(schema: Schema, index: Index | None, item: Item) -> Item:
    names = schema.key.names if index is None else dict.fromkeys((*schema.key.names, *index.key.names))
    return {name: item[name] for name in names}


def consumed(name: str, reading: Reading, page: Page) -> capacity.Consumed:
    report = capacity.Consumed(name)
    if reading.index is None:
        report.table = capacity.read_units(page.table_bytes, consistent=reading.consistent)
    else:
        report.table = page.fetched_units
        report.add_index(reading.index, capacity.read_units(page.index_bytes, consistent=reading.consistent))
    return report


# Where to begin ------------------------------------------------------------------------------------------------------


def check_start(schema: Schema, index: Index | None, start: Item) -> DocumentKey:
    """The stored key that ExclusiveStartKey names."""
    try:
        check_item(start)
    except ValueError as error:
        raise refuse(f"{_BAD_START}: {error}") from None
    names = dict.fromkeys((*schema.key.names, *(index.key.names if index else ())))
    if len(start) != len(names):
        raise refuse(_BAD_START if index else f"{_BAD_START}: {NO_MATCH}")
    for name in names:
        kind = schema.key.types.get(name) or (index.key.types[name] if index else "")
        if name not in start or kind not in start[name]:
            raise refuse(_BAD_START if index else f"{_BAD_START}: {NO_MATCH}")
        if not start[name][kind]:
            kind_name = "string" if kind == "S" else "binary"
            raise refuse(
                f"{_BAD_START}: One or more parameter values are not valid. The AttributeValue for a key attribute "
                f"cannot contain an empty {kind_name} value. Key: {name}"
            )
    own = schema.key.encode(start)
    return own if index is None else (*index.key.encode(start), *own)


def after(span: documents.Span, start: DocumentKey, *, reverse: bool) -> documents.Span:
    if reverse:
        return documents.Span(span.first, start)
    return documents.Span((*start, END), span.last)


# Scan ----------------------------------------------------------------------------------------------------------------


def segment_span(segment: int, total: int) -> documents.Span:
    """Equal shares of the places that hash keys are spread over."""
    first: Key = () if segment == 0 else (-(-PLACES * segment // total),)
    last: Key = (END,) if segment + 1 == total else (-(-PLACES * (segment + 1) // total),)
    return documents.Span(first, last)


# Query ---------------------------------------------------------------------------------------------------------------


def query_span(key: KeySchema, tests: Mapping[str, KeyTest]) -> documents.Span:
    """The keys that a key condition allows, or the error for one that is no key condition of this table or index."""
    check_tests(key, tests)
    hashes = [_bytes(key, tests[name]) for name in key.hash]
    first: tuple[Any, ...] = (place_of(hashes), *hashes)
    for name in key.range:
        test = tests.get(name)
        if test is None:
            break
        if test.test != "=":
            return _range_span(key, first, test)
        first = (*first, _bytes(key, test))
    return documents.Span(first, (*first, END))


def check_tests(key: KeySchema, tests: Mapping[str, KeyTest]) -> None:
    if len(tests) > len(key.names):
        raise refuse(
            f"The number of query conditions ({len(tests)}) exceeds the number of key attributes defined in the schema "
            f"({len(key.names)})"
        )
    for name in key.hash:
        if name not in tests:
            raise refuse(f"Query condition missed key schema element: {name}")
        if tests[name].test != "=":
            raise refuse(_NOT_SUPPORTED)
    named = [position for position, name in enumerate(key.range) if name in tests]
    if len(named) + len(key.hash) < len(tests):
        missed = next((name for name in key.range if name not in tests), "")
        raise refuse(f"Query condition missed key schema element: {missed}" if missed else _NOT_SUPPORTED)
    for name in key.range[: named[-1]] if named else ():
        if name not in tests or tests[name].test != "=":
            raise refuse(
                f"RANGE key attributes {name} must have equality conditions specified in the query because a condition "
                f"is present on key attribute {key.range[named[-1]]}"
            )
    for test in tests.values():
        _check_values(key, test)


def _check_values(key: KeySchema, test: KeyTest) -> None:
    kind = key.types[test.attribute]
    for value in test.values:
        if kind not in value:
            raise refuse(f"{_INVALID}Condition parameter type does not match schema type")
        if not value[kind]:
            raise refuse(
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
                f"empty {'string' if kind_of(value) == 'S' else 'binary'} value. Key: {test.attribute}"
            )


def _bytes(key: KeySchema, test: KeyTest, index: int = 0) -> bytes:
    kind = key.types[test.attribute]
    return key_bytes(kind, test.values[index][kind])


def _range_span(key: KeySchema, prefix: tuple[Any, ...], test: KeyTest) -> documents.Span:
    low = _bytes(key, test)
    if test.test == "<":
        return documents.Span(prefix, (*prefix, low))
    if test.test == "<=":
        return documents.Span(prefix, (*prefix, low, END))
    if test.test == ">":
        return documents.Span((*prefix, low, END), (*prefix, END))
    if test.test == ">=":
        return documents.Span((*prefix, low), (*prefix, END))
    if test.test == "BETWEEN":
        return documents.Span((*prefix, low), (*prefix, _bytes(key, test, 1), END))
    return documents.Span((*prefix, low), (*prefix, *_behind_prefix(low)))


def _behind_prefix(prefix: bytes) -> tuple[Any, ...]:
    """The least key behind all that begin with `prefix`."""
    stem = prefix.rstrip(b"\xff")
    return (stem[:-1] + bytes((stem[-1] + 1,)),) if stem else (END,)


def check_start_in_query(
    key: KeySchema, tests: Mapping[str, KeyTest], span: documents.Span, start: DocumentKey
) -> None:
    """ExclusiveStartKey must lie where the query looks."""
    count = 1 + len(key.hash)
    same_hash = start[:count] == span.first[:count]
    ranged = any(name in tests for name in key.range)
    if ranged and not (span.first <= start and before(start, span.last)):
        if same_hash:
            raise refuse("The provided starting key does not match the range key predicate")
        raise refuse("The query can return at most one row and cannot be restarted")
    if not same_hash:
        raise refuse("The provided starting key is outside query boundaries based on provided conditions")


def before(key: DocumentKey, bound: Key) -> bool:
    for mine, theirs in zip(key, bound, strict=False):
        if theirs is END:
            return True
        if mine != theirs:
            return bool(mine < theirs)  # type: ignore[operator]  # Parts at one place are of one type.
    return len(key) < len(bound)
