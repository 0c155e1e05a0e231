"""Field masks: what an update is to change of a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message


def apply(paths: Iterable[str], source: Message, target: Message) -> None:
    """Make each field of `target` that a path names ("labels", "push_config.push_endpoint") what it is in `source`.
    Raises `KeyError` for a path that names none."""
    for path in paths:
        *outer, name = path.split(".")
        there: Any = target
        given: Any = source
        for part in outer:
            field = there.DESCRIPTOR.fields_by_name[part]
            if field.message_type is None or field.is_repeated:  # A map's entries have no paths of their own.
                raise KeyError(path)
            there, given = getattr(there, part), getattr(given, part)
        _set(there, given, name)


def _set(target: Any, source: Any, name: str) -> None:
    field = target.DESCRIPTOR.fields_by_name[name]
    target.ClearField(name)
    value = getattr(source, name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        if field.message_type.fields_by_name["value"].message_type is None:
            getattr(target, name).update(value)
        else:
            getattr(target, name).MergeFrom(value)
    elif field.is_repeated:
        getattr(target, name).extend(value)
    elif field.message_type is not None:
        if source.HasField(name):
            getattr(target, name).CopyFrom(value)
    elif not field.has_presence or source.HasField(name):
        setattr(target, name, value)
