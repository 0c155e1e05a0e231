"""A request to a function and its response, as whoever triggers it and the instance that runs it hand them on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class HttpRequest(msgspec.Struct, gc=False):
    method: str
    target: str  # Path and query as they came, percent-encoded: "/items?limit=3".
    headers: list[tuple[str, str]]  # In order; those of one hop (Connection, Transfer-Encoding) are not handed on.
    body: bytes | memoryview = b""


class HttpResponse(msgspec.Struct, gc=False):
    status: int
    headers: list[tuple[str, str]]  # In order, without those of one hop.
    body: bytes | AsyncIterator[bytes] = b""  # Pieces as the function writes them; dropped, it is told so.

    async def whole(self) -> bytes:
        """For whoever wants all of it. Raises `kernel.gateway.messages.Unfinished` where it breaks off."""
        if isinstance(self.body, bytes):
            return self.body
        return b"".join([piece async for piece in self.body])

    async def over(self) -> None:
        """For whoever wants none of it: it is let go as it comes, however large. Raises as `whole` does."""
        if not isinstance(self.body, bytes):
            async for _ in self.body:
                pass


@dataclass(frozen=True, slots=True)
class Visit:
    """One request, as the instance is to see it."""

    request: HttpRequest
    began_ms: int
    execution_id: str = ""
    trace: str = ""  # 32 hex digits.
    span: str = ""  # 16 hex digits.


@dataclass(frozen=True, slots=True)
class Left:
    """What became of a request."""

    status: int
    took_ms: float
    size: int  # Of the body, in bytes.
    headers: list[tuple[str, str]]  # As the function gave them.
