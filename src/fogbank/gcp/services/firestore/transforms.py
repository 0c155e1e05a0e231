"""Field transforms: what a field becomes from what it was ("FieldTransform" of the reference)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.services.firestore import fieldpaths, fields, messages, ordering, values
from fogbank.gcp.services.firestore.refusals import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fogbank.gcp.services.firestore.fieldpaths import FieldPath

_INT64_MIN: Final = -(1 << 63)
_INT64_MAX: Final = (1 << 63) - 1
_NUMBERS: Final = ("integer_value", "double_value")


def apply(document: Any, transforms: Sequence[Any], *, now_us: int) -> list[Any]:
    """Change the document; the answer is the result of each transform, in their order. Raises `RpcError`."""
    paths = [fieldpaths.parse(transform.field_path) for transform in transforms]
    _refuse_nested(paths)
    return [_apply(document.fields, path, transform, now_us) for path, transform in zip(paths, transforms, strict=True)]


def _refuse_nested(paths: list[FieldPath]) -> None:
    known = set(paths)
    for path in paths:
        if any(path[:length] in known for length in range(1, len(path))):
            above = next(path[:length] for length in range(1, len(path)) if path[:length] in known)
            shown = fieldpaths.show(above)
            raise invalid(f"Cannot transform property {shown} and its nested property at the same time.")


def _apply(document_fields: Any, path: FieldPath, transform: Any, now_us: int) -> Any:
    kind = transform.WhichOneof("transform_type")
    if kind == "set_to_server_value":
        return _server_value(document_fields, path, transform, now_us)
    work = _TRANSFORMS.get(kind)
    if work is None:
        raise invalid("Operation type must be specified for field transformation.")
    operand = getattr(transform, kind)
    new, result = work(fields.get(document_fields, path), operand)
    if new is not None:
        fields.put(document_fields, path, new)
    return result


def _server_value(document_fields: Any, path: FieldPath, transform: Any, now_us: int) -> Any:
    """ "The time at which the server processed the request, with millisecond precision": one for all of a commit."""
    if transform.set_to_server_value != _REQUEST_TIME:
        raise invalid("ServerValue type must be specified for set_to_server_value transformation.")
    moment = messages.Value(timestamp_value=messages.timestamp(now_us - now_us % 1000))
    fields.put(document_fields, path, moment)
    return moment


_REQUEST_TIME: Final = 1


def _increment(was: Any, by: Any) -> tuple[Any, Any]:
    _check_number(by)
    if was is None or was.WhichOneof("value_type") not in _NUMBERS:
        return by, by
    if "double_value" in (was.WhichOneof("value_type"), by.WhichOneof("value_type")):
        new = messages.Value(double_value=_number(was) + _number(by))
    else:  # "If integer overflow occurs, the field is set to the greatest or smallest long".
        total = was.integer_value + by.integer_value
        new = messages.Value(integer_value=max(_INT64_MIN, min(_INT64_MAX, total)))
    return new, new


def _maximum(was: Any, than: Any) -> tuple[Any, Any]:
    return _extreme(was, than, lambda old, new: new > old)


def _minimum(was: Any, than: Any) -> tuple[Any, Any]:
    return _extreme(was, than, lambda old, new: new < old)


def _extreme(was: Any, than: Any, wins: Callable[[float, float], bool]) -> tuple[Any, Any]:
    """ "If equivalent (3 and 3.0), the field does not change"; "of any numeric value and NaN it is NaN"."""
    _check_number(than)
    if was is None or was.WhichOneof("value_type") not in _NUMBERS:
        return than, than
    if _is_nan(was):
        return None, was
    if _is_nan(than) or wins(_number(was), _number(than)):
        return than, than
    return None, was


def _append_missing(was: Any, members: Any) -> tuple[Any, Any]:
    """ "Equivalent numbers of different types are considered equal", and the array keeps the one it has."""
    new = _array(was)
    known = {ordering.encode(member) for member in new.array_value.values}
    for member in _checked(members):
        encoded = ordering.encode(member)
        if encoded not in known:
            known.add(encoded)
            new.array_value.values.append(member)
    return new, _null()


def _remove_all(was: Any, members: Any) -> tuple[Any, Any]:
    gone = {ordering.encode(member) for member in _checked(members)}
    new = messages.Value()
    new.array_value.SetInParent()
    new.array_value.values.extend(
        member for member in _array(was).array_value.values if ordering.encode(member) not in gone
    )
    return new, _null()


_TRANSFORMS: Final[dict[str | None, Callable[[Any, Any], tuple[Any, Any]]]] = {
    "increment": _increment,
    "maximum": _maximum,
    "minimum": _minimum,
    "append_missing_elements": _append_missing,
    "remove_all_from_array": _remove_all,
}


def _checked(members: Any) -> Any:
    values.check_value(messages.Value(array_value=members))
    for member in members.values:
        values.check_value(member)  # In place: what is compared is as exact as what is kept.
    return members.values


def _array(was: Any) -> Any:
    array = messages.Value()
    array.array_value.SetInParent()
    if was is not None and was.WhichOneof("value_type") == "array_value":
        array.CopyFrom(was)
    return array


def _check_number(value: Any) -> None:
    if value.WhichOneof("value_type") not in _NUMBERS:
        raise invalid("Input must be int64 or double.")


def _number(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value_type"))


def _is_nan(value: Any) -> bool:
    return bool(value.double_value != value.double_value)  # An integer's is 0.0.


def _null() -> Any:
    return messages.Value(null_value=0)
