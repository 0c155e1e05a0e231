"""The language by which Google's lists are filtered (AIP-160, and Logging's query language, which is the same
and more): `compiled(text, descriptor)` makes a test for messages of that kind."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from fogbank.gcp.protocol.filters import matching
from fogbank.gcp.protocol.filters.syntax import And, Comparison, parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

_ANY_MS = (0, 1 << 53)


@lru_cache(256)
def compiled(text: str, descriptor: Descriptor) -> Callable[[Message], bool]:
    """Raises `RpcError`, in Logging's words, for what cannot be read or names a field that no such message has."""
    return matching.test(parsed(text), descriptor)


def bounds(text: str, field: str) -> tuple[int, int]:
    """Milliseconds between which a moment must be for a message to match at all, as far as that is easily seen: what
    lies outside need not be looked at."""
    least, most = _ANY_MS
    tree = parsed(text)
    for part in tree.parts if isinstance(tree, And) else (tree,):
        if isinstance(part, Comparison) and part.path == (field,):
            at_ms = matching.moment_ms(part.value.text)
            if at_ms is not None and part.operator in (">", ">=", "="):
                least = max(least, at_ms)
            if at_ms is not None and part.operator in ("<", "<=", "="):
                most = min(most, at_ms)
    return least, most
