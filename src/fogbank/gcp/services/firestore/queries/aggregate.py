"""Counts, sums and averages of what a query finds ("Summarize data with aggregation queries")."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from fogbank.gcp.services.firestore import fieldpaths, fields, messages
from fogbank.gcp.services.firestore.refusals import invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.gcp.services.firestore.fieldpaths import FieldPath
    from fogbank.gcp.services.firestore.queries.shape import Query
    from fogbank.gcp.services.firestore.queries.view import View

AGGREGATIONS_MAX: Final = 5
_RESERVED: Final = re.compile(r"__.*__", re.DOTALL)
_INT64: Final = range(-(1 << 63), 1 << 63)


class Aggregate(Protocol):
    field: FieldPath | None  # What a document must have to be counted at all.

    def add(self, view: View) -> None: ...
    def value(self) -> Any:
        """The `Value` of all that was added."""
        ...


class Count:
    field: FieldPath | None = None

    def __init__(self, most: int | None) -> None:
        self._most, self._found = most, 0

    def add(self, _view: View) -> None:
        self._found += 1

    def value(self) -> Any:
        return messages.Value(integer_value=self._found if self._most is None else min(self._found, self._most))


class Numbers:
    """What a sum and an average need. Whole numbers are added exactly, however large their sum is on the way."""

    def __init__(self, field: FieldPath) -> None:
        self.field: FieldPath | None = field
        self._path, self._whole, self._doubles, self._count = field, 0, list[float](), 0

    def add(self, view: View) -> None:
        value = fields.get(view.document.fields, self._path)
        kind = value.WhichOneof("value_type")
        if kind == "integer_value":
            self._whole += value.integer_value
        elif kind == "double_value":
            self._doubles.append(value.double_value)
        else:
            return  # "Non-numeric values are ignored."
        self._count += 1

    def _total(self) -> float:
        try:
            return math.fsum((*self._doubles, self._whole))
        except (OverflowError, ValueError):  # Beyond any double, or infinities of both signs.
            return sum(self._doubles) + self._whole


class Sum(Numbers):
    def value(self) -> Any:
        """ "An integer if all are and it fits, else a double"; of nothing 0."""
        if not self._doubles and self._whole in _INT64:
            return messages.Value(integer_value=self._whole)
        return messages.Value(double_value=self._total())


class Average(Numbers):
    def value(self) -> Any:
        """Of nothing null."""
        if not self._count:
            return messages.Value(null_value=0)
        return messages.Value(double_value=self._total() / self._count)


def read(aggregations: Any) -> dict[str, Aggregate]:
    """By alias. Raises `RpcError`."""
    if not aggregations:
        raise invalid("Aggregations can not be empty.")
    if len(aggregations) > AGGREGATIONS_MAX:
        raise invalid(f"The maximum number of aggregations allowed in an aggregation query is {AGGREGATIONS_MAX}.")
    found: dict[str, Aggregate] = {}
    unnamed = 0
    for aggregation in aggregations:
        alias = aggregation.alias
        if not alias:
            unnamed += 1
            alias = f"field_{unnamed}"
        _check_alias(alias, found)
        found[alias] = _read_one(aggregation)
    return found


def _check_alias(alias: str, known: dict[str, Aggregate]) -> None:
    if _RESERVED.fullmatch(alias):
        raise invalid(f'The property.name "{alias}" is reserved.')
    if alias in known:
        raise invalid(f"Aggregation aliases contain duplicate alias: {alias}.")


def _read_one(aggregation: Any) -> Aggregate:
    kind = aggregation.WhichOneof("operator")
    if kind == "count":
        most = aggregation.count.up_to.value if aggregation.count.HasField("up_to") else None
        if most is not None and most < 0:
            raise invalid("The `up_to` value in a COUNT aggregation must be greater than or equal to zero.")
        return Count(most)
    if kind is None:
        raise invalid("Operator field in Aggregation is not set.")
    operator = getattr(aggregation, kind)
    field = fieldpaths.parse(operator.field.field_path)
    if field == fieldpaths.NAME:
        raise invalid("Aggregations are not supported for the property: __key__")
    return Sum(field) if kind == "sum" else Average(field)


def check_selected(aggregates: dict[str, Aggregate], selected: tuple[FieldPath, ...] | None) -> None:
    """Raises `RpcError`."""
    for aggregate in aggregates.values():
        if selected is not None and aggregate.field is not None:
            if aggregate.field in selected:
                raise invalid("Cannot apply property masks when aggregation fields are present.")
            shown = fieldpaths.show(aggregate.field)
            raise invalid(f"The aggregation property {shown} is not present in the base query's property mask.")


def sorted_for(aggregates: dict[str, Aggregate], query: Query) -> Query:
    """What is added up is also sorted by, as on the service, whose sums are read off an index: only documents that have
    every such field count at all, and a limit takes the first by these. Raises `RpcError`."""
    known = {order.field for order in query.orders}
    added = sorted({each.field for each in aggregates.values() if each.field is not None} - known)
    if not added:
        return query
    *before, by_name = query.orders
    if query.sorted_by_name:
        shown = ", ".join(map(fieldpaths.show, added))
        raise invalid(
            f"This query requires an index that has fields [{shown}] after __name__ and Firestore does not currently "
            "support such an index. Please try the query again with additional ordering on those fields."
        )
    return replace(query, orders=(*before, *(replace(by_name, field=field) for field in added), by_name))


def add_up(aggregates: dict[str, Aggregate], views: Iterable[View]) -> dict[str, Any]:
    for view in views:
        for aggregate in aggregates.values():
            aggregate.add(view)
    return {alias: aggregate.value() for alias, aggregate in aggregates.items()}
