"""Filter policies: which messages a subscription wants.

Developer Guide, "Amazon SNS subscription filter policies" and "Filter policy constraints in Amazon SNS". The language
is that of event patterns.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.primitives import patterns

if TYPE_CHECKING:
    from collections.abc import Mapping

BODY, ATTRIBUTES = "MessageBody", "MessageAttributes"
_BYTES_MAX = 256 * 1024
_KEYS_MAX = 5
_COMBINATIONS_MAX = 150
_NUMBER_MAX = 1_000_000_000  # "the value can range from -10⁹ to 10⁹".


class BadPolicy(Exception):
    """The text says why."""


class Nested(Exception):
    """Attributes are flat, and a policy for them must be, too."""


def check(text: str, scope: str) -> None:
    """Raises `BadPolicy`, or `Nested`."""
    if len(text.encode()) > _BYTES_MAX:
        raise BadPolicy("Filter policy is too large")
    try:
        policy = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadPolicy(f"failed to parse JSON. {error}") from error
    if not isinstance(policy, dict):
        raise BadPolicy("Filter is not an object")
    try:
        patterns.compiled(text)
    except patterns.BadPattern as error:
        raise BadPolicy(str(error)) from error
    if scope == ATTRIBUTES and _is_nested(policy):
        raise Nested
    if len(_keys(policy)) > _KEYS_MAX:
        raise BadPolicy(f"Filter policy can not have more than {_KEYS_MAX} keys")
    if _combinations(policy, 1) > _COMBINATIONS_MAX:
        raise BadPolicy("Filter policy is too complex")
    if any(abs(number) > _NUMBER_MAX for number in _numbers(policy)):
        raise BadPolicy(f"Match value must be between -{_NUMBER_MAX} and {_NUMBER_MAX}")


def wants(policy: str, scope: str, text: str, attributes: Mapping[str, Any]) -> bool:
    """Whether a message of that text and those attributes is wanted."""
    if scope != BODY:
        return patterns.compiled(policy)(_values(attributes))
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False  # "Policy constraints for payload-based filtering": the body must be well-formed JSON.
    return isinstance(body, dict) and patterns.compiled(policy)(body)


def _values(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """ "Policy constraints for attribute-based filtering": only texts, numbers and arrays of them are looked at."""
    found: dict[str, Any] = {}
    for name, attribute in attributes.items():
        kind, text = attribute["DataType"], attribute.get("StringValue", "")
        if kind == "String":
            found[name] = text
        elif kind == "Number":
            found[name] = _number(text)
        elif kind in ("String.Array", "Number.Array"):
            with suppress(orjson.JSONDecodeError):
                found[name] = orjson.loads(text)
    return found


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _is_nested(policy: Mapping[str, Any]) -> bool:
    return any(
        any(map(_is_nested, value)) if patterns.is_choice(name, value) else isinstance(value, dict)
        for name, value in policy.items()
    )


def _keys(policy: Mapping[str, Any]) -> set[str]:
    """ "In payload-based filtering, only these top-level keys count"."""
    found: set[str] = set()
    for name, value in policy.items():
        found |= set().union(*map(_keys, value)) if patterns.is_choice(name, value) else {name}
    return found


def _combinations(policy: Mapping[str, Any], depth: int) -> int:
    """ "multiply the number of values in each array", in payloads each by the depth of its key; of an OR, the sum."""
    product = 1
    for name, value in policy.items():
        if patterns.is_choice(name, value):
            product *= sum(_combinations(one, depth) for one in value)
        elif isinstance(value, dict):
            product *= _combinations(value, depth + 1)
        else:
            product *= len(value) * depth
    return product


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in _numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in _numbers(item)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []
