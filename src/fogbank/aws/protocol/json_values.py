"""Values in JSON, by shape: compiled once for each shape into a reader and a writer, since every request pays for them.

A reader takes what the JSON parser gave and returns the parameter; on anything unusual (a wrong type, a broken
constraint) it raises `Suspect`, and the slow, exact validation finds the words.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from fogbank.aws.protocol import times

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.aws.protocol.models import Shape


class Suspect(Exception):
    """Something does not fit; who, and in which words, is for `validation` to say."""


class JsonCodec:
    """Readers and writers of one model's shapes; recursive shapes are bound late."""

    def __init__(self) -> None:
        self._readers: dict[tuple[str, str], Callable[[Any], Any]] = {}
        self._writers: dict[tuple[str, str], Callable[[Any], Any] | None] = {}
        self._writing: set[tuple[str, str]] = set()

    # -- reading ----------------------------------------------------------------------------------------------------

    def reader(self, shape: Shape) -> Callable[[Any], Any]:
        key = (shape.name, shape.trait("timestampFormat", ""))
        if key not in self._readers:
            self._readers[key] = lambda value: self._readers[key](value)  # For a shape inside itself.
            self._readers[key] = self._make_reader(shape)
        return self._readers[key]

    def _make_reader(self, shape: Shape) -> Callable[[Any], Any]:
        if shape.trait("document") or shape.trait("jsonvalue"):
            return lambda value: value
        makers = {"structure": self._structure_reader, "list": self._list_reader, "map": self._map_reader}
        if shape.type in makers:
            return makers[shape.type](shape)
        return {"blob": _read_blob, "timestamp": lambda _: _read_time, "string": _string_reader}.get(
            shape.type, _scalar_reader
        )(shape)

    def _structure_reader(self, shape: Shape) -> Callable[[Any], Any]:
        members = {member.wire_name: (name, self.reader(member)) for name, member in shape.members.items()}
        required = tuple(name for name in shape.required if not shape.members[name].trait("idempotencyToken"))

        def read(value: Any) -> Any:
            if type(value) is not dict:
                raise Suspect
            found = {}
            for wire_name, item in value.items():
                member = members.get(wire_name)
                if member is not None and item is not None:
                    found[member[0]] = member[1](item)
            for name in required:
                if name not in found:
                    raise Suspect
            return found

        return read

    def _list_reader(self, shape: Shape) -> Callable[[Any], Any]:
        item, least, most = self.reader(shape.member), shape.trait("min", 0), shape.trait("max")

        def read(value: Any) -> Any:
            if type(value) is not list or len(value) < least or (most is not None and len(value) > most):
                raise Suspect
            return [item(entry) for entry in value]

        return read

    def _map_reader(self, shape: Shape) -> Callable[[Any], Any]:
        item, least, most = self.reader(shape.value), shape.trait("min", 0), shape.trait("max")

        def read(value: Any) -> Any:
            if type(value) is not dict or len(value) < least or (most is not None and len(value) > most):
                raise Suspect
            return {name: item(entry) for name, entry in value.items() if entry is not None}

        return read

    # -- writing ----------------------------------------------------------------------------------------------------

    def writer(self, shape: Shape) -> Callable[[Any], Any] | None:
        """None where values can be written as they are."""
        key = (shape.name, shape.trait("timestampFormat", ""))
        if key in self._writing:  # A shape inside itself: bound when it is first used.
            return lambda value: (self._writers[key] or (lambda as_is: as_is))(value)
        if key not in self._writers:
            self._writing.add(key)
            self._writers[key] = self._make_writer(shape)
            self._writing.discard(key)
        return self._writers[key]

    def _make_writer(self, shape: Shape) -> Callable[[Any], Any] | None:
        if shape.trait("document") or shape.trait("jsonvalue"):
            return None
        if shape.type == "structure":
            return self._structure_writer(shape)
        if shape.type == "list":
            item = self.writer(shape.member)
            return None if item is None else _each_item(item)
        if shape.type == "map":
            item = self.writer(shape.value)
            return None if item is None else _each_value(item)
        if shape.type == "blob":
            return _write_blob
        if shape.type == "timestamp":
            form = shape.trait("timestampFormat", "unixTimestamp")
            return times.epoch if form == "unixTimestamp" else lambda value: times.text(value, form)
        return None

    def _structure_writer(self, shape: Shape) -> Callable[[Any], Any]:
        members = {name: (member.wire_name, self.writer(member)) for name, member in shape.members.items()}

        def write(value: Any) -> Any:
            written = {}
            for name, item in value.items():
                member = members.get(name)
                if member is not None and item is not None:
                    written[member[0]] = item if member[1] is None else member[1](item)
            return written

        return write


def _read_blob(shape: Shape) -> Callable[[Any], Any]:
    least, most = shape.trait("min", 0), shape.trait("max")

    def read(value: Any) -> bytes:
        if type(value) is not str:
            raise Suspect
        try:
            raw = b64decode(value, validate=True)
        except ValueError as error:
            raise Suspect from error
        if len(raw) < least or (most is not None and len(raw) > most):
            raise Suspect
        return raw

    return read


def _read_time(value: Any) -> Any:
    try:
        return times.parse(value)
    except (ValueError, TypeError) as error:
        raise Suspect from error


def _string_reader(shape: Shape) -> Callable[[Any], Any]:
    enum = frozenset(shape.trait("enum") or ())
    least, most = shape.trait("min", 0), shape.trait("max")

    def read(value: Any) -> str:
        if (
            type(value) is not str
            or len(value) < least
            or (most is not None and len(value) > most)
            or (enum and value not in enum)
        ):
            raise Suspect
        return value

    return read


def _scalar_reader(shape: Shape) -> Callable[[Any], Any]:
    if shape.type == "boolean":
        wanted: tuple[type, ...] = (bool,)
    elif shape.type in ("integer", "long"):
        wanted = (int,)
    else:
        wanted = (int, float)
    least, most = shape.trait("min"), shape.trait("max")

    def read(value: Any) -> Any:
        if type(value) not in wanted:
            if wanted == (int,) and type(value) is float and value.is_integer():
                return read(int(value))
            raise Suspect
        if (least is not None and value < least) or (most is not None and value > most):
            raise Suspect
        return value

    return read


def _write_blob(value: Any) -> str:
    return b64encode(value.encode() if isinstance(value, str) else value).decode()


def _each_item(write: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: [write(item) for item in value]


def _each_value(write: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: {name: write(item) for name, item in value.items()}
