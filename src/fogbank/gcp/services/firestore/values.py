"""The fields of a document that is to be kept, valid or not ("Usage and limits") and how large ("Storage size
calculations")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.services.firestore import names, ordering
from fogbank.gcp.services.firestore.refusals import invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.gcp.services.firestore.names import Path

DOCUMENT_BYTES_MAX: Final = 1_048_576
VALUE_BYTES_MAX: Final = 1_048_487  # "1 MiB - 89 bytes".
FIELD_NAME_BYTES_MAX: Final = 1500
FIELD_PATH_BYTES_MAX: Final = 1500
LEVELS_MAX: Final = 20  # "Maximum depth of fields in a map or array".
VECTOR_DIMENSIONS_MAX: Final = 2048
_DOCUMENT_OVERHEAD: Final = 32
_NAME_OVERHEAD: Final = 16
_RESERVED: Final = re.compile(r"__.*__", re.DOTALL)
_SECONDS: Final = range(-62_135_596_800, 253_402_300_800)  # Of the years 1 to 9999.


def check_document(path: Path, fields: Any) -> int:
    """The size in bytes. Raises `RpcError`."""
    size = name_size(path) + _DOCUMENT_OVERHEAD + check_fields(fields)
    if size > DOCUMENT_BYTES_MAX:
        raise invalid(
            f'Document "{"/".join(path)}" cannot be written because its size ({size:,} bytes) exceeds the maximum '
            f"allowed size of {DOCUMENT_BYTES_MAX:,} bytes."
        )
    return size


def check_fields(fields: Any) -> int:
    """Their size. What is more exact than the service keeps it (nanoseconds) is cut, in place. Raises `RpcError`."""
    size = 0
    for name, value in fields.items():
        size += _check_name(name, f"field name {name} is reserved") + _Check(name).measure(value, 1)
    return size


def check_value(value: Any) -> None:
    """Of a filter, a cursor or a transform."""
    _Check("").measure(value, 0)


def check_array(array: Any) -> None:
    """The same of an `ArrayValue`."""
    check = _Check("")
    for member in array.values:
        if member.WhichOneof("value_type") == "array_value":
            raise invalid("Cannot convert an array value in an array value.")
        check.measure(member, 1)


def name_size(path: Path) -> int:
    return sum(len(part.encode()) + 1 for part in path) + _NAME_OVERHEAD


def _check_name(name: str, reserved: str) -> int:
    if not name:
        raise invalid("The property.name is the empty string.")
    if _RESERVED.fullmatch(name):
        raise invalid(reserved)
    size = len(name.encode())
    if size > FIELD_NAME_BYTES_MAX:
        raise invalid(f"The property.name is longer than {FIELD_NAME_BYTES_MAX} bytes.")
    return size + 1


class _Check:
    """Of one field of a document, whose name the refusals tell."""

    def __init__(self, name: str) -> None:
        self._name = name

    def measure(self, value: Any, level: int) -> int:
        kind = value.WhichOneof("value_type")
        measure = _KINDS.get(kind)
        if measure is None:
            what = "type unset" if kind is None else f"a {kind}, which only a pipeline may have"
            raise invalid(f"Cannot convert firestore.v1.Value with {what}.")
        return measure(self, value, level)

    def text(self, value: Any, _level: int) -> int:
        return self._length(len(value.string_value.encode())) + 1

    def binary(self, value: Any, _level: int) -> int:
        return self._length(len(value.bytes_value))

    def _length(self, size: int) -> int:
        if size > VALUE_BYTES_MAX:
            raise invalid(f'The value of property "{self._name}" is longer than {VALUE_BYTES_MAX} bytes.')
        return size

    def moment(self, value: Any, _level: int) -> int:
        moment = value.timestamp_value
        if moment.seconds not in _SECONDS or not 0 <= moment.nanos < 1_000_000_000:
            raise invalid(f'The value of property "{self._name}" is not a valid timestamp.')
        moment.nanos -= moment.nanos % 1000  # "Precise only to microseconds; any additional precision is rounded down".
        return 8

    def reference(self, value: Any, _level: int) -> int:
        return name_size(names.reference(value.reference_value)[1])

    def point(self, value: Any, _level: int) -> int:
        point = value.geo_point_value
        for what, number, most in (("latitude", point.latitude, 90.0), ("longitude", point.longitude, 180.0)):
            if not -most <= number <= most:
                shown = "NaN" if number != number else number  # As the service writes it.
                raise invalid(f"Geo point {what} '{shown}' outside permitted range -{most} to {most}.")
        return 16

    def array(self, value: Any, level: int) -> int:
        members = value.array_value.values
        self._level(level)
        size = 0
        for member in members:
            if member.WhichOneof("value_type") == "array_value":
                raise invalid("Cannot convert an array value in an array value.")
            size += self.measure(member, level + 1)
        return size

    def map(self, value: Any, level: int) -> int:
        fields = value.map_value.fields
        if "__type__" in fields:
            return self._typed(fields)
        self._level(level)
        size = _DOCUMENT_OVERHEAD
        for name, member in fields.items():
            size += _check_name(name, f"field name '{name}' is reserved.") + self.measure(member, level + 1)
        return size

    def _typed(self, fields: Any) -> int:
        if not ordering.is_vector(fields):
            raise invalid(f"Property {self._name} contains an invalid nested entity.")
        if "value" not in fields:
            raise invalid("Vector map is missing key 'value'.")
        numbers = fields["value"].array_value.values
        if not numbers:
            raise invalid("Cannot have a zero length vector.")
        if len(numbers) > VECTOR_DIMENSIONS_MAX:
            raise invalid(f"Vectors must be at most {VECTOR_DIMENSIONS_MAX} dimensions.")
        if any(number.WhichOneof("value_type") != "double_value" for number in numbers):
            raise invalid("Vector must only contain values of type 'double'")
        return 8 * len(numbers)

    def _level(self, level: int) -> None:
        if level > LEVELS_MAX:
            raise invalid(f"Property {self._name} contains an invalid nested entity.")


def _size(number: int) -> Callable[[_Check, Any, int], int]:
    return lambda _check, _value, _level: number


_KINDS: Final[dict[str | None, Callable[[_Check, Any, int], int]]] = {
    "null_value": _size(1),
    "boolean_value": _size(1),
    "integer_value": _size(8),
    "double_value": _size(8),
    "timestamp_value": _Check.moment,
    "string_value": _Check.text,
    "bytes_value": _Check.binary,
    "reference_value": _Check.reference,
    "geo_point_value": _Check.point,
    "array_value": _Check.array,
    "map_value": _Check.map,
}
