"""Field paths as they are written, `a.b.`c d``, and as tuples of names.

"Field" of the reference: a simple name is letters, digits and `_`, not beginning with a digit; any other stands in
backticks, in which a backslash quotes the character after it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from fogbank.gcp.services.firestore.refusals import invalid

FieldPath = tuple[str, ...]
NAME: Final[FieldPath] = ("__name__",)  # Stands for the document's own name in queries.

_SIMPLE: Final = re.compile(r"[a-zA-Z_][a-zA-Z_0-9]*")
_QUOTED: Final = re.compile(r"`((?:[^`\\]|\\.)+)`", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_KNOWN_LENGTH_MAX: Final = 256
_TO_ESCAPE: Final = re.compile(r"[`\\]")
_SYNTAX: Final = (
    "Unquoted property paths must match regex ([a-zA-Z_][a-zA-Z_0-9]*), "
    r"and quoted property paths must match regex (`(?:[^`\\]|(?:\\.))+`)"
)


def parse(text: str) -> FieldPath:
    """Raises `RpcError`."""
    return _known(text) if len(text) <= _KNOWN_LENGTH_MAX else _parse(text)


def _parse(text: str) -> FieldPath:
    if not text:
        raise invalid("Invalid empty property path string.")
    names: list[str] = []
    at = 0
    while True:
        if found := _SIMPLE.match(text, at):
            names.append(found[0])
        elif found := _QUOTED.match(text, at):
            names.append(_ESCAPED.sub(r"\1", found[1]))
        else:
            raise invalid(f'Invalid property path "{text}". {_SYNTAX}')
        at = found.end()
        if at == len(text):
            return tuple(names)
        if text[at] != ".":
            raise invalid(f'Invalid property path "{text}". {_SYNTAX}')
        at += 1


_known: Final = lru_cache(4096)(_parse)  # An app asks for the same few again and again.


def show(path: FieldPath) -> str:
    return ".".join(name if _SIMPLE.fullmatch(name) else f"`{_TO_ESCAPE.sub(_escape, name)}`" for name in path)


def _escape(found: re.Match[str]) -> str:
    return "\\" + found[0]
