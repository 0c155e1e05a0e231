"""Filter patterns over columns: `[ip, user, ..., request = *.html*, status = 4* || status = 5*, bytes > 1000]`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fogbank.aws.services.logs.conditions import Token, bad, comparison, tokens

if TYPE_CHECKING:
    from collections.abc import Callable

_COLUMN = re.compile(r'\[([^\]]*)\]|"((?:[^"\\]|\\.)*)"|(\S+)')
_Test = "Callable[[str], bool] | None"


def compile_columns(pattern: str) -> Callable[[str], bool]:
    """A test for a line: as many columns as the pattern has, or more where it has `...`."""
    if not pattern.endswith("]"):
        raise bad(pattern)
    tests = [_test(column, pattern) for column in _split(tokens(pattern[1:-1]))]
    gaps = [number for number, test in enumerate(tests) if test is Ellipsis]
    if len(gaps) > 1:
        raise bad(pattern)
    before = tests[: gaps[0]] if gaps else tests
    after = tests[gaps[0] + 1 :] if gaps else []

    def matches(line: str) -> bool:
        columns = [next(part for part in found if part or found == ("", "", "")) for found in _COLUMN.findall(line)]
        if len(columns) < len(before) + len(after) or (not gaps and len(columns) > len(before)):
            return False
        pairs = [*zip(before, columns, strict=False), *zip(after, columns[len(columns) - len(after) :], strict=True)]
        return all(test is None or test(column) for test, column in pairs)  # type: ignore[operator]  # No gap among them.

    return matches


def _split(found: list[Token]) -> list[list[Token]]:
    columns: list[list[Token]] = [[]]
    for token in found:
        if token == Token("sign", ","):
            columns.append([])
        else:
            columns[-1].append(token)
    return columns


def _test(column: list[Token], pattern: str) -> object:
    """None for a bare name, which anything fits; Ellipsis for the gap."""
    if column == [Token("sign", "...")]:
        return Ellipsis
    if not column or column[0].kind != "word":
        raise bad(pattern)
    if len(column) == 1:
        return None
    name, any_of, all_of, at = column[0].value, [], [], 0
    while True:
        part = column[at : at + 3]
        if len(part) < 3 or part[0] != Token("word", name) or part[1].kind != "sign":
            raise bad(pattern)
        all_of.append(comparison(part[1].value, part[2], pattern))
        at += 3
        if at == len(column):
            break
        joint = column[at].value
        if joint == "||":
            any_of.append(all_of)
            all_of = []
        elif joint != "&&":
            raise bad(pattern)
        at += 1
    any_of.append(all_of)
    return lambda value: any(all(test(value) for test in tests) for tests in any_of)
