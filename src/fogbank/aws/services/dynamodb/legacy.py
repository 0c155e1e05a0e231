"""What there was before expressions: Expected, QueryFilter, ScanFilter, KeyConditions, AttributeUpdates.

"Legacy DynamoDB conditional parameters".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fogbank.aws.services.dynamodb.expressions import compare
from fogbank.aws.services.dynamodb.expressions.keyconditions import KeyTest
from fogbank.aws.services.dynamodb.expressions.updates import combined
from fogbank.aws.services.dynamodb.values import SETS, Item, Value, kind_of, measure, refuse, sort_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_INVALID: Final = "One or more parameter values were invalid: "
_COUNTS: Final = {"NULL": 0, "NOT_NULL": 0, "BETWEEN": 2}
_SCALARS: Final = frozenset(("S", "N", "B"))
_TYPES: Final = {
    "LE": _SCALARS,
    "LT": _SCALARS,
    "GE": _SCALARS,
    "GT": _SCALARS,
    "BETWEEN": _SCALARS,
    "IN": _SCALARS,
    "CONTAINS": _SCALARS,
    "NOT_CONTAINS": _SCALARS,
    "BEGINS_WITH": frozenset(("S", "B")),
}


def _not_contains(one: Value | None, wanted: Value | None) -> bool:
    """ "NOT_CONTAINS: Checks for absence of a subsequence, or absence of a value in a set." """
    return one is not None and not compare.contains(one, wanted)


_TESTS: Final[dict[str, Callable[..., bool]]] = {
    "EQ": compare.equals,
    "NE": compare.differs,
    "LE": compare.at_most,
    "LT": compare.less,
    "GE": compare.at_least,
    "GT": compare.greater,
    "NOT_NULL": compare.exists,
    "NULL": compare.is_missing,
    "CONTAINS": compare.contains,
    "NOT_CONTAINS": _not_contains,
    "BEGINS_WITH": compare.begins_with,
    "IN": compare.among,
    "BETWEEN": compare.between,
}
_KEY_TESTS: Final = {
    "EQ": "=",
    "LE": "<=",
    "LT": "<",
    "GE": ">=",
    "GT": ">",
    "BEGINS_WITH": "begins_with",
    "BETWEEN": "BETWEEN",
}

Test = "Callable[[Item], bool]"


def conditions(given: Mapping[str, Any], operator: str | None) -> Callable[[Item], bool]:
    """QueryFilter and ScanFilter as a function of an item."""
    tests = []
    for name, condition in given.items():
        wanted = condition.get("AttributeValueList", [])
        _check(condition["ComparisonOperator"], wanted)
        tests.append((name, _TESTS[condition["ComparisonOperator"]], wanted))
    return _all_or_any(tests, operator)


def expected(given: Mapping[str, Any], operator: str | None) -> Callable[[Item], bool]:
    """Expected as a function of the item that is there (an empty one where there is none)."""
    tests = []
    for name, condition in given.items():
        test, wanted = _expected_test(name, condition)
        tests.append((name, _TESTS[test], wanted))
    return _all_or_any(tests, operator)


def _all_or_any(
    tests: list[tuple[str, Callable[..., bool], list[Value]]], operator: str | None
) -> Callable[[Item], bool]:
    if operator == "OR":
        return lambda item: any(test(item.get(name), *wanted) for name, test, wanted in tests)
    return lambda item: all(test(item.get(name), *wanted) for name, test, wanted in tests)


def _expected_test(name: str, condition: Mapping[str, Any]) -> tuple[str, list[Value]]:
    if "AttributeValueList" in condition and "Value" in condition:
        raise refuse(f"{_INVALID}Value and AttributeValueList cannot be used together for Attribute: {name}")
    if "ComparisonOperator" in condition:
        operator = condition["ComparisonOperator"]
        if "Exists" in condition:
            raise refuse(f"{_INVALID}Exists and ComparisonOperator cannot be used together for Attribute: {name}")
        wanted = condition.get("AttributeValueList", [condition["Value"]] if "Value" in condition else [])
        if not wanted and operator not in {"NULL", "NOT_NULL"} and "AttributeValueList" not in condition:
            raise refuse(
                f"{_INVALID}Value or AttributeValueList must be used with ComparisonOperator: {operator} "
                f"for Attribute: {name}"
            )
        _check(operator, wanted)
        return operator, wanted
    if "AttributeValueList" in condition:
        raise refuse(f"{_INVALID}AttributeValueList can only be used with a ComparisonOperator for Attribute: {name}")
    exists = condition.get("Exists", True)
    if exists and "Value" not in condition:
        shown = "true" if "Exists" in condition else "null"
        raise refuse(f"{_INVALID}Value must be provided when Exists is {shown} for Attribute: {name}")
    if not exists and "Value" in condition:
        raise refuse(f"{_INVALID}Value cannot be used when Exists is false for Attribute: {name}")
    if not exists:
        return "NULL", []
    _check("EQ", [condition["Value"]])
    return "EQ", [condition["Value"]]


def _check(operator: str, wanted: list[Value]) -> None:
    for value in wanted:
        try:
            measure(value)
        except ValueError as error:
            raise refuse(str(error)) from None
    count = _COUNTS.get(operator, 1)
    if (len(wanted) != count) if operator != "IN" else not wanted:
        raise refuse(f"{_INVALID}Invalid number of argument(s) for the {operator} ComparisonOperator")
    kinds = [kind_of(value) for value in wanted]
    if len(set(kinds)) > 1:
        raise refuse(f"{_INVALID}AttributeValues inside AttributeValueList must be of same type")
    for kind in kinds:
        if operator in _TYPES and kind not in _TYPES[operator]:
            raise refuse(f"{_INVALID}ComparisonOperator {operator} is not valid for {kind} AttributeValue type")
    if operator == "BETWEEN" and (sort_key(wanted[0]) or ()) > (sort_key(wanted[1]) or ()):
        raise refuse("The BETWEEN condition was provided a range where the lower bound is greater than the upper bound")


def key_conditions(given: Mapping[str, Any]) -> dict[str, KeyTest]:
    found = {}
    for name, condition in given.items():
        operator, wanted = condition["ComparisonOperator"], condition.get("AttributeValueList", [])
        _check(operator, wanted)
        if operator not in _KEY_TESTS:
            raise refuse("Attempted conditional constraint is not an indexable operation")
        found[name] = KeyTest(name, _KEY_TESTS[operator], tuple(wanted))
    return found


# AttributeUpdates ----------------------------------------------------------------------------------------------------


def check_updates(updates: Mapping[str, Any]) -> None:
    for update in updates.values():
        action, value = update.get("Action", "PUT"), update.get("Value")
        if value is None:
            if action != "DELETE":
                raise refuse(f"{_INVALID}Only DELETE action is allowed when no attribute value is specified")
            continue
        try:
            measure(value)
        except ValueError as error:
            raise refuse(str(error)) from None
        kind = kind_of(value)
        if action == "DELETE" and kind not in SETS:
            raise refuse(f"{_INVALID}DELETE action with value is not supported for the type {kind}")
        if action == "ADD" and kind not in SETS and kind not in {"N", "L"}:
            raise refuse(f"{_INVALID}ADD action is not supported for the type {kind}")


def apply_updates(updates: Mapping[str, Any], item: Item) -> None:
    """Change the item in place."""
    for name, update in updates.items():
        action, value = update.get("Action", "PUT"), update.get("Value")
        result: Value | None
        if action == "PUT" or value is None:
            result = value
        elif "L" in value:
            if name in item and "L" not in item[name]:
                raise refuse("Type mismatch for attribute to update")
            result = {"L": [*item.get(name, {"L": []})["L"], *value["L"]]}
        else:
            result = combined(action, item.get(name), value, "Type mismatch for attribute to update")
        if result is None:
            item.pop(name, None)
        else:
            item[name] = result
