"""What a path of a filter leads to in a message: `resource.labels.zone`, `httpRequest.status`, `jsonPayload.user.id`.

Names are told as the API has them, in snake or camel case, whatever the case of their letters ("Field paths": only
regular expressions and Boolean operators mind it). Below a map or a struct they are keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fogbank.gcp.service import Code, RpcError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import Descriptor, FieldDescriptor

_OPEN = ("google.protobuf.Struct", "google.protobuf.Any", "google.protobuf.Value")
_LEAVES = ("google.protobuf.Timestamp", "google.protobuf.Duration")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value with what is known of it."""

    value: Any
    field: FieldDescriptor | None = None  # None: of a struct.
    present: bool = True  # Else the default of a field that is not set: for `:*` it is not there.


@dataclass(frozen=True, slots=True)
class Path:
    fields: tuple[FieldDescriptor, ...]
    keys: tuple[str, ...] = ()  # Below the last of them, if that is a map or open.


def resolved(path: tuple[str, ...], descriptor: Descriptor) -> Path:
    """Raises `RpcError` for what no message of this kind has."""
    fields: list[FieldDescriptor] = []
    level: Descriptor | None = descriptor
    for at, name in enumerate(path):
        field = None if level is None else _named(level, name)
        if field is None:
            raise RpcError(Code.INVALID_ARGUMENT, f"Field not found: '{'.'.join(path)[:256]}'.")
        fields.append(field)
        level = field.message_type
        if level is not None and (level.GetOptions().map_entry or level.full_name in _OPEN):
            return Path(tuple(fields), path[at + 1 :])
        if level is not None and level.full_name in _LEAVES:
            level = None
    return Path(tuple(fields))


def _named(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    wanted = name.replace("_", "").lower()
    return next((one for one in descriptor.fields if one.name.replace("_", "").lower() == wanted), None)


def leaves(message: Any, path: Path) -> Iterator[Leaf]:
    """The values there; none where the path leads to a key that is missing."""
    *outer, last = path.fields
    levels = [message]
    present = True
    for field in outer:
        present = present and all(_has(level, field) for level in levels)
        levels = [inner for level in levels for inner in _each(level, field)]
    for level in levels:
        yield from _of_field(level, last, path.keys, present=present)


def _of_field(level: Any, field: FieldDescriptor, keys: tuple[str, ...], *, present: bool) -> Iterator[Leaf]:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        yield from _below(dict(getattr(level, field.name)), keys)
    elif kind is not None and kind.full_name in _OPEN:
        if _has(level, field):
            yield from _below(plain(getattr(level, field.name)), keys)
    else:
        there = present and _has(level, field)
        for value in _each(level, field):
            yield Leaf(value, field, there)


def _each(level: Any, field: FieldDescriptor) -> list[Any]:
    value = getattr(level, field.name)
    return list(value) if field.is_repeated else [value]


def _has(level: Any, field: FieldDescriptor) -> bool:
    if field.is_repeated:
        return len(getattr(level, field.name)) > 0
    if field.has_presence:
        return bool(level.HasField(field.name))
    return bool(getattr(level, field.name) != field.default_value)


def _below(value: Any, keys: tuple[str, ...]) -> Iterator[Leaf]:
    if isinstance(value, list):
        for item in value:
            yield from _below(item, keys)
    elif not keys:
        yield Leaf(value)
    elif isinstance(value, dict):
        key = keys[0] if keys[0] in value else _same(value, keys[0])
        if key is not None:
            yield from _below(value[key], keys[1:])


def _same(value: dict[str, Any], name: str) -> str | None:
    return next((key for key in value if key.lower() == name.lower()), None)


def plain(value: Any) -> Any:
    """A Struct, or a Value, as what JSON is read to. What an Any holds is not looked into."""
    match value.DESCRIPTOR.full_name:
        case "google.protobuf.Struct":
            return {key: plain(value.fields[key]) for key in value.fields}
        case "google.protobuf.Value":
            match value.WhichOneof("kind"):
                case "struct_value":
                    return plain(value.struct_value)
                case "list_value":
                    return [plain(item) for item in value.list_value.values]
                case "null_value" | None:
                    return None
                case kind:
                    return getattr(value, kind)
        case _:
            return {"@type": value.type_url}


def texts(message: Any) -> Iterator[str]:
    """All text in a message: what a value without a field is looked for in."""
    for field, value in message.ListFields():
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            yield from _texts_in(dict(value))
        elif kind is not None and kind.full_name in _OPEN:
            yield from _texts_in(plain(value))
        elif kind is not None and kind.full_name in _LEAVES:
            yield value.ToJsonString()
        elif kind is not None:
            for inner in value if field.is_repeated else (value,):
                yield from texts(inner)
        else:
            for one in value if field.is_repeated else (value,):
                yield field.enum_type.values_by_number[one].name if _known(field, one) else str(one)


def _known(field: FieldDescriptor, number: int) -> bool:
    return field.enum_type is not None and number in field.enum_type.values_by_number


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts_in(inner) if hasattr(inner, "__iter__") and not isinstance(inner, str) else [str(inner)]
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_in(inner)
    elif value is not None:
        yield str(value)
