"""Filter patterns over text: terms that must be there, may be there, or must not.

CloudWatch Logs User Guide, "Filter pattern syntax": "Match terms". Patterns over JSON and over columns are refused by
name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fogbank.aws.service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

_TERM = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))')


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """A test for a line. Raises InvalidParameterException."""
    text = pattern.strip()
    if text.startswith(("{", "[", "%")):
        raise ServiceError(
            "InvalidParameterException", "Filter patterns over JSON, columns or expressions are not served here."
        )
    if _TERM.sub("", text).strip():
        raise ServiceError("InvalidParameterException", "Invalid filter pattern")
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
