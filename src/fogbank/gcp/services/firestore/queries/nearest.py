"""The nearest vectors, exactly: every document that matches is measured ("Search with vector embeddings")."""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.services.firestore import fieldpaths, fields, ordering, values
from fogbank.gcp.services.firestore.refusals import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from fogbank.gcp.services.firestore.fieldpaths import FieldPath
    from fogbank.gcp.services.firestore.queries.view import View

LIMIT_MAX: Final = 1000
Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Nearest:
    field: FieldPath
    vector: Vector
    measure: int
    limit: int
    result_field: str
    threshold: float | None


def read_nearest(query: Any) -> Nearest:
    """Raises `RpcError`."""
    if query.HasField("limit"):
        raise invalid("A query limit cannot be used with FindNearest")
    if query.offset:
        raise invalid("A query offset cannot be used with FindNearest")
    asked = query.find_nearest
    limit = asked.limit.value
    if not 0 < limit <= LIMIT_MAX:
        raise invalid(f"FindNearest.limit must be a positive integer of no more than {LIMIT_MAX}")
    if asked.distance_measure not in _MEASURES:
        raise invalid("Unknown Distance Measure.")
    values.check_value(asked.query_vector)
    vector = _vector(asked.query_vector)
    if vector is None:
        raise invalid("Query Value must be of type vector.")
    return Nearest(
        fieldpaths.parse(asked.vector_field.field_path), vector, asked.distance_measure, limit,
        asked.distance_result_field, asked.distance_threshold.value if asked.HasField("distance_threshold") else None,
    )  # fmt: skip


def find(nearest: Nearest, views: Iterable[View]) -> list[tuple[float, View]]:
    """The nearest first: the least distance, or the greatest product. Vectors of other dimensions are not measured."""
    sign = -1.0 if nearest.measure == _DOT_PRODUCT else 1.0
    found = nsmallest(nearest.limit, _measured(nearest, views), key=lambda pair: sign * pair[0])
    if nearest.threshold is None:
        return found
    return [pair for pair in found if sign * pair[0] <= sign * nearest.threshold]


def _measured(nearest: Nearest, views: Iterable[View]) -> Iterator[tuple[float, View]]:
    measure = _MEASURES[nearest.measure]
    for view in views:
        value = fields.get(view.document.fields, nearest.field)
        vector = None if value is None else _vector(value)
        if vector is not None and len(vector) == len(nearest.vector):
            distance = measure(nearest.vector, vector)
            if not math.isnan(distance):
                yield distance, view


def _vector(value: Any) -> Vector | None:
    if value.WhichOneof("value_type") != "map_value" or not ordering.is_vector(value.map_value.fields):
        return None
    return tuple(number.double_value for number in value.map_value.fields["value"].array_value.values)


def _product(one: Vector, other: Vector) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def _cosine(one: Vector, other: Vector) -> float:
    """ "COSINE": 1 less the cosine of the angle; undefined where a vector has no length."""
    lengths = math.hypot(*one) * math.hypot(*other)
    return 1.0 - _product(one, other) / lengths if lengths else math.nan


_DOT_PRODUCT: Final = 3
_MEASURES: Final[dict[int, Callable[[Vector, Vector], float]]] = {1: math.dist, 2: _cosine, _DOT_PRODUCT: _product}
