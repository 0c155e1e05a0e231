"""A request and its answer, as the gateway hands them to a skin. Bytes and plain values: no cloud, no framework."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    import re
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from fogbank.kernel.store import Settling, StoreError


class Request(msgspec.Struct, gc=False):
    method: str
    path: str  # As it came, percent-encoded, without the query: "/bucket/a%20b".
    query: str  # As it came, without the "?": "list-type=2&prefix=a".
    headers: dict[str, str]  # Names in lower case; of a header that came twice, values joined by ", ".
    raw_headers: list[tuple[str, str]]  # As they came, in order, names in the case they came in.
    body: bytes | memoryview  # A large one is a view of a file that the gateway deletes afterwards.
    peer: str  # The caller's address.
    id: str  # A UUID of this request alone.
    trace_id: str  # 32 hex digits; follows this request through every hop.

    @property
    def host(self) -> str:
        """Lower case, without the port."""
        return self.headers.get("host", "").rpartition("@")[2].split(":")[0].lower()


class Unfinished(Exception):
    """Raised by an iterator of a body that ends before its end: the peer is to notice, and nothing is at fault here."""


class Response(msgspec.Struct, gc=False):
    status: int = 200
    headers: list[tuple[str, str]] = []
    body: bytes | Path | AsyncIterator[bytes] = b""  # A path is sent as the file it names; an iterator in chunks.
    length: int | None = None  # Of an iterator, where known (else chunked); of a HEAD's missing body.
    offset: int = 0  # Where in the file to begin; with `length`, a range of it.


class Ready(msgspec.Struct, gc=False):
    """An answer that is made already; it may go out once `until` has settled (or at once, if that is none)."""

    response: Response
    until: Settling | None = None
    lost: Callable[[StoreError], Response] | None = None  # The answer instead, where `until` came to nothing.

    async def whole(self) -> Response:
        """For whoever has to wait for it all the same."""
        if self.until is None:
            return self.response
        settled: asyncio.Future[StoreError | None] = asyncio.get_running_loop().create_future()
        self.until.then(lambda error: None if settled.done() else settled.set_result(error))
        error = await settled
        return self.response if error is None or self.lost is None else self.lost(error)


class Pending:
    """An answer that somebody makes later, and tells of from wherever in the event loop that is: without a task."""

    __slots__ = ("_made", "_told")

    def __init__(self) -> None:
        self._told: Callable[[Callable[[], Response]], None] | None = None
        self._made: Callable[[], Response] | None = None

    def tell(self, make: Callable[[], Response]) -> None:
        """Only the first time counts. Whoever tells is not harmed by who listens."""
        if self._made is None:
            self._made = make
            if self._told is not None:
                try:
                    self._told(make)
                except Exception as bug:
                    loop = asyncio.get_running_loop()
                    loop.call_exception_handler({"message": "an answer was not taken well", "exception": bug})

    def then(self, told: Callable[[Callable[[], Response]], None]) -> None:
        """For the gateway: it calls what makes the answer where an error of that costs this answer alone."""
        self._told = told
        if self._made is not None:
            told(self._made)

    async def whole(self) -> Response:
        """For whoever has to wait for it all the same."""
        made: asyncio.Future[Callable[[], Response]] = asyncio.get_running_loop().create_future()
        self.then(lambda make: None if made.done() else made.set_result(make))
        return (await made)()


Answer: TypeAlias = "Ready | Pending | Awaitable[Response]"  # Now, once it is told, or when it is awaited.


@dataclass(slots=True, frozen=True)
class Route:
    """Requests whose host and path match (where given; the whole host, the path's beginning) go to `answer`; of those
    only what `only` takes, where a path belongs to several."""

    answer: Callable[[Request], Answer]
    host: re.Pattern[str] | None = None
    path: re.Pattern[str] | None = None
    only: Callable[[Request], bool] | None = None
