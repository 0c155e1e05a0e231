"""A filter's tree as a test for messages.

The values are compared as what the field is ("Values and conversions"): text without regard to case, numbers by size,
enums by their numbers (so `severity>=ERROR`), moments and durations by time. A comparison with something that is not
there fails, `!=` too ("Missing fields").
"""

from __future__ import annotations

import importlib
import operator
import re
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from fogbank.gcp.protocol.filters import fields
from fogbank.gcp.protocol.filters.syntax import ENDS, And, Comparison, Not, Or
from fogbank.gcp.service import Code, RpcError

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import Descriptor, FieldDescriptor

    from fogbank.gcp.protocol.filters.fields import Leaf, Path
    from fogbank.gcp.protocol.filters.syntax import Node, Value

_ORDERED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_DURATION = re.compile(r"([+-]?\d+(?:\.\d+)?)(s|ms|us|ns|m|h|d)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_REGEX_MAX = 5_000


@cache
def _re2() -> Any:
    """RE2, which is what the service has, in time that grows with the text alone; loaded with the first expression."""
    return importlib.import_module("re2")


def test(node: Node, descriptor: Descriptor) -> Callable[[Any], bool]:
    match node:
        case And(parts):
            tests = [test(part, descriptor) for part in parts]
            return lambda message: all(one(message) for one in tests)
        case Or(parts):
            tests = [test(part, descriptor) for part in parts]
            return lambda message: any(one(message) for one in tests)
        case Not(part):
            inner = test(part, descriptor)
            return lambda message: not inner(message)
        case Comparison(path=(), value=value):
            wanted = value.text.lower()
            return lambda message: any(wanted in text.lower() for text in fields.texts(message))
        case Comparison(path=path):
            return _compared(node, fields.resolved(path, descriptor))


def _compared(node: Comparison, path: Path) -> Callable[[Any], bool]:
    sign, value = node.operator, node.value
    if sign == ":" and value.text == "*" and not value.quoted:
        return lambda message: any(leaf.present for leaf in fields.leaves(message, path))
    if sign in ("=~", "!~"):
        return _searched(path, value.text, negated=sign == "!~")
    if not path.keys:
        _check(path.fields[-1], node)
    return lambda message: any(_holds(leaf, sign, value) for leaf in fields.leaves(message, path))


def _searched(path: Path, pattern: str, *, negated: bool) -> Callable[[Any], bool]:
    if len(pattern) > _REGEX_MAX:
        raise _invalid(f"The regular expression is longer than {_REGEX_MAX} characters.")
    options = _re2().Options()
    options.log_errors = False
    try:
        search = _re2().compile(pattern, options).search
    except _re2().error as error:
        raise _invalid(f"Invalid regular expression: {pattern[:256]!r}: {error}") from error

    def found(message: Any) -> bool:
        leaves = list(fields.leaves(message, path))
        hit = any(search(_text(leaf)) is not None for leaf in leaves)
        return bool(leaves) and not hit if negated else hit

    return found


def _check(field: FieldDescriptor, node: Comparison) -> None:
    """What no value of the field could be compared with is an error, and not a comparison that fails."""
    text = node.value.text
    if field.enum_type is not None:
        _enum(field, text)
    elif field.message_type is not None and field.message_type.full_name == "google.protobuf.Timestamp":
        if _moment(text) is None:
            raise _invalid(f"Invalid timestamp: '{text[:128]}'.")
    elif field.message_type is not None and field.message_type.full_name == "google.protobuf.Duration":
        if _DURATION.fullmatch(text) is None:
            raise _invalid(f"Invalid duration: '{text[:128]}'.")
    elif field.message_type is not None:
        raise _invalid(f"Field '{'.'.join(node.path)[:256]}' cannot be compared with a value.")


def _holds(leaf: Leaf, sign: str, value: Value) -> bool:
    field, wanted = leaf.field, value.text
    if field is not None and field.enum_type is not None:
        return _by_size(leaf.value, sign, _enum(field, wanted))
    if field is not None and field.message_type is not None:
        seconds = leaf.value.seconds + leaf.value.nanos / 1e9
        if field.message_type.full_name == "google.protobuf.Timestamp":
            nanoseconds = leaf.value.seconds * 1_000_000_000 + leaf.value.nanos
            return leaf.present and _by_size(nanoseconds, sign, _moment(wanted))
        return leaf.present and _by_size(seconds, sign, _seconds(wanted))
    if isinstance(leaf.value, bool):
        return _by_size(leaf.value, sign, {"true": True, "false": False}.get(wanted.lower()))
    if isinstance(leaf.value, int | float):
        number = _number(wanted)
        return number is not None and _by_size(leaf.value, sign, number)
    if leaf.value is None:
        return (wanted == "NULL_VALUE") == (sign in ("=", ":"))
    if isinstance(leaf.value, dict):
        return sign == ":" and wanted in leaf.value
    return _by_text(_text(leaf).lower(), sign, value)


def _by_text(have: str, sign: str, value: Value) -> bool:
    wanted = value.text.lower()
    if sign == ":":
        return wanted in have
    if sign == ENDS:
        return have.endswith(wanted)
    return _by_size(have, sign, wanted)


def _by_size(have: Any, sign: str, wanted: Any) -> bool:
    if wanted is None:
        return False
    if sign in _ORDERED:
        return bool(_ORDERED[sign](have, wanted))
    return bool(have == wanted) == (sign != "!=")


def _text(leaf: Leaf) -> str:
    if leaf.field is not None and leaf.field.enum_type is not None:
        known = leaf.field.enum_type.values_by_number.get(leaf.value)
        return known.name if known is not None else str(leaf.value)
    if leaf.field is not None and leaf.field.message_type is not None:
        return str(leaf.value.ToJsonString()) if hasattr(leaf.value, "ToJsonString") else ""
    if isinstance(leaf.value, bytes):
        return leaf.value.decode("utf-8", "replace")
    return str(leaf.value)


def _enum(field: FieldDescriptor, text: str) -> int:
    kind = field.enum_type
    assert kind is not None
    known = kind.values_by_name.get(text.upper())
    if known is not None:
        return int(known.number)
    if text.lstrip("-").isdigit():
        return int(text)
    raise _invalid(f"Invalid enum value: '{text[:128]}' is none of {kind.name}.")


@cache
def _moment(text: str) -> int | None:
    """In nanoseconds. "timestamp" is written as RFC 3339 says, or a date alone."""
    whole, dot, rest = text.partition(".")
    digits = re.match(r"\d+", rest)
    nanoseconds = int(digits[0][:9].ljust(9, "0")) if dot and digits else 0
    zone = rest[digits.end() :] if digits else ""
    try:
        at = datetime.fromisoformat((whole + zone).upper())
    except ValueError:
        return None
    if at.tzinfo is None:
        at = datetime.fromisoformat(f"{at.isoformat()}+00:00")
    return round(at.timestamp()) * 1_000_000_000 + nanoseconds


def moment_ms(text: str) -> int | None:
    at = _moment(text)
    return None if at is None else at // 1_000_000


def _seconds(text: str) -> float | None:
    found = _DURATION.fullmatch(text)
    return float(found[1]) * _SECONDS[found[2]] if found else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _invalid(text: str) -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, text)
