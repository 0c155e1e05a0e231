"""Partial responses: `fields=items(name,size),nextPageToken` ("Partial response" in Google's API guides)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

_TOKEN = re.compile(r"[\w$*.:-]+|[(),/]")
_LENGTH_MAX, _DEPTH_MAX = 4096, 50

Mask = dict[str, "Mask"]  # An empty one is all that lies below.


class BadFields(ValueError):
    """The expression cannot be read."""


def chosen(content: Any, fields: str) -> Any:
    """What of an answer is asked for."""
    return _chosen(content, _parsed(fields))


def _chosen(content: Any, mask: Mask) -> Any:
    if not mask:
        return content
    if isinstance(content, list):
        return [_chosen(one, mask) for one in content]
    if not isinstance(content, dict):
        return content
    rest = mask.get("*")
    picked = {name: _chosen(value, mask.get(name, rest or {})) for name, value in content.items()
              if name in mask or rest is not None}  # fmt: skip
    return {name: value for name, value in picked.items() if value != {} or content[name] == {}}


@lru_cache(512)
def _parsed(fields: str) -> Mask:
    tokens = _TOKEN.findall(fields)
    if len(fields) > _LENGTH_MAX or fields.count("/") + fields.count("(") > _DEPTH_MAX:
        raise BadFields(fields)
    if "".join(tokens) != fields.replace(" ", ""):
        raise BadFields(fields)
    mask, rest = _list(tokens)
    if rest:
        raise BadFields(fields)
    return mask


def _list(tokens: list[str]) -> tuple[Mask, list[str]]:
    mask: Mask = {}
    while True:
        tokens = _one(tokens, mask)
        if tokens[:1] != [","]:
            return mask, tokens
        tokens = tokens[1:]


def _one(tokens: list[str], mask: Mask) -> list[str]:
    """ "a/b/c(d,e)" into the mask; what is left of the tokens."""
    if not tokens or tokens[0] in "(),/":
        raise BadFields
    inner = mask.setdefault(tokens[0], {})
    if tokens[1:2] == ["/"]:
        return _one(tokens[2:], inner)
    if tokens[1:2] == ["("]:
        below, rest = _list(tokens[2:])
        if rest[:1] != [")"]:
            raise BadFields
        inner.update(below)
        return rest[1:]
    return tokens[1:]
