"""What each comparator and function of a condition says of its operands; the legacy conditions say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fogbank.aws.services.dynamodb.values import Value, kind_of, sort_key

if TYPE_CHECKING:
    from collections.abc import Callable

Operand = Value | None  # None: the item has no such attribute.


def equals(one: Operand, other: Operand) -> bool:
    return one is not None and one == other


def differs(one: Operand, other: Operand) -> bool:
    return not equals(one, other)


def _ordered(one: Operand, other: Operand) -> int | None:
    """-1, 0 or 1; None where the two have no order among them."""
    if one is None or other is None:
        return None
    mine, theirs = sort_key(one), sort_key(other)
    if mine is None or theirs is None or mine[0] != theirs[0]:
        return None
    return int(mine[1] > theirs[1]) - int(mine[1] < theirs[1])


def less(one: Operand, other: Operand) -> bool:
    return _ordered(one, other) == -1


def at_most(one: Operand, other: Operand) -> bool:
    return _ordered(one, other) in {-1, 0}


def greater(one: Operand, other: Operand) -> bool:
    return _ordered(one, other) == 1


def at_least(one: Operand, other: Operand) -> bool:
    return _ordered(one, other) in {0, 1}


def between(one: Operand, low: Operand, high: Operand) -> bool:
    return at_least(one, low) and at_most(one, high)


def among(one: Operand, *others: Operand) -> bool:
    return any(equals(one, other) for other in others)


def exists(one: Operand) -> bool:
    return one is not None


def is_missing(one: Operand) -> bool:
    return one is None


def begins_with(one: Operand, prefix: Operand) -> bool:
    if one is None or prefix is None:
        return False
    kind = kind_of(one)
    return kind in {"S", "B"} and kind in prefix and one[kind].startswith(prefix[kind])


def contains(one: Operand, wanted: Operand) -> bool:
    """A part of a string or binary, a member of a set, an element of a list."""
    if one is None or wanted is None:
        return False
    kind, content = next(iter(one.items()))
    wanted_kind = kind_of(wanted)
    if kind == "L":
        return wanted in content
    if kind in {"S", "B"}:
        return kind == wanted_kind and wanted[kind] in content
    return kind == wanted_kind + "S" and wanted[wanted_kind] in content


def is_of_type(one: Operand, type_name: Operand) -> bool:
    return one is not None and type_name is not None and kind_of(one) == type_name.get("S")


def size_of(one: Operand) -> Operand:
    """ "size": characters of a string, bytes of a binary, members of a set, list or map."""
    if one is None:
        return None
    kind, content = next(iter(one.items()))
    if kind in {"N", "BOOL", "NULL"}:
        return None
    return {"N": str(len(content))}


TESTS: Final[dict[str, Callable[..., Any]]] = {
    "=": equals,
    "<>": differs,
    "<": less,
    "<=": at_most,
    ">": greater,
    ">=": at_least,
    "BETWEEN": between,
    "IN": among,
    "attribute_exists": exists,
    "attribute_not_exists": is_missing,
    "attribute_type": is_of_type,
    "begins_with": begins_with,
    "contains": contains,
}
