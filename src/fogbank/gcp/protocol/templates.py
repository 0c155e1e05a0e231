"""Path templates of google.api.http: "/v1/{topic=projects/*/topics/*}:publish" as a pattern, and what it binds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

_VARIABLE = re.compile(r"\{([^}=]+)(?:=([^}]*))?\}")
_ENCODED_SLASH = re.compile("(%2[fF])")
_PAIR = "(?:/[^/]+/[^/]+)"
# Firestore's paths go in pairs, of a collection and an id. Its templates cannot say so, and two would match one path.
_IN_PAIRS = {"documents/*/**": f"documents{_PAIR}+", "documents/**": f"documents{_PAIR}*"}


@dataclass(frozen=True, slots=True)
class Template:
    pattern: re.Pattern[str]
    fields: tuple[tuple[str, bool], ...]  # Dotted, and whether the variable may span segments.
    rank: tuple[int, ...]  # The smaller, the sooner it is tried.

    def match(self, path: str) -> dict[str, str] | None:
        """The variables, or none where the path (as it came, percent-encoded) is another."""
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        return {name: _decoded(text, spans) for (name, spans), text in zip(self.fields, found.groups(), strict=True)}


def compiled(template: str) -> Template:
    pattern, fields, end = "", [], 0
    for variable in _VARIABLE.finditer(template):
        pattern += _segments(template[end : variable.start()])
        inner = variable[2] or "*"
        pattern += f"({_segments(inner)})"
        fields.append((variable[1], "/" in inner or "**" in inner))
        end = variable.end()
    pattern += _segments(template[end:])
    verb = template.rpartition("}")[2].rpartition(":")[1] or (":" in template.rpartition("/")[2] and ":")
    rank = (0 if verb else 1, 1 if "**" in template else 0, -len(re.sub(r"\{[^}=]+=|\*|\}", "", template)))
    return Template(re.compile(pattern), tuple(fields), rank)


def _segments(text: str) -> str:
    """`*` is one segment, `**` any number of them ("Path template syntax" in google/api/http.proto)."""
    parts = re.split(r"(documents/\*/\*\*|documents/\*\*|\*\*|\*)", text)
    known = {"*": "[^/]+", "**": ".*"} | _IN_PAIRS
    return "".join(known.get(part, re.escape(part)) for part in parts)


def _decoded(text: str, spans: bool) -> str:  # noqa: FBT001
    """ "%2F" stays as it is where a variable spans segments: it does not part them."""
    if not spans:
        return unquote(text)
    return "".join(part if part.lower() == "%2f" else unquote(part) for part in _ENCODED_SLASH.split(text))
