"""Attribute values in the wire's form, `{"S": "text"}`: valid or not, normal, how large, equal, ordered.

Items keep the wire's form everywhere; nothing is decoded to Python values and back.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from fogbank.aws.service import ServiceError
from fogbank.aws.services.dynamodb import numbers

if TYPE_CHECKING:
    from collections.abc import Callable

Value = dict[str, Any]  # One member: the type's letter and the content.
Item = dict[str, Value]

TYPES: Final = frozenset(("S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"))
SETS: Final = frozenset(("SS", "NS", "BS"))
LEVELS_MAX: Final = 32  # "Quotas in Amazon DynamoDB", nested attribute depth.
_INVALID = "One or more parameter values were invalid: "


class InvalidValue(ValueError):
    """A value that DynamoDB does not take; the message is DynamoDB's."""


def refuse(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def check_item(item: Item) -> int:
    """Bring every value of `item` to its normal form, in place; the answer is the item's size."""
    try:
        return measure_item(item)
    except ValueError as error:
        raise refuse(str(error)) from None


def measure_item(item: Item, level: int = 1) -> int:
    """ "DynamoDB item sizes and formats": names and values as UTF-8. Raises `InvalidValue`, `NotANumber`."""
    size = 0
    for name, value in item.items():
        size += (len(name) if name.isascii() else len(name.encode())) + measure(value, level)
    return size


def measure(value: Value, level: int = 1) -> int:
    if len(value) != 1:
        raise InvalidValue(_WRONG_COUNT[bool(value)])
    for kind, content in value.items():
        if kind == "S":
            return len(content) if content.isascii() else len(content.encode())
        if kind == "N":
            normal = numbers.normalize(content)
            if normal is not content:
                value["N"] = normal
            return numbers.size_bytes(normal)
        return _SIZES[kind](value, content, level)
    raise AssertionError("unreachable")


_WRONG_COUNT = {
    False: "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
    True: "Supplied AttributeValue has more than one datatypes set, "
    "must contain exactly one of the supported datatypes",
}


def _binary(_value: Value, content: bytes, _level: int) -> int:
    return len(content)


def _boolean(_value: Value, _content: bool, _level: int) -> int:  # noqa: FBT001  # A value, not a switch.
    return 1


def _null(_value: Value, content: bool, _level: int) -> int:  # noqa: FBT001  # A value, not a switch.
    if not content:
        raise InvalidValue(_INVALID + "Null attribute value types must have the value of true")
    return 1


def _strings(_value: Value, content: list[str], _level: int) -> int:
    if not content:
        raise InvalidValue(_INVALID + "An string set  may not be empty")
    if "" in content:
        raise InvalidValue(_INVALID + "An string set may not have a empty string as a member")
    if len(set(content)) != len(content):
        raise InvalidValue(_INVALID + f"Input collection [{', '.join(content)}] contains duplicates.")
    return sum(len(text.encode()) for text in content)


def _numbers(value: Value, content: list[str], _level: int) -> int:
    if not content:
        raise InvalidValue(_INVALID + "An number set  may not be empty")
    value["NS"] = normal = [numbers.normalize(text) for text in content]
    if len(set(normal)) != len(normal):
        raise InvalidValue("Input collection contains duplicates")
    return sum(map(numbers.size_bytes, normal))


def _binaries(_value: Value, content: list[bytes], _level: int) -> int:
    if not content:
        raise InvalidValue(_INVALID + "Binary sets should not be empty")
    if b"" in content:
        raise InvalidValue(_INVALID + "Binary sets may not contain null or empty values")
    if len(set(content)) != len(content):
        raise InvalidValue(_INVALID + "Input collection of type BS contains duplicates.")
    return sum(map(len, content))


def _list(_value: Value, content: list[Value], level: int) -> int:
    _check_level(level)
    return 3 + len(content) + sum(measure(each, level + 1) for each in content)


def _map(_value: Value, content: Item, level: int) -> int:
    _check_level(level)
    return 3 + len(content) + measure_item(content, level + 1)


def _check_level(level: int) -> None:
    if level > LEVELS_MAX:
        raise InvalidValue("Nesting Levels have exceeded supported limits")


_SIZES: Final[dict[str, Callable[[Value, Any, int], int]]] = {
    "B": _binary,
    "BOOL": _boolean,
    "NULL": _null,
    "SS": _strings,
    "NS": _numbers,
    "BS": _binaries,
    "L": _list,
    "M": _map,
}


# Equality and order --------------------------------------------------------------------------------------------------


def kind_of(value: Value) -> str:
    return next(iter(value))


def equal(one: Value, other: Value) -> bool:
    """Numbers are in normal form, so their text decides; sets have no order, also inside lists and maps."""
    if one == other:
        return True
    kind = kind_of(one)
    if kind != kind_of(other) or kind not in _DEEP:
        return False
    mine, theirs = one[kind], other[kind]
    if len(mine) != len(theirs):
        return False
    if kind == "L":
        return all(map(equal, mine, theirs))
    if kind == "M":
        return mine.keys() == theirs.keys() and all(equal(value, theirs[name]) for name, value in mine.items())
    return set(mine) == set(theirs)


_DEEP = SETS | {"L", "M"}


def sort_key(value: Value) -> tuple[str, Any] | None:
    """Comparable with that of another value of the same type; None where the type has no order."""
    for kind, content in value.items():
        if kind == "N":
            return kind, Decimal(content)
        if kind == "S":
            return kind, content.encode()  # "Strings are compared by the bytes of their UTF-8".
        if kind == "B":
            return kind, content
    return None
