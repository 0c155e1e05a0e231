"""Field transforms: what a field becomes from what it was ("FieldTransform" of the reference)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.services.firestore import fieldpaths, fields, messages, ordering, values
from fogbank.gcp.services.firestore.refusals import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fogbank.gcp.services.firestore.fieldpaths import FieldPath

_INT64_MIN: Final = -(1 << 63)
_INT64_MAX: Final = (1 << 63) - 1
_OF_A_DOCUMENT_MAX: Final = 500  # "Usage and limits", writes and transactions: field transformations.
_NUMBERS: Final = ("integer_value", "double_value")


@dataclass(frozen=True, slots=True)
class Transform:
    path: FieldPath
    kind: str
    operand: Any  # A `Value` that is a number, an `ArrayValue`, or nothing of the server's time.


def read(transforms: Iterable[Any]) -> list[Transform]:
    """Raises `RpcError`."""
    found = [_read(transform) for transform in transforms]
    if len(found) > _OF_A_DOCUMENT_MAX:
        raise invalid(f"A document can have at most {_OF_A_DOCUMENT_MAX} field transforms in one commit.")
    _refuse_nested([transform.path for transform in found])
    return found


def _read(transform: Any) -> Transform:
    path, kind = fieldpaths.parse(transform.field_path), transform.WhichOneof("transform_type")
    if kind == "set_to_server_value":
        if transform.set_to_server_value != _REQUEST_TIME:
            raise invalid("ServerValue type must be specified for set_to_server_value transformation.")
        return Transform(path, kind, None)
    if kind not in _TRANSFORMS:
        raise invalid("Operation type must be specified for field transformation.")
    operand = getattr(transform, kind)
    if kind in _OF_NUMBERS:
        if operand.WhichOneof("value_type") not in _NUMBERS:
            raise invalid("Input must be int64 or double.")
    else:
        values.check_array(operand)
    return Transform(path, kind, operand)


def _refuse_nested(paths: list[FieldPath]) -> None:
    known = set(paths)
    for path in paths:
        for above in (path[:length] for length in range(1, len(path))):
            if above in known:
                shown = fieldpaths.show(above)
                raise invalid(f"Cannot transform property {shown} and its nested property at the same time.")


def apply(document: Any, transforms: Iterable[Transform], *, now_us: int) -> list[Any]:
    """Change the document; the answer is the result of each transform, in their order."""
    # "The time at which the server processed the request, with millisecond precision": one for all of a commit.
    request_time = messages.Value(timestamp_value=messages.timestamp(now_us - now_us % 1000))
    return [_apply(document.fields, transform, request_time) for transform in transforms]


def _apply(document_fields: Any, transform: Transform, request_time: Any) -> Any:
    if transform.operand is None:
        fields.put(document_fields, transform.path, request_time)
        return request_time
    new, result = _TRANSFORMS[transform.kind](fields.get(document_fields, transform.path), transform.operand)
    if new is not None:
        fields.put(document_fields, transform.path, new)
    return result


_REQUEST_TIME: Final = 1


def _increment(was: Any, by: Any) -> tuple[Any, Any]:
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
    for member in members.values:
        encoded = ordering.encode(member)
        if encoded not in known:
            known.add(encoded)
            new.array_value.values.append(member)
    return new, _null()


def _remove_all(was: Any, members: Any) -> tuple[Any, Any]:
    gone = {ordering.encode(member) for member in members.values}
    new = messages.Value()
    new.array_value.SetInParent()
    new.array_value.values.extend(
        member for member in _array(was).array_value.values if ordering.encode(member) not in gone
    )
    return new, _null()


_OF_NUMBERS: Final = frozenset(("increment", "maximum", "minimum"))
_TRANSFORMS: Final[dict[str | None, Callable[[Any, Any], tuple[Any, Any]]]] = {
    "increment": _increment,
    "maximum": _maximum,
    "minimum": _minimum,
    "append_missing_elements": _append_missing,
    "remove_all_from_array": _remove_all,
}


def _array(was: Any) -> Any:
    array = messages.Value()
    array.array_value.SetInParent()
    if was is not None and was.WhichOneof("value_type") == "array_value":
        array.CopyFrom(was)
    return array


def _number(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value_type"))


def _is_nan(value: Any) -> bool:
    return bool(value.double_value != value.double_value)  # An integer's is 0.0.


def _null() -> Any:
    return messages.Value(null_value=0)
