"""Conditions on values, which filter patterns over JSON and over columns share: `= 404`, `!= "GET"`, `>= 1.5`,
`= *.txt`, `= %re[0-9]%`.

CloudWatch Logs User Guide, "Filter pattern syntax for metric filters, subscription filters, filter log events, and Live
Tail": "Match terms in JSON log events" and "Match terms in space-delimited log events".
"""

from __future__ import annotations

import re
from fnmatch import translate
from typing import TYPE_CHECKING, Any, NamedTuple

from fogbank.aws.service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

_TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<regex>%[^%]+%)|(?P<sign>&&|\|\||!=|>=|<=|[=<>(),]|\.\.\.)'
    r"|(?P<word>(?:\$(?:\.?[^\s.\[\]()=<>!&|,\"%]+|\.?\[[^\]]*\])*|[^\s()=<>!&|,\"%]+)))"
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": lambda one, other: one > other,
    "<": lambda one, other: one < other,
    ">=": lambda one, other: one >= other,
    "<=": lambda one, other: one <= other,
}


class Token(NamedTuple):
    kind: str  # text, regex, sign, word
    value: str


def bad(pattern: str) -> ServiceError:
    return ServiceError("InvalidParameterException", f"Invalid filter pattern: {pattern}")


def tokens(pattern: str) -> list[Token]:
    found, at = [], 0
    while pattern[at:].strip():
        match = _TOKEN.match(pattern, at)
        if match is None:
            raise bad(pattern)
        kind = str(match.lastgroup)
        found.append(Token(kind, match[kind]))
        at = match.end()
    return found


def comparison(sign: str, token: Token, pattern: str) -> Callable[[Any], bool]:
    """A test of one value, which is there."""
    if sign in _COMPARE:
        if not _NUMBER.fullmatch(token.value):
            raise bad(pattern)
        compare, limit = _COMPARE[sign], float(token.value)
        return lambda value: (number := _number(value)) is not None and compare(number, limit)
    if sign not in ("=", "!="):
        raise bad(pattern)
    equal = _equality(token, pattern)
    return equal if sign == "=" else lambda value: not equal(value)


def _equality(token: Token, pattern: str) -> Callable[[Any], bool]:
    if token.kind == "regex":
        try:
            search = re.compile(token.value[1:-1]).search
        except re.error as error:
            raise bad(pattern) from error
        return lambda value: search(_text(value)) is not None
    if token.kind == "text":
        wanted = re.sub(r"\\(.)", r"\1", token.value[1:-1])
    elif _NUMBER.fullmatch(token.value):
        number = float(token.value)
        return lambda value: _number(value) == number
    else:
        wanted = token.value
    if "*" in wanted:
        like = re.compile(translate(wanted.replace("[", "[[]").replace("?", "[?]"))).match
        return lambda value: like(_text(value)) is not None
    return lambda value: _text(value) == wanted


def _number(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "true" if value is True else "false" if value is False else str(value)
