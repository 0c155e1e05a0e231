"""The language by which Google's lists are filtered (AIP-160, and Logging's query language, which is the same
and more): `compiled(text, descriptor)` makes a test for messages of that kind."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from fogbank.gcp.protocol.filters.matching import test
from fogbank.gcp.protocol.filters.syntax import parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message


@lru_cache(256)
def compiled(text: str, descriptor: Descriptor) -> Callable[[Message], bool]:
    """Raises `RpcError`, in Logging's words, for what cannot be read or names a field that no such message has."""
    return test(parsed(text), descriptor)
