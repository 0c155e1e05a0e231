"""Getting, setting and leaving out a field of a document by its path; messages are changed in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.gcp.services.firestore.fieldpaths import FieldPath


def get(fields: Any, path: FieldPath) -> Any:
    """The `Value`, or None. (To ask a map of messages for what it has not would make it.)"""
    for name in path[:-1]:
        if name not in fields or fields[name].WhichOneof("value_type") != "map_value":
            return None
        fields = fields[name].map_value.fields
    return fields.get(path[-1])


def put(fields: Any, path: FieldPath, value: Any) -> None:
    """What stands in the way and is no map is replaced by one."""
    for name in path[:-1]:
        value_there = fields[name]
        if value_there.WhichOneof("value_type") != "map_value":
            value_there.map_value.SetInParent()
        fields = value_there.map_value.fields
    fields[path[-1]].CopyFrom(value)


def delete(fields: Any, path: FieldPath) -> None:
    for name in path[:-1]:
        if name not in fields or fields[name].WhichOneof("value_type") != "map_value":
            return
        fields = fields[name].map_value.fields
    if path[-1] in fields:
        del fields[path[-1]]


def copy(source: Any, paths: Iterable[FieldPath], target: Any) -> None:
    """Only these fields of `source`, as far as it has them."""
    for path in paths:
        value = get(source, path)
        if value is not None:
            put(target, path, value)
