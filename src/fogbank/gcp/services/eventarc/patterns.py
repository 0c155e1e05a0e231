"""Path patterns: which paths a filter means by "users/{user}/posts/**", and what its names then stand for.

Eventarc, "Understand path patterns"; the same for documents of 1st gen functions. `*` stands for a part of a segment or
all of it, `**` for any number of segments, once in a pattern; braces give either a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_CAPTURE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?:=(\*\*?))?\}")
_PLAIN: Final = re.compile(r"[^{}/]+")
_LENGTH_MAX: Final = 6 * 1024


class BadPattern(ValueError):
    """The text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class _Segment:
    parts: tuple[str, ...]  # What stands between its asterisks: ("users",), ("a", "b") for "a*b", ("", "") for "*".
    name: str = ""


@dataclass(frozen=True, slots=True)
class Pattern:
    before: tuple[_Segment, ...]
    after: tuple[_Segment, ...] | None  # What follows "**"; None where there is none.
    name: str = ""  # Of "**".

    def match(self, path: str) -> dict[str, str] | None:
        """What its names stand for in a path that it matches whole."""
        segments = path.strip("/").split("/")
        first, last = len(self.before), len(segments) - len(self.after or ())
        if first != last if self.after is None else first > last:
            return None
        named = {self.name: "/".join(segments[first:last])} if self.name else {}
        pairs = [*zip(self.before, segments[:first], strict=True), *zip(self.after or (), segments[last:], strict=True)]
        for wanted, given in pairs:
            if not _matches(wanted.parts, given):
                return None
            if wanted.name:
                named[wanted.name] = given
        return named


@lru_cache(1024)
def compiled(text: str) -> Pattern:
    """Raises `BadPattern`."""
    if len(text.encode()) > _LENGTH_MAX:
        raise BadPattern("the pattern is too long")
    before: list[_Segment] = []
    after: list[_Segment] | None = None
    several = ""
    for segment in text.strip("/").split("/"):
        found = _CAPTURE.fullmatch(segment)
        name, wildcard = (found[1], found[2] or "*") if found else ("", segment)
        if wildcard == "**":
            if after is not None:
                raise BadPattern("only one multi-segment wildcard is allowed")
            after, several = [], name
            continue
        if not _PLAIN.fullmatch(wildcard) or "**" in wildcard:
            raise BadPattern(f'the segment "{segment}" is malformed')
        (before if after is None else after).append(_Segment(tuple(wildcard.split("*")), name))
    names = [one.name for one in (*before, *(after or ())) if one.name] + ([several] if several else [])
    if len(set(names)) < len(names):
        raise BadPattern("a name stands in it twice")
    return Pattern(tuple(before), None if after is None else tuple(after), several)


def _matches(parts: tuple[str, ...], given: str) -> bool:
    """Each part is taken where it comes first: what is behind has the more room."""
    if len(parts) == 1:
        return given == parts[0]
    if parts == ("", ""):
        return bool(given)
    if len(given) < len(parts[0]) + len(parts[-1]) or not given.startswith(parts[0]) or not given.endswith(parts[-1]):
        return False
    at, end = len(parts[0]), len(given) - len(parts[-1])
    for part in parts[1:-1]:
        at = given.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True
