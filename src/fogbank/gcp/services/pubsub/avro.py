"""Avro schemas: whether a definition is one, and whether a message is of it, in Avro's JSON or binary encoding.

Messages are held against the schema without being decoded: nothing is built of what a caller sends. Loaded with the
first schema that is asked for, as fastavro takes its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fastavro
import orjson

if TYPE_CHECKING:
    from collections.abc import Callable

_INT, _LONG = (-(1 << 31), (1 << 31) - 1), (-(1 << 63), (1 << 63) - 1)
_VARINT_MAX = 10  # Bytes of the longest number.
_STEPS_MIN, _STEPS_PER_BYTE = 10_000, 10


class NoSchema(Exception):
    """The definition is not one; the text says why."""


class Schema:
    def __init__(self, definition: str) -> None:
        """Raises `NoSchema`."""
        try:
            parsed: Any = fastavro.parse_schema(orjson.loads(definition))
        except (fastavro.schema.SchemaParseException, ValueError, KeyError, TypeError, RecursionError) as error:
            raise NoSchema(f"{type(error).__name__}: {error}") from error
        if not isinstance(parsed, dict) or parsed.get("type") != "record":
            raise NoSchema("the type at the top of an Avro schema must be a record")
        self.parsed = parsed
        self._named: dict[str, Any] = parsed["__named_schemas"]

    def fits_json(self, data: bytes) -> bool:
        """ "JSON Encoding" of Avro's specification."""
        try:
            return self._fits(self.parsed, orjson.loads(data))
        except (orjson.JSONDecodeError, RecursionError):
            return False

    def fits_binary(self, data: bytes) -> bool:
        """ "Binary Encoding" of Avro's specification."""
        try:
            walk = _Walk(data, self._resolved)
            walk.over(self.parsed)
            return walk.at == len(data)
        except (IndexError, ValueError, RecursionError):
            return False

    # -- JSON -------------------------------------------------------------------------------------------------------

    def _fits(self, schema: Any, value: Any) -> bool:
        schema = self._resolved(schema)
        if isinstance(schema, list):
            return self._fits_union(schema, value)
        kind = schema["type"]
        if kind in ("record", "error"):
            fields = schema["fields"]
            return (
                isinstance(value, dict)
                and value.keys() == {field["name"] for field in fields}
                and all(self._fits(field["type"], value[field["name"]]) for field in fields)
            )
        if kind == "array":
            return isinstance(value, list) and all(self._fits(schema["items"], one) for one in value)
        if kind == "map":
            return isinstance(value, dict) and all(self._fits(schema["values"], one) for one in value.values())
        if kind == "enum":
            return isinstance(value, str) and value in schema["symbols"]
        if kind == "fixed":
            return _is_bytes(value) and len(value) == schema["size"]
        return _is_plain(kind, value)

    def _fits_union(self, branches: list[Any], value: Any) -> bool:
        if value is None:
            return any(self._resolved(branch)["type"] == "null" for branch in branches)
        if not isinstance(value, dict) or len(value) != 1:
            return False
        ((name, content),) = value.items()
        return any(_name(self._resolved(branch)) == name and self._fits(branch, content) for branch in branches)

    def _resolved(self, schema: Any) -> Any:
        """A union as its list, all else as an object with a `type` that is a word."""
        if isinstance(schema, str):
            return self._named.get(schema, {"type": schema})
        if isinstance(schema, dict) and isinstance(schema["type"], dict | list):
            return self._resolved(schema["type"])
        return schema


def _name(schema: Any) -> str:
    return str(schema.get("name", schema["type"]))


def _is_bytes(value: Any) -> bool:
    return isinstance(value, str) and all(ord(character) < 256 for character in value)


def _is_plain(kind: str, value: Any) -> bool:
    if kind in ("int", "long"):
        least, most = _INT if kind == "int" else _LONG
        return type(value) is int and least <= value <= most
    if kind in ("float", "double"):
        return type(value) in (int, float)
    if kind == "bytes":
        return _is_bytes(value)
    return {"null": value is None, "boolean": isinstance(value, bool), "string": isinstance(value, str)}[kind]


class _Walk:
    """Over a message in binary, value by value. Raises `IndexError` or `ValueError` where there is none."""

    def __init__(self, data: bytes, resolved: Callable[[Any], Any]) -> None:
        self.at = 0
        self._data, self._resolved = data, resolved
        self._steps = _STEPS_MIN + _STEPS_PER_BYTE * len(data)  # There are values of no bytes, in any number.

    def over(self, schema: Any) -> None:
        self._steps -= 1
        if self._steps < 0:
            raise ValueError("more values than there can be")
        schema = self._resolved(schema)
        if isinstance(schema, list):
            self.over(schema[self._number((0, len(schema) - 1))])
            return
        kind = schema["type"]
        if kind in ("record", "error"):
            for field in schema["fields"]:
                self.over(field["type"])
        elif kind in ("array", "map"):
            self._over_blocks(schema)
        elif kind == "enum":
            self._number((0, len(schema["symbols"]) - 1))
        elif kind == "fixed":
            self._bytes(schema["size"])
        else:
            self._over_plain(kind)

    def _over_blocks(self, schema: Any) -> None:
        while count := self._number(_LONG):
            if count < 0:  # Then the block's size in bytes stands behind it.
                self._number(_LONG)
            for _ in range(abs(count)):
                if schema["type"] == "map":
                    self._over_plain("string")
                self.over(schema["items" if schema["type"] == "array" else "values"])

    def _over_plain(self, kind: str) -> None:
        if kind == "boolean":
            self._number((-1, 0))  # A byte that is 0 or 1.
        elif kind in ("int", "long"):
            self._number(_INT if kind == "int" else _LONG)
        elif kind in ("float", "double"):
            self._bytes(4 if kind == "float" else 8)
        elif kind != "null":
            text = self._bytes(self._number((0, len(self._data))))
            if kind == "string":
                text.decode()

    def _number(self, bounds: tuple[int, int]) -> int:
        """A zigzag number of variable length."""
        value = 0
        for place in range(_VARINT_MAX):
            byte = self._data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                number = (value >> 1) ^ -(value & 1)
                if not bounds[0] <= number <= bounds[1]:
                    raise ValueError("a number is out of range")
                return number
        raise ValueError("a number is too long")

    def _bytes(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self._data):
            raise IndexError(end)
        found, self.at = self._data[self.at : end], end
        return found
