"""Filters of subscriptions ("Filter messages from a subscription"): which attributes a message must have.

attributes:domain                       it has the attribute
attributes.domain = "com"               and that value; != any other value, or none
hasPrefix(attributes.domain, "co")
NOT f, -f, f AND g, f OR g, (f)         AND and OR side by side need parentheses
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn

from fogbank.gcp.service import Code, RpcError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Test = Callable[[Mapping[str, str]], bool]

_LENGTH_MAX = 256  # "The maximum length of a filter is 256 bytes."
_TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|([A-Za-z0-9_\-]+)|(!=|[=:.(),]))', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([0-7]{3})|(.))", re.DOTALL)
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_DEPTH_MAX = 64


def check(text: str) -> None:
    """Raises `RpcError` for what is no filter."""
    if len(text.encode()) > _LENGTH_MAX:
        raise RpcError(
            Code.INVALID_ARGUMENT,
            f"The filter is too long: it has {len(text.encode())} bytes, the maximum is {_LENGTH_MAX}.",
        )
    compiled(text)


@lru_cache(1024)
def compiled(text: str) -> Test:
    """Whether attributes match; an empty filter takes everything."""
    return _Parser(text).whole() if text.strip() else lambda _: True


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._tokens, self._at, self._depth = text, _tokens(text), 0, 0

    def whole(self) -> Test:
        test = self._expression()
        if self._at < len(self._tokens):
            self._fail(f"unexpected {self._tokens[self._at]!r}")
        return test

    def _expression(self) -> Test:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            self._fail("it is nested too deeply")
        tests, word = [self._negated()], ""
        while self._next() in ("AND", "OR"):
            if word and self._next() != word:
                self._fail("AND and OR side by side need parentheses")
            word = self._take()
            tests.append(self._negated())
        self._depth -= 1
        if len(tests) == 1:
            return tests[0]
        joined = all if word == "AND" else any
        return lambda attributes: joined(test(attributes) for test in tests)

    def _negated(self) -> Test:
        if self._next() == "NOT":
            self._take()
        elif self._next().startswith("-"):
            rest = self._tokens[self._at][1:]
            self._tokens[self._at : self._at + 1] = [rest] if rest else []
        else:
            return self._simple()
        test = self._simple()
        return lambda attributes: not test(attributes)

    def _simple(self) -> Test:
        if self._next() == "(":
            self._take()
            test = self._expression()
            self._expect(")")
            return test
        if self._next() == "hasPrefix":
            return self._prefix()
        self._expect("attributes")
        if self._next() == ":":
            self._take()
            name = self._key()
            return lambda attributes: name in attributes
        key = self._dotted()
        operator = self._take()
        if operator not in ("=", "!="):
            self._fail(f"an attribute is compared by = or !=, not by {operator!r}")
        value = self._value()
        if operator == "=":
            return lambda attributes: attributes.get(key) == value
        return lambda attributes: attributes.get(key) != value

    def _prefix(self) -> Test:
        self._take()
        self._expect("(")
        self._expect("attributes")
        key = self._dotted()
        self._expect(",")
        prefix = self._value()
        self._expect(")")
        return lambda attributes: attributes.get(key, None) is not None and attributes[key].startswith(prefix)

    def _dotted(self) -> str:
        self._expect(".")
        return self._key()

    def _key(self) -> str:
        token = self._take()
        if token.startswith('"'):
            return _unquoted(token)
        if not re.fullmatch(r"[A-Za-z0-9_\-]+", token):
            self._fail("an attribute's key is missing")
        return token

    def _value(self) -> str:
        token = self._take()
        if not token.startswith('"'):
            self._fail("a value is a string in quotation marks")
        return _unquoted(token)

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._next()
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self._take() != token:
            self._fail(f"{token!r} is missing")

    def _fail(self, why: str) -> NoReturn:
        raise _invalid(self._text, why)


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise _invalid(text, f"it cannot be read from character {at + 1} on")
        found.append(token[0].lstrip())
        at = token.end()
    return found


def _unquoted(token: str) -> str:
    def meant(escape: re.Match[str]) -> str:
        for group, base in ((1, 16), (2, 16), (3, 16), (4, 8)):
            if escape[group]:
                code = int(escape[group], base)
                return chr(code) if code < 0x110000 else "�"
        return _NAMED.get(escape[5], escape[5])

    return _ESCAPE.sub(meant, token[1:-1])


def _invalid(text: str, why: str) -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, f"Invalid filter given (filter={text}): {why}.")
