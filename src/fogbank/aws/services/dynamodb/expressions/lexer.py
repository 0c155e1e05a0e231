"""Expression text to tokens, and the part of reading them that all grammars share: paths, names, errors.

What is wrong with an expression is gathered with a rank, for DynamoDB tells the most basic error, not the first one.
What can only be known with the request's values at hand is kept as a check, so that a compiled expression serves every
request with the same text and names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fogbank.aws.services.dynamodb.expressions.reserved import WORDS
from fogbank.aws.services.dynamodb.values import Item, Value, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Path = tuple[str | int, ...]
Rank = tuple[int, ...]

EXPRESSION_BYTES_MAX: Final = 4096  # "Expression parameters": maximum length of an expression string, 4 KB.
OPERATORS_MAX: Final = 300  # "Expression operators and operands": operators or functions in an UpdateExpression …
DEPTH_MAX: Final = 60  # Deeper than any expression that is not redundant; keeps the parser off the interpreter's limit.
_token = re.compile(
    r"\s*(?:([A-Za-z_][A-Za-z0-9_]*)|(#[A-Za-z0-9_]+)|(:[A-Za-z0-9_]+)|([0-9]+)|(<>|<=|>=|[=<>()\[\],.+-])|(\S))"
)
_KINDS = ("name", "#", ":", "int", "op", "bad")


class Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class BadExpression(Exception):
    """What is wrong, as DynamoDB says it behind "Invalid …Expression: "."""


def tokens(text: str) -> list[Token]:
    found: list[Token] = []
    for match in _token.finditer(text):
        group = match.lastindex or 0
        found.append(Token(_KINDS[group - 1], match[group], match.start(group), match.end(group)))
    found.append(Token("end", "<EOF>", len(text), len(text)))
    return found


@dataclass(frozen=True, slots=True)
class Check:
    """What must hold of the values behind some placeholders: the message if it does not."""

    rank: Rank
    names: tuple[str, ...]
    test: Callable[[Mapping[str, Value]], str | None]


@dataclass(slots=True)
class Compiled:
    """An expression ready to run: `run(item, values)`, or `paths` for a projection."""

    run: Any = None
    paths: list[Path] = field(default_factory=list)
    names: frozenset[str] = frozenset()  # The placeholders it uses.
    values: dict[str, Rank] = field(default_factory=dict)  # Those of values, with the rank of a missing one.
    heads: frozenset[str] = frozenset()  # The top-level attributes it speaks of.
    nested: frozenset[str] = frozenset()  # Those of which it speaks of something inside.
    problems: list[tuple[Rank, str]] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    def verify(self, values: Mapping[str, Value]) -> None:
        """Raises `BadExpression` for the most basic of all that is wrong with it and these values."""
        problems = list(self.problems)
        for name, rank in self.values.items():
            if name not in values:
                message = f"An expression attribute value used in expression is not defined; attribute value: {name}"
                problems.append((rank, message))
        for check in self.checks:
            found = check.test(values) if all(name in values for name in check.names) else None
            if found is not None:
                problems.append((check.rank, found))
        if problems:
            raise BadExpression(min(problems, key=lambda problem: problem[0])[1])


PARENS, FUNCTION_NAME, MISUSED, RESERVED, SECTION, UNDEFINED, OVERLAP, CONFLICT, OPERANDS, DISTINCT, TYPES = range(11)


class Reader:
    """Goes through the tokens of one expression and gathers what it finds."""

    def __init__(self, text: str, names: Mapping[str, str]) -> None:
        self.text, self._names, self._at = text, names, 0
        self._tokens = tokens(text)
        self.operators = 0
        self.used_names: set[str] = set()
        self.used_values: dict[str, Rank] = {}
        self.clause = 0  # Of a condition: what is wrong with the first is told first.
        self.heads: set[str] = set()
        self.nested: set[str] = set()
        self.problems: list[tuple[Rank, str]] = []
        self.checks: list[Check] = []
        if len(text.encode()) > EXPRESSION_BYTES_MAX:
            size = len(text.encode())
            raise BadExpression(f"Expression size has exceeded the maximum allowed size; expression size: {size}")
        if not text.strip():
            raise BadExpression("The expression can not be empty;")

    def peek(self, ahead: int = 0) -> Token:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def take(self) -> Token:
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def at(self, *texts: str) -> bool:
        token = self._tokens[self._at]
        return token.kind == "op" and token.text in texts

    def at_word(self, *words: str) -> bool:
        token = self._tokens[self._at]
        return token.kind == "name" and token.text.upper() in words

    def accept(self, text: str) -> bool:
        if self.at(text):
            self._at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise self.syntax_error()

    def syntax_error(self, token: Token | None = None) -> BadExpression:
        """ "near" shows the token between its neighbours, as they stand in the text."""
        token = token or self.peek()
        index = self._tokens.index(token)
        start = self._tokens[max(0, index - 1)].start
        end = self._tokens[min(index + 1, len(self._tokens) - 1)].end
        if token.kind == "end":
            end = self._tokens[max(0, index - 1)].end
        return BadExpression(f'Syntax error; token: "{token.text}", near: "{self.text[start:end]}"')

    def rank(self, kind: int) -> Rank:
        return (kind,) if kind < UNDEFINED else (UNDEFINED, self.clause, kind)

    def problem(self, kind: int, message: str) -> None:
        self.problems.append((self.rank(kind), message))

    def check(self, kind: int, names: tuple[str, ...], test: Callable[[Mapping[str, Value]], str | None]) -> None:
        self.checks.append(Check(self.rank(kind), names, test))

    def operator(self) -> None:
        self.operators += 1
        if self.operators == OPERATORS_MAX + 1:
            raise BadExpression(
                "The expression contains too many operators; "
                f"maximum number of operators allowed in an expression: {OPERATORS_MAX}"
            )

    # Names, paths, values ---------------------------------------------------------------------------------------------

    def _part(self) -> str:
        token = self.peek()
        if token.kind not in {"name", "#"}:
            raise self.syntax_error()
        self.take()
        if token.kind == "name":
            if token.text.upper() in WORDS:
                self.problem(RESERVED, f"Attribute name is a reserved keyword; reserved keyword: {token.text}")
            return token.text
        self.used_names.add(token.text)
        name = self._names.get(token.text)
        if name is None:
            self.problem(
                UNDEFINED,
                f"An expression attribute name used in the document path is not defined; attribute name: {token.text}",
            )
            return token.text
        return name

    def path(self) -> Path:
        parts: list[str | int] = [self._part()]
        while self.at(".", "["):
            if self.take().text == ".":
                parts.append(self._part())
            else:
                token = self.take()
                if token.kind != "int":
                    raise self.syntax_error(token)
                parts.append(int(token.text))
                self.expect("]")
        head = str(parts[0])
        self.heads.add(head)
        if len(parts) > 1:
            self.nested.add(head)
        return tuple(parts)

    def value(self) -> str:
        token = self.take()
        if token.kind != ":":
            raise self.syntax_error(token)
        self.used_values.setdefault(token.text, self.rank(UNDEFINED))
        return token.text

    def compiled(self, **facts: Any) -> Compiled:
        return Compiled(
            names=frozenset(self.used_names),
            values=self.used_values,
            heads=frozenset(self.heads),
            nested=frozenset(self.nested),
            problems=self.problems,
            checks=self.checks,
            **facts,
        )


def type_check(reader: Reader, name: str, allowed: frozenset[str], message: Callable[[str], str]) -> None:
    """The value behind a placeholder must be of an allowed type."""

    def test(values: Mapping[str, Value]) -> str | None:
        kind = kind_of(values[name])
        return None if kind in allowed else message(kind)

    reader.check(TYPES, (name,), test)


def wrong_type(function: str) -> Callable[[str], str]:
    return lambda kind: (
        f"Incorrect operand type for operator or function; operator or function: {function}, operand type: {kind}"
    )


def path_text(path: Path) -> str:
    return "[" + ", ".join(f"[{part}]" if isinstance(part, int) else part for part in path) + "]"


def check_paths(reader: Reader, paths: list[Path]) -> None:
    """No path may lead into another, and none may take for a list what another takes for a map."""
    for index, later in enumerate(paths):
        for earlier in paths[:index]:
            _check_pair(reader, earlier, later)


def _check_pair(reader: Reader, one: Path, two: Path) -> None:
    both = f"must remove or rewrite one of these paths; path one: {path_text(one)}, path two: {path_text(two)}"
    for mine, theirs in zip(one, two, strict=False):
        if type(mine) is not type(theirs):
            reader.problem(CONFLICT, f"Two document paths conflict with each other; {both}")
            return
        if mine != theirs:
            return
    reader.problem(OVERLAP, f"Two document paths overlap with each other; {both}")


def look_up(item: Item, path: Path) -> Value | None:
    """What stands at a path of an item, None where nothing does."""
    value: Value | None = item.get(path[0])  # type: ignore[arg-type]  # A path begins with a name.
    for part in path[1:]:
        if value is None:
            return None
        if isinstance(part, int):
            elements = value.get("L", ())
            value = elements[part] if part < len(elements) else None
        else:
            value = value.get("M", {}).get(part)
    return value
