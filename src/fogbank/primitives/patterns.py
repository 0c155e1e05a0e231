"""Event patterns: which events a pattern means. One JSON language for filters of event sources and rules of buses.

EventBridge User Guide, "Comparison operators for use in event patterns"; Lambda Developer Guide, "Filter rule syntax".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

import orjson

Test = Callable[[list[Any]], bool]  # Of all values that stand at the place; none where nothing does.
_NUMERIC: dict[str, Callable[[float, float], bool]] = {
    "=": lambda found, given: found == given,
    "<": lambda found, given: found < given,
    "<=": lambda found, given: found <= given,
    ">": lambda found, given: found > given,
    ">=": lambda found, given: found >= given,
}


class BadPattern(Exception):
    """Not a pattern; the text says why."""


@lru_cache(256)
def compiled(text: str) -> Callable[[Mapping[str, Any]], bool]:
    """The pattern as a test of events. Raises `BadPattern`."""
    try:
        pattern = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadPattern("it is no valid JSON") from error
    if not isinstance(pattern, dict):
        raise BadPattern("it is no JSON object")
    test = _object(pattern)
    return lambda event: test([event])


def _object(pattern: Mapping[str, Any]) -> Test:
    """All fields must hold, in the same object where there are several in a list."""
    tests = [(name, _field(name, wanted)) for name, wanted in pattern.items()]

    def holds(values: list[Any]) -> bool:
        objects = [one for one in _spread(values) if isinstance(one, dict)] or [{}]
        return any(
            all(test([one] if name == "$or" else [one[name]] if name in one else []) for name, test in tests)
            for one in objects
        )

    return holds


def _field(name: str, wanted: Any) -> Test:
    if name == "$or" and isinstance(wanted, list) and len(wanted) > 1 and all(isinstance(one, dict) for one in wanted):
        choices = [_object(one) for one in wanted]
        return lambda values: any(choice(values) for choice in choices)
    if isinstance(wanted, dict):
        if not wanted:
            raise BadPattern(f"{name} is empty")
        return _object(wanted)
    if not isinstance(wanted, list) or not wanted:
        raise BadPattern(f"{name} must be an object or a list that is not empty")
    tests = [_rule(name, one) for one in wanted]
    return lambda values: any(test(values) for test in tests)


def _spread(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _spread(value)
        else:
            yield value


def _rule(name: str, rule: Any) -> Test:
    if not isinstance(rule, dict):
        if isinstance(rule, list):
            raise BadPattern(f"{name} holds a list in a list")
        return lambda values: any(_same(one, rule) for one in _spread(values))
    if len(rule) != 1:
        raise BadPattern(f"{name} has more than one operator in an object")
    [(operator, given)] = rule.items()
    if operator == "exists":
        if not isinstance(given, bool):
            raise BadPattern(f"exists of {name} is neither true nor false")
        return lambda values: bool(values) == given
    if operator == "anything-but":
        none_of = _any_of(name, given)
        return lambda values: bool(values) and not any(none_of(one) for one in _spread(values))
    test = _operator(name, operator, given)
    return lambda values: any(test(one) for one in _spread(values))


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    return bool(found == wanted)


def _any_of(name: str, given: Any) -> Callable[[Any], bool]:
    """What anything-but turns round: a value, a list of them, or an operator with one or more texts."""
    if isinstance(given, dict):
        if len(given) != 1 or next(iter(given)) not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
            raise BadPattern(f"anything-but of {name} has an operator that it does not take")
        [(operator, texts)] = given.items()
        tests = [_operator(name, operator, text) for text in (texts if isinstance(texts, list) else [texts])]
        return lambda found: any(test(found) for test in tests)
    wanted = given if isinstance(given, list) else [given]
    if not wanted or any(isinstance(one, dict | list) for one in wanted):
        raise BadPattern(f"anything-but of {name} takes values, or one operator")
    return lambda found: any(_same(found, one) for one in wanted)


def _operator(name: str, operator: str, given: Any) -> Callable[[Any], bool]:
    if operator == "numeric":
        return _numeric(name, given)
    any_case = isinstance(given, dict) and list(given) == ["equals-ignore-case"] and operator in ("prefix", "suffix")
    text = given["equals-ignore-case"] if any_case else given
    if not isinstance(text, str):
        raise BadPattern(f"{operator} of {name} takes a text")
    if any_case:
        plain = _operator(name, operator, text.lower())
        return lambda found: isinstance(found, str) and plain(found.lower())
    if operator == "prefix":
        return lambda found: isinstance(found, str) and found.startswith(text)
    if operator == "suffix":
        return lambda found: isinstance(found, str) and found.endswith(text)
    if operator == "equals-ignore-case":
        return lambda found: isinstance(found, str) and found.lower() == text.lower()
    if operator == "wildcard":
        if "**" in text:
            raise BadPattern(f"wildcard of {name} has two stars in a row")
        shape = re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)
        return lambda found: isinstance(found, str) and shape.fullmatch(found) is not None
    if operator == "cidr":
        return _cidr(name, text)
    raise BadPattern(f"{name} has an unknown operator: {operator}")


def _cidr(name: str, text: str) -> Callable[[Any], bool]:
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise BadPattern(f"cidr of {name} is no range of addresses") from error

    def inside(found: Any) -> bool:
        try:
            return isinstance(found, str) and ip_address(found) in network
        except ValueError:
            return False

    return inside


def _numeric(name: str, given: Any) -> Callable[[Any], bool]:
    pairs = list(zip(given[::2], given[1::2], strict=False)) if isinstance(given, list) else []
    if not pairs or len(given) % 2 or len(pairs) > 2:
        raise BadPattern(f"numeric of {name} takes one or two comparisons")
    tests: list[tuple[Callable[[float, float], bool], float]] = []
    for operator, number in pairs:
        if operator not in _NUMERIC or isinstance(number, bool) or not isinstance(number, int | float):
            raise BadPattern(f"numeric of {name} takes one of = < <= > >= and a number")
        tests.append((_NUMERIC[operator], number))
    return lambda found: (
        isinstance(found, int | float) and not isinstance(found, bool) and all(test(found, n) for test, n in tests)
    )
