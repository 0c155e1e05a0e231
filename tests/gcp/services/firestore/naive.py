"""How the service compares values, written down as plainly as it can be: to judge what is fast by."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cmp_to_key
from typing import TYPE_CHECKING, Any

from fogbank.gcp.services.firestore import messages

if TYPE_CHECKING:
    from collections.abc import Callable

# ("Value type ordering".) A value of the model is (its place in this list, what Python compares).
TYPES = ("null", "boolean", "number", "timestamp", "string", "bytes", "reference", "geo", "array", "vector", "map")
Model = tuple[str, Any]


def compare(one: Model, other: Model) -> int:
    if one[0] != other[0]:
        return TYPES.index(one[0]) - TYPES.index(other[0])
    return _COMPARE.get(one[0], _plain)(one[1], other[1])


def _plain(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def _numbers(one: float, other: float) -> int:
    """ "NaN is less than -Infinity"; a whole number and a double are compared as the numbers that they are."""
    if math.isnan(one) or math.isnan(other):
        return int(math.isnan(other)) - int(math.isnan(one))
    if math.isinf(one) or math.isinf(other):
        return _plain(one, other)
    return _plain(Fraction(one), Fraction(other))


def _strings(one: str, other: str) -> int:
    return _plain(one.encode(), other.encode())


def _arrays(one: list[Model], other: list[Model]) -> int:
    for mine, yours in zip(one, other, strict=False):
        if different := compare(mine, yours):
            return different
    return len(one) - len(other)


def _vectors(one: list[float], other: list[float]) -> int:
    return len(one) - len(other) or _arrays([("number", each) for each in one], [("number", each) for each in other])


def _maps(one: dict[str, Model], other: dict[str, Model]) -> int:
    mine, yours = (sorted(each.items(), key=lambda pair: pair[0].encode()) for each in (one, other))
    for (name, value), (other_name, other_value) in zip(mine, yours, strict=False):
        if different := _strings(name, other_name) or compare(value, other_value):
            return different
    return len(mine) - len(yours)


_COMPARE: dict[str, Callable[[Any, Any], int]] = {
    "number": _numbers, "string": _strings, "array": _arrays, "vector": _vectors, "map": _maps,
}  # fmt: skip
sort_key = cmp_to_key(compare)


def value(model: Model) -> Any:
    """The `Value` of the wire."""
    kind, content = model
    made = messages.Value()
    if kind == "null":
        made.null_value = 0
    elif kind == "number":
        setattr(made, "integer_value" if isinstance(content, int) else "double_value", content)
    elif kind == "timestamp":
        made.timestamp_value.CopyFrom(messages.timestamp(content))
    elif kind == "geo":
        made.geo_point_value.latitude, made.geo_point_value.longitude = content
    elif kind == "reference":
        made.reference_value = "projects/p/databases/(default)/documents/" + "/".join(content)
    elif kind == "array":
        made.array_value.SetInParent()
        made.array_value.values.extend(map(value, content))
    elif kind == "vector":
        made.map_value.fields["__type__"].string_value = "__vector__"
        numbers = [messages.Value(double_value=each) for each in content]
        made.map_value.fields["value"].array_value.values.extend(numbers)
    elif kind == "map":
        made.map_value.SetInParent()
        for name, each in content.items():
            made.map_value.fields[name].CopyFrom(value(each))
    else:
        setattr(made, f"{kind}_value", content)
    return made
