"""A filter's text as a tree. NOT binds closest, then OR, then AND ("Boolean operators" of the Logging query language);
what merely stands side by side is joined by AND."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

from fogbank.gcp.service import Code, RpcError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXT_MAX = 20_000  # "The maximum length of a filter is 20,000 characters."
_DEPTH_MAX = 50
_TOKEN = re.compile(
    r"""(?P<gap>\s+|--[^\n]*)
    |(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<operator>=~|!~|!=|<=|>=|=|<|>|:)
    |(?P<mark>[(),.])
    |(?P<minus>-(?=[A-Za-z("]))
    |(?P<moment>\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d))
    |(?P<number>[+-]?\d+\.\d+(?:[eE][+-]?\d+)?(?![\w./%*-]))
    |(?P<word>[^\s"'=<>:!(),.~]+)""",
    re.VERBOSE | re.DOTALL,
)
ENDS = "ends with"  # What no text has as an operator.
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[0-7]{1,3}|.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Token:
    kind: str  # "quoted", "operator", "mark", "minus", "moment", "number", "word", "end".
    text: str  # As it stands there.
    at: int

    @property
    def value(self) -> str:
        return _unescaped(self.text[1:-1]) if self.kind == "quoted" else self.text


@dataclass(frozen=True, slots=True)
class Value:
    """Text to compare with. One without quotes may hold a `*`."""

    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    path: tuple[str, ...]  # Empty: any field.
    operator: str  # "=", "!=", "<", "<=", ">", ">=", ":", "=~", "!~"; or ENDS.
    value: Value


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Node


Node: TypeAlias = "Comparison | And | Or | Not"


def parsed(text: str) -> Node:
    """Raises `RpcError`."""
    if len(text) > _TEXT_MAX:
        raise RpcError(Code.INVALID_ARGUMENT, f"The filter is longer than {_TEXT_MAX} characters.")
    parser = _Parser(text)
    if parser.next.kind == "end":
        return And(())
    tree = parser.conjunction()
    if parser.next.kind != "end":
        raise parser.wrong()
    return tree


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self.next = next(self._tokens)
        self._depth = 0

    def _take(self) -> Token:
        token, self.next = self.next, next(self._tokens, self.next)
        return token

    def _is(self, kind: str, text: str) -> bool:
        return self.next.kind == kind and self.next.text == text

    def conjunction(self, path: tuple[str, ...] = (), operator: str = "") -> Node:
        """Of comparisons; or, with a field and an operator, of the values that these are to be held against."""
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise RpcError(Code.INVALID_ARGUMENT, "The filter is nested too deeply.")
        parts = [self._disjunction(path, operator)]
        while self.next.kind != "end" and not self._is("mark", ")"):
            if self._is("word", "AND"):
                self._take()
            parts.append(self._disjunction(path, operator))
        self._depth -= 1
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _disjunction(self, path: tuple[str, ...], operator: str) -> Node:
        parts = [self._negation(path, operator)]
        while self._is("word", "OR"):
            self._take()
            parts.append(self._negation(path, operator))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _negation(self, path: tuple[str, ...], operator: str) -> Node:
        negated = False
        while self._is("word", "NOT") or self.next.kind == "minus":
            self._take()
            negated = not negated
        inner = self._operand(path, operator)
        return Not(inner) if negated else inner

    def _operand(self, path: tuple[str, ...], operator: str) -> Node:
        if self._is("mark", "("):
            self._take()
            inner = self.conjunction(path, operator)
            self._close()
            return inner
        return Comparison(path, operator, self._value()) if operator else self._comparison()

    def _close(self) -> None:
        if not self._is("mark", ")"):
            raise self.wrong()
        self._take()

    def _comparison(self) -> Node:
        first = self.next
        parts = self._member()
        if self._is("mark", "("):
            return self._called(parts)
        if self.next.kind != "operator":
            return Comparison((), ":", Value(".".join(parts), first.kind == "quoted"))
        operator = self._take().text
        if self._is("mark", "("):
            self._take()
            inner = self.conjunction(tuple(parts), operator)
            self._close()
            return inner
        if self.next.kind == "minus":  # severity=-ERROR is no comparison; a number has its sign in itself.
            raise self.wrong()
        return Comparison(tuple(parts), operator, self._value())

    def _called(self, parts: list[str]) -> Node:
        """A function: `log_id("syslog")` is about the end of a log's name."""
        if [part.lower() for part in parts] != ["log_id"]:
            raise RpcError(
                Code.UNIMPLEMENTED, f"fogbank does not serve the function {'.'.join(parts)[:64]}() in filters."
            )
        self._take()
        value = self._value()
        self._close()
        return Comparison(("logName",), ENDS, Value(f"/logs/{quote(value.text, safe='')}", quoted=True))

    def _member(self) -> list[str]:
        """ "resource.labels.zone": parts may be in quotes where they have dots."""
        parts = [self._part()]
        while self._is("mark", "."):
            self._take()
            parts.append(self._part())
        return parts

    def _part(self) -> str:
        if self.next.kind not in ("word", "quoted", "number", "moment") or self.next.text in ("AND", "OR", "NOT"):
            raise self.wrong()
        return self._take().value

    def _value(self) -> Value:
        token = self.next
        text = ".".join(self._member())
        if self._is("mark", "("):
            raise RpcError(Code.UNIMPLEMENTED, f"fogbank does not serve the function {text[:64]}() in filters.")
        return Value(text, token.kind == "quoted")

    def wrong(self) -> RpcError:
        return _wrong(self._text, self.next.at)


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _wrong(text, at)
        at = found.end()
        if found.lastgroup != "gap":
            yield Token(str(found.lastgroup), found[0], found.start())
    yield Token("end", "", at)


def _wrong(text: str, at: int) -> RpcError:
    before = text[:at].split("\n")
    token = text[at : at + 1] or "<EOF>"
    found = _TOKEN.match(text, at)
    if found is not None:
        token = found[0][:64]
    return RpcError(
        Code.INVALID_ARGUMENT,
        f"Unparseable filter: syntax error at line {len(before)}, column {len(before[-1]) + 1}, token '{token}'",
    )


def _unescaped(text: str) -> str:
    """ "Values and conversions", escapes: those of C, and `\\uXXXX`; before anything else a backslash is itself."""

    def replaced(found: re.Match[str]) -> str:
        code = found[1]
        if code[0] in "xuU" and len(code) > 1:
            number = int(code[1:], 16)
            return chr(number) if number < 0x110000 else found[0]
        if code[0] in "01234567":
            return chr(int(code, 8))
        if code in _ESCAPES:
            return _ESCAPES[code]
        return code if code in "\"'\\?" else found[0]

    return _ESCAPE.sub(replaced, text)
