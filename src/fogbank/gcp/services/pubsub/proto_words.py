"""The words of a Protocol Buffer definition, one after the other ("Lexical Elements" of the language)."""

from __future__ import annotations

import re
from typing import Final, NoReturn

_TOKEN: Final = re.compile(
    r"""\s*(?://[^\n]*|/\*.*?\*/|("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\.?[A-Za-z0-9_]+(?:[.][A-Za-z0-9_]+)*|[-+{}\[\]()<>=;,:/.]))""",
    re.DOTALL,
)
_BLANK: Final = re.compile(r"\s*\Z")
_IDENTIFIER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*|_[A-Za-z0-9_]+")
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20}")
_TYPE_NAME: Final = re.compile(r"\.?[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")


class NoDefinition(Exception):
    """The text is no definition; why."""


class Words:
    """What is left to be read. What is not as it must be raises `NoDefinition`."""

    def __init__(self, text: str) -> None:
        self._tokens, self._at = _split(text), 0

    def next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def take(self) -> str:
        token = self.next()
        if not token:
            self.fail("it ends too early")
        self._at += 1
        return token

    def skip(self, token: str) -> bool:
        if self.next() != token:
            return False
        self._at += 1
        return True

    def back(self) -> None:
        self._at -= 1

    def is_name_before_equals(self) -> bool:
        """Of a field whose type is called as a noun is: "message name = 1;"."""
        behind = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else ""
        return bool(_IDENTIFIER.fullmatch(self.next())) and behind == "="

    def expect(self, *tokens: str) -> None:
        for token in tokens:
            if self.take() != token:
                self.fail(f"{token!r} is missing")

    def identifier(self) -> str:
        token = self.take()
        if not _IDENTIFIER.fullmatch(token):
            self.fail(f"{token!r} is no name")
        return token

    def number(self) -> int:
        sign = -1 if self.skip("-") else 1
        token = self.take()
        if not _NUMBER.fullmatch(token):
            self.fail(f"{token!r} is no number")
        base = 16 if token[:2] in ("0x", "0X") else 8 if token[0] == "0" and len(token) > 1 else 10
        try:
            return sign * int(token, base)
        except ValueError:
            self.fail(f"{token!r} is no number")

    def fail(self, why: str) -> NoReturn:
        raise NoDefinition(why)

    def text(self) -> str:
        token = self.take()
        if token[0] not in "\"'":
            self.fail(f"{token!r} is no text")
        return token[1:-1]

    def type_name(self) -> str:
        token = self.take()
        if not _TYPE_NAME.fullmatch(token):
            self.fail(f"{token!r} is no type")
        return token

    def bounded(self) -> int:
        number = self.number()
        if not -(1 << 31) <= number < (1 << 31) - 1:
            self.fail(f"{number} is too large")
        return number

    def block(self) -> None:
        depth = 0
        while True:
            depth += {"{": 1, "}": -1}.get(self.take(), 0)
            if not depth:
                return

    def to(self, token: str) -> None:
        while self.take() != token:
            pass

    def to_semicolon(self) -> None:
        while (token := self.next()) != ";":
            if token == "{":
                self.block()
            else:
                self.take()
        self._at += 1


def _split(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    while not _BLANK.match(text, at):
        token = _TOKEN.match(text, at)
        if token is None:
            raise NoDefinition(f"nothing can be made of {text[at : at + 20].strip()!r}")
        at = token.end()
        if token[1] is not None:
            found.append(token[1])
    return found
