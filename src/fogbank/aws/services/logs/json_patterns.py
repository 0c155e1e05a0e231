"""Filter patterns over JSON: `{ ($.status >= 400 && $.user.name = "a*") || $.error IS TRUE }`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.services.logs.conditions import Token, bad, comparison, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STEP = re.compile(r"\.?([^.\[\]]+)|\.?\[(?:'([^']*)'|\"([^\"]*)\"|(\d+)|(\*))\]")
_DEPTH_MAX = 20
_IS: dict[str, Callable[[Any], bool]] = {
    "TRUE": lambda value: value is True,
    "FALSE": lambda value: value is False,
    "NULL": lambda value: value is None,
}


def compile_json(pattern: str) -> Callable[[str], bool]:
    """A test for a line. A line that is no JSON object never matches."""
    if not pattern.endswith("}"):
        raise bad(pattern)
    holds = _Reader(pattern).whole()

    def matches(line: str) -> bool:
        start = line.find("{")
        if start < 0:
            return False
        try:
            document = orjson.loads(line[start:])
        except orjson.JSONDecodeError:
            return False
        return holds(document)

    return matches


class _Reader:
    """Recursive descent: or, and, condition."""

    def __init__(self, pattern: str) -> None:
        self._pattern, self._tokens, self._at, self._depth = pattern, tokens(pattern[1:-1]), 0, 0

    def whole(self) -> Callable[[Any], bool]:
        holds = self._or()
        if self._at != len(self._tokens):
            raise bad(self._pattern)
        return holds

    def _next(self) -> Token:
        if self._at >= len(self._tokens):
            raise bad(self._pattern)
        self._at += 1
        return self._tokens[self._at - 1]

    def _takes(self, sign: str) -> bool:
        found = self._at < len(self._tokens) and self._tokens[self._at] == Token("sign", sign)
        self._at += found
        return found

    def _or(self) -> Callable[[Any], bool]:
        parts = [self._and()]
        while self._takes("||"):
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else lambda document: any(holds(document) for holds in parts)

    def _and(self) -> Callable[[Any], bool]:
        parts = [self._condition()]
        while self._takes("&&"):
            parts.append(self._condition())
        return parts[0] if len(parts) == 1 else lambda document: all(holds(document) for holds in parts)

    def _condition(self) -> Callable[[Any], bool]:
        if self._takes("("):
            self._depth += 1
            if self._depth > _DEPTH_MAX:
                raise bad(self._pattern)
            holds = self._or()
            self._depth -= 1
            if not self._takes(")"):
                raise bad(self._pattern)
            return holds
        selector = self._next()
        if selector.kind != "word" or not selector.value.startswith("$"):
            raise bad(self._pattern)
        steps = _steps(selector.value, self._pattern)
        sign = self._next()
        if sign.kind == "word":
            return self._word(steps, sign.value.upper())
        test = comparison(sign.value, self._next(), self._pattern)
        return lambda document: any(test(value) for value in _values(document, steps))

    def _word(self, steps: list[str | int], word: str) -> Callable[[Any], bool]:
        following = self._next().value.upper()
        if word == "IS" and following in _IS:
            test = _IS[following]
            return lambda document: any(test(value) for value in _values(document, steps))
        if word == "NOT" and following == "EXISTS":
            return lambda document: not any(True for _ in _values(document, steps))
        raise bad(self._pattern)


def _steps(selector: str, pattern: str) -> list[str | int]:
    """Of "$.a.b[0]['c d']": names, and numbers of items; "*" stands for all."""
    steps: list[str | int] = []
    at = 1
    while at < len(selector):
        found = _STEP.match(selector, at)
        if found is None:
            raise bad(pattern)
        name, single, double, number, star = found.groups()
        text = next(part for part in (number, name, single, double, star) if part is not None)
        steps.append(text if number is None else int(text))
        at = found.end()
    return steps


def _values(document: Any, steps: list[str | int]) -> Iterator[Any]:
    if not steps:
        yield document
        return
    step, rest = steps[0], steps[1:]
    if step == "*":
        below = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
        for item in below:
            yield from _values(item, rest)
    elif isinstance(step, int):
        if isinstance(document, list) and step < len(document):
            yield from _values(document[step], rest)
    elif isinstance(document, dict) and step in document:
        yield from _values(document[step], rest)
