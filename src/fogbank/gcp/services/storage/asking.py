"""A request as the parts of this service hand it on, whichever API it came by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping


class Asked(msgspec.Struct, frozen=True, gc=False):
    """Time and new names come with it, so a transaction can be run again."""

    now_ms: int
    new_id: Callable[[], str]
    base: str  # "http://127.0.0.1:4566": where the caller reached us, and will again.
    parameters: Mapping[str, str] = {}  # Of the path and the query.
    headers: Mapping[str, str] = {}  # Names in lower case.
    body: bytes | memoryview = b""
    resource: dict[str, Any] = {}  # The body, where it is JSON.
    lists: Mapping[str, list[str]] = {}  # All values of a parameter that may come again.

    @property
    def full(self) -> bool:
        """ACLs are to be told too."""
        return self.parameters.get("projection") == "full"


@dataclass(frozen=True, slots=True)
class Later:
    """What a transaction returns that is not the answer yet: `finish()` is awaited once it is kept."""

    finish: Callable[[], Awaitable[Any]]
