"""An API in two versions: what a message of one says, said by a message of the other, field by field by their names."""

from __future__ import annotations

from typing import Any

from fogbank.gcp.service import Code, RpcError


def converted(source: Any, target: Any, *, passed_over: frozenset[str] = frozenset()) -> Any:
    """`target`, filled. A field that it has not is UNIMPLEMENTED by name, but for those that may be passed over."""
    known = target.DESCRIPTOR.fields_by_name
    for field, value in source.ListFields():
        if field.name not in known:
            if field.name in passed_over:
                continue
            raise RpcError(Code.UNIMPLEMENTED, f"fogbank does not serve {field.name} of {source.DESCRIPTOR.full_name}.")
        kind = field.message_type
        if kind is None or (kind.GetOptions().map_entry and kind.fields_by_name["value"].message_type is None):
            _set(target, field, value)
        elif field.is_repeated:
            for one in value:
                converted(one, getattr(target, field.name).add(), passed_over=passed_over)
        else:
            inner = getattr(target, field.name)
            inner.SetInParent()
            if inner.DESCRIPTOR.full_name == kind.full_name:
                inner.CopyFrom(value)
            else:
                converted(value, inner, passed_over=passed_over)
    return target


def _set(target: Any, field: Any, value: Any) -> None:
    if field.message_type is not None:
        getattr(target, field.name).update(value)
    elif field.is_repeated:
        getattr(target, field.name).extend(value)
    else:
        setattr(target, field.name, value)
