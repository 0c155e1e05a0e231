"""`matchGlob`: names by a pattern. "Filter objects by glob" ("List objects and prefixes using glob")."""

from __future__ import annotations

import re
from functools import lru_cache

from fogbank.gcp.services.storage.errors import invalid

_LENGTH_MAX, _WILDCARDS_MAX = 1024, 64


@lru_cache(256)
def compiled(glob: str) -> re.Pattern[str]:
    """`*` within a segment, `**` across them, `?` one character, `[…]` one of some, `{a,b}` one of these."""
    if len(glob) > _LENGTH_MAX or sum(glob.count(mark) for mark in "*?{,") > _WILDCARDS_MAX:
        raise invalid("Invalid argument. matchGlob is too long.")
    out, at, depth = "", 0, 0
    while at < len(glob):
        mark = glob[at]
        if mark == "*":
            across = glob.startswith("**", at)
            out += ".*" if across else "[^/]*"
            at += len(glob[at:]) - len(glob[at:].lstrip("*")) if across else 1
            continue
        if mark == "[":
            end = glob.find("]", at + 2)
            if end < 0:
                raise invalid("Invalid argument. matchGlob has an unclosed bracket.")
            out += _one_of(glob[at + 1 : end])
            at = end + 1
            continue
        if mark == "\\" and at + 1 < len(glob):
            at += 1
            out += re.escape(glob[at])
        elif mark == "?":
            out += "[^/]"
        elif mark == "{":
            depth, out = depth + 1, out + "(?:"
        elif mark == "}" and depth:
            depth, out = depth - 1, out + ")"
        elif mark == "," and depth:
            out += "|"
        else:
            out += re.escape(mark)
        at += 1
    if depth:
        raise invalid("Invalid argument. matchGlob has an unclosed brace.")
    return re.compile(out, re.DOTALL)


def _one_of(inner: str) -> str:
    negated = inner[0] in "!^"
    members = re.sub(r"([\\\[\]^&~|]|^-|-$)", r"\\\1", inner[1:] if negated else inner)
    try:
        re.compile(f"[{members}]")
    except re.error:
        raise invalid("Invalid argument. matchGlob has an invalid range.") from None
    return f"(?!/)[^{members}]" if negated else f"[{members}]"
