"""Values as bytes that sort as the service sorts values ("Data types", value type ordering).

No encoding is the beginning of another one, so those of several values may be joined, and the complement of the bytes
sorts the other way round. Values that the service holds for equal (1 and 1.0, 0.0 and -0.0) have one encoding.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.services.firestore import names

if TYPE_CHECKING:
    from fogbank.gcp.services.firestore.names import Database, Path

NULL, BOOLEAN, NUMBER, TIMESTAMP, STRING, BYTES, REFERENCE, GEO_POINT, ARRAY, VECTOR, MAP = (
    bytes([tag]) for tag in range(0x10, 0x1B)
)
END: Final = b"\x01"  # Of an array, a map or a path: less than anything that could go on.
_NUMERIC_ID, _TEXT_ID = b"\x02", b"\x03"
_SIGN: Final = 1 << 63
_MASK: Final = (1 << 64) - 1
_NAN: Final = NUMBER + bytes(10)
_INVERTED: Final = bytes(255 - byte for byte in range(256))
_pack_double: Final = struct.Struct(">d").pack
_EXACT: Final = 1 << 53  # Every whole number up to it is a double.


def inverted(encoded: bytes) -> bytes:
    return encoded.translate(_INVERTED)


def is_nan(encoded: bytes) -> bool:
    return encoded == _NAN


def encode(value: Any) -> bytes:
    """Of a `google.firestore.v1.Value` that was checked."""
    kind = value.WhichOneof("value_type")
    if kind == "string_value":
        return STRING + text(value.string_value)
    if kind == "integer_value":
        return integer(value.integer_value)
    if kind == "double_value":
        return double(value.double_value)
    if kind == "boolean_value":
        return BOOLEAN + (b"\x01" if value.boolean_value else b"\x00")
    if kind == "null_value":
        return NULL
    if kind == "timestamp_value":
        return TIMESTAMP + _moment(value.timestamp_value.seconds, value.timestamp_value.nanos)
    if kind == "bytes_value":
        return BYTES + escaped(value.bytes_value)
    if kind == "reference_value":
        return reference(*names.reference(value.reference_value))
    if kind == "geo_point_value":
        point = value.geo_point_value
        return GEO_POINT + _double_bytes(point.latitude) + _double_bytes(point.longitude)
    if kind == "array_value":
        return ARRAY + b"".join(map(encode, value.array_value.values)) + END
    return _encode_map(value.map_value.fields)


def _moment(seconds: int, nanos: int) -> bytes:
    return (seconds + _SIGN).to_bytes(8) + nanos.to_bytes(4)


def _encode_map(fields: Any) -> bytes:
    """ "Maps are sorted by key, then by value", and a vector by its dimension, then by its numbers."""
    if is_vector(fields):
        numbers = fields["value"].array_value.values
        return VECTOR + len(numbers).to_bytes(4) + b"".join(map(encode, numbers))
    pairs = sorted((text(name), encode(value)) for name, value in fields.items())  # No two names are the same.
    return MAP + b"".join(b"\x02" + name + value for name, value in pairs) + END


def is_vector(fields: Any) -> bool:
    return "__type__" in fields and fields["__type__"].string_value == "__vector__"


def text(content: str) -> bytes:
    return escaped(content.encode())


def escaped(content: bytes) -> bytes:
    """Ended by 00 01; a zero inside is 00 FF."""
    return content.replace(b"\x00", b"\x00\xff") + b"\x00\x01"


def integer(number: int) -> bytes:
    """A double and what is left to the number: beyond 2^53 several whole numbers lie between two doubles."""
    if -_EXACT <= number <= _EXACT:
        return NUMBER + _double_bytes(float(number)) + b"\x00\x00"
    near = float(number)
    if int(near) > number:
        near = math.nextafter(near, -math.inf)
    return NUMBER + _double_bytes(near) + (number - int(near)).to_bytes(2)


def double(number: float) -> bytes:
    if number != number:  # Not a number: all of them are one, and less than any number.
        return _NAN
    return NUMBER + _double_bytes(number) + b"\x00\x00"


def _double_bytes(number: float) -> bytes:
    bits = int.from_bytes(_pack_double(number + 0.0))  # -0.0 + 0.0 is 0.0.
    return (bits ^ _MASK if bits & _SIGN else bits | _SIGN).to_bytes(8)


def reference(database: Database, path: Path) -> bytes:
    """ "By path elements", of the project first."""
    return REFERENCE + text(database.project) + text(database.id) + path_prefix(path) + END


def path_prefix(path: Path) -> bytes:
    """What the encodings of all paths that begin with this one begin with."""
    return b"".join(map(_element, map(names.sortable, path)))


def _element(part: str | int) -> bytes:
    if isinstance(part, int):
        return _NUMERIC_ID + (part + _SIGN).to_bytes(8)
    return _TEXT_ID + text(part)


def element_after(prefix: bytes, encoded: bytes) -> str | int | None:
    """What a reference that begins with `prefix` (of which the END is taken off) names next."""
    if not encoded.startswith(prefix) or len(encoded) <= len(prefix) + 1:
        return None
    rest = encoded[len(prefix) :]
    if rest[:1] == _NUMERIC_ID:
        return int.from_bytes(rest[1:9]) - _SIGN
    return rest[1 : rest.index(b"\x00\x01")].replace(b"\x00\xff", b"\x00").decode()
