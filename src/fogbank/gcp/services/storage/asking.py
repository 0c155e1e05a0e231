"""A request as the parts of this service hand it on, whichever API it came by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from fogbank.kernel.gateway.messages import Request


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


def readable(request: Request) -> Request:
    """Bytes of its head that are no UTF-8 are nowhere to be kept: they become what stands for such."""
    head = (request.path, request.query, *request.headers.values())
    if all(map(str.isascii, head)):
        return request
    headers = {name: _mended(text) for name, text in request.headers.items()}
    return replace(request, path=_mended(request.path), query=_mended(request.query), headers=headers)


def _mended(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def base_of(request: Request) -> str:
    """Where the caller has reached us: "http://127.0.0.1:4566", "https://storage.googleapis.com"."""
    host = request.headers.get("host", "")
    return f"{'https' if host.endswith('.googleapis.com') else 'http'}://{host}"
