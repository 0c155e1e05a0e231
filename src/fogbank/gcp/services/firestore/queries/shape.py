"""A `StructuredQuery` as it is understood: its implied orders written out, its limits checked, its values sortable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.services.firestore import fieldpaths, names, ordering, values
from fogbank.gcp.services.firestore.queries import filters
from fogbank.gcp.services.firestore.queries.nearest import Nearest, read_nearest
from fogbank.gcp.services.firestore.refusals import invalid

if TYPE_CHECKING:
    from fogbank.gcp.services.firestore.fieldpaths import FieldPath
    from fogbank.gcp.services.firestore.names import Path
    from fogbank.gcp.services.firestore.queries.filters import Conjunction, Filter
    from fogbank.gcp.services.firestore.queries.view import View

_DESCENDING: Final = 2
_BEHIND_THE_KEY: Final = "order by clause cannot contain more fields after the key"


@dataclass(frozen=True, slots=True)
class Order:
    field: FieldPath
    descending: bool


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position among the answers: the beginning of their sort keys."""

    key: bytes
    values: tuple[bytes, ...]  # As they are compared: complemented where their order is descending.
    before: bool  # Before all that begin with the key, or behind them.


@dataclass(frozen=True, slots=True)
class Query:
    parent: Path
    collection_id: str  # "": of any id.
    descendants: bool
    filter: Filter
    conjunctions: tuple[Conjunction, ...]
    orders: tuple[Order, ...]  # The last is by name: no two documents are equal.
    sorted_by_name: bool  # As the caller said, not only in the end.
    start: Cursor | None
    end: Cursor | None
    offset: int
    limit: int | None
    fields: tuple[FieldPath, ...] | None  # None: all.
    nearest: Nearest | None

    def has(self, path: Path) -> bool:
        """Whether a document of that path stands in one of the collections asked for."""
        if path[: len(self.parent)] != self.parent or len(path) <= len(self.parent):
            return False
        if self.collection_id and path[-2] != self.collection_id:
            return False
        return self.descendants or len(path) == len(self.parent) + 2

    def matches(self, view: View) -> bool:
        """Whether a document in these collections is asked for, but for offset, limit and what is nearest."""
        if not self.filter.matches(view):
            return False
        key = self.sort_key(view)
        return key is not None and self.within(key)

    def sort_key(self, view: View) -> bytes | None:
        """None: it lacks a field that is sorted by, and "a document without the field is not among the results"."""
        parts: list[bytes] = []
        for order in self.orders:
            key = view.key(order.field)
            if key is None:
                return None
            parts.append(ordering.inverted(key) if order.descending else key)
        return b"".join(parts)

    def within(self, key: bytes) -> bool:
        start, end = self.start, self.end
        if start is not None and (key < start.key or (not start.before and key.startswith(start.key))):
            return False
        return end is None or key < end.key or (not end.before and key.startswith(end.key))

    def past_end(self, key: bytes) -> bool:
        end = self.end
        return end is not None and key >= end.key and (end.before or not key.startswith(end.key))


def read(parent: Path, query: Any) -> Query:
    """Raises `RpcError`."""
    collection_id, descendants = _read_scope(query)
    tree = filters.read(query.where) if query.HasField("where") else filters.EVERYTHING
    filters.check(tree)
    orders = _read_orders(query.order_by, tree)
    explicit = len(query.order_by)
    if query.offset < 0:
        raise invalid("offset is negative")
    if query.HasField("limit") and query.limit.value < 0:
        raise invalid("limit is negative")
    return Query(
        parent=parent,
        collection_id=collection_id,
        descendants=descendants,
        filter=tree,
        conjunctions=tuple(filters.disjunctions(tree)),
        orders=orders,
        sorted_by_name=len(orders) == explicit,
        start=_read_cursor(query.start_at, orders[:explicit]) if query.HasField("start_at") else None,
        end=_read_cursor(query.end_at, orders[:explicit]) if query.HasField("end_at") else None,
        offset=query.offset,
        limit=query.limit.value if query.HasField("limit") else None,
        fields=_read_projection(query.select) if query.HasField("select") else None,
        nearest=read_nearest(query) if query.HasField("find_nearest") else None,
    )


def _read_scope(query: Any) -> tuple[str, bool]:
    selectors = getattr(query, "from")
    if not selectors:
        return "", False
    if len(selectors) > 1:
        raise invalid("StructuredQuery.from cannot have more than one collection selector.")
    [selector] = selectors
    if selector.collection_id:
        names.check_collection_id(selector.collection_id)
    return selector.collection_id, selector.all_descendants


def _read_orders(clauses: Any, tree: Filter) -> tuple[Order, ...]:
    """ "order_by" of the reference: fields of inequalities follow in the order of their names, then the name; in the
    direction of the last that was given."""
    orders: list[Order] = []
    for clause in clauses:
        field = fieldpaths.parse(clause.field.field_path)
        if orders and orders[-1].field == fieldpaths.NAME:
            raise invalid(_BEHIND_THE_KEY)
        if any(order.field == field for order in orders):
            raise invalid(f"order by clause cannot contain duplicate fields {fieldpaths.show(field)}")
        orders.append(Order(field, clause.direction == _DESCENDING))
    descending = bool(orders) and orders[-1].descending
    known = {order.field for order in orders}
    implied = sorted(filters.unequal_fields(tree) - known - {fieldpaths.NAME}, key=_by_bytes)
    if implied and fieldpaths.NAME in known:
        raise invalid(_BEHIND_THE_KEY)
    if fieldpaths.NAME not in known:
        implied.append(fieldpaths.NAME)
    return (*orders, *(Order(field, descending) for field in implied))


def _by_bytes(field: FieldPath) -> tuple[bytes, ...]:
    return tuple(map(str.encode, field))


def _read_cursor(cursor: Any, orders: tuple[Order, ...]) -> Cursor:
    if len(cursor.values) > len(orders):
        raise invalid("Cursor has too many values.")
    keys: list[bytes] = []
    for value, order in zip(cursor.values, orders, strict=False):
        values.check_value(value)
        if order.field == fieldpaths.NAME and value.WhichOneof("value_type") != "reference_value":
            raise invalid("__key__ filter value must be a Key")
        encoded = ordering.encode(value)
        keys.append(ordering.inverted(encoded) if order.descending else encoded)
    return Cursor(b"".join(keys), tuple(keys), cursor.before)


def _read_projection(select: Any) -> tuple[FieldPath, ...]:
    """ "If empty, all fields are returned. To only return the name of the document, use ['__name__']"."""
    found = tuple(fieldpaths.parse(reference.field_path) for reference in select.fields)
    return tuple(field for field in found if field != fieldpaths.NAME)
