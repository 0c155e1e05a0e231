"""Event patterns: which events a pattern means. One JSON language for filters of event sources, rules of buses and
subscriptions to topics.

EventBridge User Guide, "Comparison operators for use in event patterns"; Lambda Developer Guide, "Filter rule syntax";
SNS Developer Guide, "Amazon SNS subscription filter policies". What is no pattern is told in those services' words.
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


_DEPTH_MAX = 100
# What is no field's name in an "$or".
_RESERVED = frozenset(
    ["exists", "anything-but", "numeric", "prefix", "suffix", "equals-ignore-case", "wildcard", "cidr"]
)  # fmt: skip


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
        raise BadPattern("Filter is not an object")
    test = _object(pattern)
    return lambda event: test([event])


def _object(pattern: Mapping[str, Any], depth: int = 0) -> Test:
    """All fields must hold, in the same object where there are several in a list."""
    if depth > _DEPTH_MAX:
        raise BadPattern("Pattern is nested too deeply")
    tests = [(name, is_choice(name, wanted), _field(name, wanted, depth)) for name, wanted in pattern.items()]

    def holds(values: list[Any]) -> bool:
        objects = [one for one in _spread(values) if isinstance(one, dict)] or [{}]
        return any(
            all(test([one] if choice else [one[name]] if name in one else []) for name, choice, test in tests)
            for one in objects
        )

    return holds


def is_choice(name: str, wanted: Any) -> bool:
    """Whether a field is an "$or": of at least two objects, none of which names an operator as its field. Else it is a
    field of that name."""
    return (
        name == "$or"
        and isinstance(wanted, list)
        and len(wanted) > 1
        and all(isinstance(one, dict) and not one.keys() & _RESERVED for one in wanted)
    )


def _field(name: str, wanted: Any, depth: int) -> Test:
    if is_choice(name, wanted):
        choices = [_object(one, depth + 1) for one in wanted]
        return lambda values: any(choice(values) for choice in choices)
    if isinstance(wanted, dict):
        if not wanted:
            raise BadPattern("Empty objects are not allowed")
        return _object(wanted, depth + 1)
    if not isinstance(wanted, list):
        raise BadPattern(f'"{name}" must be an object or an array')
    if not wanted:
        raise BadPattern("Empty arrays are not allowed")
    tests = [_rule(one) for one in wanted]
    return lambda values: any(test(values) for test in tests)


def _spread(values: Iterable[Any]) -> Iterable[Any]:
    """What stands in lists, and in lists of lists: however deep somebody nests them."""
    open_ = [iter(values)]
    while open_:
        for value in open_[-1]:
            if isinstance(value, list):
                open_.append(iter(value))
                break
            yield value
        else:
            open_.pop()


def _rule(rule: Any) -> Test:
    if not isinstance(rule, dict):
        if isinstance(rule, list):
            raise BadPattern("Match value must be String, number, true, false, or null")
        return lambda values: any(_same(one, rule) for one in _spread(values))
    if len(rule) != 1:
        raise BadPattern("Only one key allowed in match expression")
    [(operator, given)] = rule.items()
    if operator == "exists":
        if not isinstance(given, bool):
            raise BadPattern("exists match pattern must be either true or false.")
        return lambda values: bool(values) == given
    if operator == "anything-but":
        none_of = _any_of(given)
        return lambda values: bool(values) and not any(none_of(one) for one in _spread(values))
    test = _operator(operator, given)
    return lambda values: any(test(one) for one in _spread(values))


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    return bool(found == wanted)


def _any_of(given: Any) -> Callable[[Any], bool]:
    """What anything-but turns round: a value, a list of them, or an operator with one or more texts."""
    if isinstance(given, dict):
        if len(given) != 1:
            raise BadPattern("Only one key allowed in match expression")
        [(operator, texts)] = given.items()
        if operator not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
            raise BadPattern(f"Unsupported anything-but pattern: {operator}")
        tests = [_operator(operator, text) for text in (texts if isinstance(texts, list) else [texts])]
        return lambda found: any(test(found) for test in tests)
    wanted = given if isinstance(given, list) else [given]
    if not wanted or any(isinstance(one, dict | list) for one in wanted):
        raise BadPattern("Inside anything but list, start|null|boolean is not supported.")
    return lambda found: any(_same(found, one) for one in wanted)


def _operator(operator: str, given: Any) -> Callable[[Any], bool]:
    if operator == "numeric":
        return _numeric(given)
    if operator not in _RESERVED:
        raise BadPattern(f"Unrecognized match type {operator}")
    any_case = isinstance(given, dict) and list(given) == ["equals-ignore-case"] and operator in ("prefix", "suffix")
    text = given["equals-ignore-case"] if any_case else given
    if not isinstance(text, str):
        raise BadPattern(f"{operator} match pattern must be a string")
    if any_case:
        plain = _operator(operator, text.lower())
        return lambda found: isinstance(found, str) and plain(found.lower())
    if operator == "prefix":
        return lambda found: isinstance(found, str) and found.startswith(text)
    if operator == "suffix":
        return lambda found: isinstance(found, str) and found.endswith(text)
    if operator == "equals-ignore-case":
        return lambda found: isinstance(found, str) and found.lower() == text.lower()
    return _wildcard(text) if operator == "wildcard" else _cidr(text)


def _wildcard(text: str) -> Callable[[Any], bool]:
    if "**" in text:
        raise BadPattern(f"Consecutive wildcard characters at pos {text.index('**')}")
    shape = re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)
    return lambda found: isinstance(found, str) and shape.fullmatch(found) is not None


def _cidr(text: str) -> Callable[[Any], bool]:
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise BadPattern(f"Malformed CIDR: {text}") from error

    def inside(found: Any) -> bool:
        try:
            return isinstance(found, str) and ip_address(found) in network
        except ValueError:
            return False

    return inside


def _numeric(given: Any) -> Callable[[Any], bool]:
    """One comparison, or a range: from "> or >=" to "< or <="."""
    terms = list(given) if isinstance(given, list) else [given]
    if not terms or not isinstance(terms[0], str):
        raise BadPattern(f"Invalid member in numeric match: {terms[0] if terms else ']'}")
    low = terms[0]
    if low not in _NUMERIC:
        raise BadPattern(f"Unrecognized numeric range operator: {low}")
    tests = [(_NUMERIC[low], _bound(low, terms[1:2]))]
    if len(terms) > 2:
        if low not in (">", ">="):
            raise BadPattern("Too many elements in numeric expression")
        high = terms[2]
        if not isinstance(high, str):
            raise BadPattern(f"Bad value in numeric range: {high}")
        if high not in ("<", "<="):
            raise BadPattern(f"Bad numeric range operator: {high}")
        tests.append((_NUMERIC[high], _bound(high, terms[3:4])))
        if len(terms) > 4:
            raise BadPattern("Too many terms in numeric range expression")
        if tests[0][1] >= tests[1][1]:
            raise BadPattern("Bottom must be less than top")
    return lambda found: (
        isinstance(found, int | float) and not isinstance(found, bool) and all(test(found, n) for test, n in tests)
    )


def _bound(operator: str, given: list[Any]) -> float:
    if not given or isinstance(given[0], bool) or not isinstance(given[0], int | float):
        raise BadPattern(f"Value of {'equals' if operator == '=' else operator} must be numeric")
    return given[0]
