"""Attribute values in the wire's form, `{"S": "text"}`: valid or not, normal, how large, equal, ordered.

Items keep the wire's form everywhere; nothing is decoded to Python values and back. In the normal form numbers have one
text and sets are sorted (as GetItem gives them back), so that two values are equal if their dictionaries are.
"""

from __future__ import annotations

from base64 import b64encode
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


def _strings(value: Value, content: list[str], _level: int) -> int:
    if not content:
        raise InvalidValue(_INVALID + "An string set  may not be empty")
    if len(set(content)) != len(content):
        raise InvalidValue(_INVALID + f"Input collection [{', '.join(content)}] contains duplicates.")
    value["SS"] = sorted(content)  # By code points, which is by the bytes of their UTF-8.
    return sum(len(text.encode()) for text in content)


def _numbers(value: Value, content: list[str], _level: int) -> int:
    if not content:
        raise InvalidValue(_INVALID + "An number set  may not be empty")
    value["NS"] = normal = sorted(map(numbers.normalize, content), key=numbers.sortable)
    if len(set(normal)) != len(normal):
        raise InvalidValue("Input collection contains duplicates")
    return sum(map(numbers.size_bytes, normal))


def _binaries(value: Value, content: list[bytes], _level: int) -> int:
    if not content:
        raise InvalidValue(_INVALID + "Binary sets should not be empty")
    if len(set(content)) != len(content):
        shown = ", ".join(b64encode(member).decode() for member in content)
        raise InvalidValue(f"{_INVALID}Input collection [{shown}]of type BS contains duplicates.")
    value["BS"] = sorted(content)
    return sum(map(len, content))


def _list(_value: Value, content: list[Value], level: int) -> int:
    if content:
        _check_level(level + 1)
    return 3 + len(content) + sum(measure(each, level + 1) for each in content)


def _map(_value: Value, content: Item, level: int) -> int:
    if content:
        _check_level(level + 1)
    return 3 + len(content) + measure_item(content, level + 1)


def _check_level(level: int) -> None:
    if level > LEVELS_MAX:
        raise InvalidValue(
            "Nesting Levels have exceeded supported limits: "
            "Attributes in the item have nested levels beyond supported limit"
        )


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


# Order ---------------------------------------------------------------------------------------------------------------


def kind_of(value: Value) -> str:
    return next(iter(value))


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
