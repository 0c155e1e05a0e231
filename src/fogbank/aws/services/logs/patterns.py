"""Filter patterns: over JSON, over columns, by a regular expression, or terms that must, may or must not be there.

CloudWatch Logs User Guide, "Filter pattern syntax for metric filters, subscription filters, filter log events, and Live
Tail".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fogbank.aws.services.logs.column_patterns import compile_columns
from fogbank.aws.services.logs.conditions import bad
from fogbank.aws.services.logs.json_patterns import compile_json

if TYPE_CHECKING:
    from collections.abc import Callable

_TERM = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))')


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """A test for a line. Raises InvalidParameterException."""
    text = pattern.strip()
    if text.startswith("{"):
        return compile_json(text)
    if text.startswith("["):
        return compile_columns(text)
    if len(text) > 2 and text[0] == text[-1] == "%":
        try:
            search = re.compile(text[1:-1]).search
        except re.error as error:
            raise bad(text) from error
        return lambda line: search(line) is not None
    if _TERM.sub("", text).strip():
        raise bad(text)
    terms: dict[str, list[str]] = {"": [], "?": [], "-": []}
    for kind, quoted, plain in _TERM.findall(text):
        terms[kind].append(re.sub(r"\\(.)", r"\1", quoted) if quoted else plain)

    def matches(line: str) -> bool:
        return (
            all(term in line for term in terms[""])
            and not any(term in line for term in terms["-"])
            and (not terms["?"] or any(term in line for term in terms["?"]))
        )

    return matches
