"""One connection to an instance: HTTP/1.1, one exchange after the other, whatever bytes come back.

An instance is not trusted to speak well: heads are bounded, and what is no HTTP ends the connection, not the server.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, cast

import httptools

from fogbank.kernel.gateway.messages import Unfinished

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.functions.http.messages import HttpRequest

_SILENT_BYTES_MAX: Final = 256 * 1024  # Of a head, or of anything else that is no body.
_WAITING_BYTES_MAX: Final = 256 * 1024  # Of a body that its reader is slow to take.
_OF_ONE_HOP: Final = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
_FINAL: Final = 200  # The first status that is no interim one.
_WITHOUT_BODY: Final = (204, 304)


class Broken(Exception):
    """The instance closed the connection, or said what is no HTTP, before its response had begun."""


class Exchange:
    """One request on its way to its response. The parser calls the `on_…`."""

    def __init__(self, method: str, connection: Connection) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.whole: bytes | None = None  # The body, where all of it came with the head.
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # Raises `Broken`.
        self.on_end: Callable[[], None] = lambda: None  # Told once: nothing more comes of it.
        self._is_head, self._connection = method == "HEAD", connection
        self._parser = httptools.HttpResponseParser(self)
        self._silent_bytes = 0  # Since the last byte of a body.
        self._has_head = self._over = self._broke = False
        self._length_is_told = False
        self._pieces: deque[bytes] = deque()
        self.body_bytes = self._waiting_bytes = 0
        self._held_up = False
        self._news = asyncio.Event()

    # -- the parser --

    def on_message_begin(self) -> None:
        if self._over:  # Nobody asked for another.
            self._connection.reusable = False
        else:
            self.headers, self._length_is_told = [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._over or self._has_head:  # What follows a body in chunks is handed on to nobody.
            return
        lower = name.decode("latin-1").lower()
        self._length_is_told = self._length_is_told or lower in ("content-length", "transfer-encoding")
        if lower not in _OF_ONE_HOP:
            self.headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        if self._over:
            return
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= _FINAL
        if self._has_head and self._is_head:  # The parser would wait for the body that the head speaks of.
            self._over = True
            self._connection.reusable = False

    def on_body(self, body: bytes) -> None:
        if not self._over:
            self._pieces.append(body)
            self.body_bytes += len(body)
            self._waiting_bytes += len(body)

    def on_message_complete(self) -> None:
        self._over = self._over or self._has_head
        if not self._parser.should_keep_alive():
            self._connection.reusable = False

    # -- the connection --

    def feed(self, data: bytes) -> None:
        before = self.body_bytes
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._over:  # Else it is what a HEAD's parser makes of bytes that nobody waits for.
                self._fail()
                return
        self._silent_bytes = self._silent_bytes + len(data) if self.body_bytes == before else 0
        if self._silent_bytes > _SILENT_BYTES_MAX and not self._over:
            self._fail()
            return
        if not self._has_head:
            return
        if not self.begun.done():
            if self._over:
                self.whole = b"".join(self._pieces)
                self._pieces.clear()
            self.begun.set_result(None)
        self._news.set()
        if self._over:
            self._end()
        elif self._waiting_bytes > _WAITING_BYTES_MAX and not self._held_up:
            self._held_up = True
            self._connection.pause()

    def lost(self) -> None:
        if self._over:
            return
        if self._has_head and not self._length_is_told and self.status not in _WITHOUT_BODY:
            self._over = True  # A body without a length ends with its connection.
            self._news.set()
            self._end()
        else:
            self._fail()

    def _fail(self) -> None:
        self._broke = self._over = True
        self._news.set()
        self._connection.close()
        if not self.begun.done():
            self.begun.set_exception(Broken())
            self.begun.exception()  # Seen, even if nobody waits any more.
        self._end()

    def _end(self) -> None:
        told, self.on_end = self.on_end, lambda: None
        told()

    @property
    def over(self) -> bool:
        return self._over

    # -- whoever reads the body --

    async def next(self) -> bytes | None:
        """None at its end. Raises `Unfinished`."""
        while not self._pieces:
            if self._broke:
                raise Unfinished
            if self._over:
                return None
            self._news.clear()
            await self._news.wait()
        piece = self._pieces.popleft()
        self._waiting_bytes -= len(piece)
        if self._held_up and self._waiting_bytes <= _WAITING_BYTES_MAX // 2:
            self._held_up = False
            self._connection.resume()
        return piece

    def abandon(self) -> None:
        """Nobody waits for it any more: the instance sees its connection go."""
        if not self._over:
            self._fail()


class Body:
    """The pieces of a response, for one `async for`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._exchange.next()
        if piece is None:
            raise StopAsyncIteration
        return piece

    def __del__(self) -> None:
        self._exchange.abandon()


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.reusable = True
        self._exchange: Exchange | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own, of no common class.

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:  # Nobody asked.
            self.close()
        else:
            self._exchange.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        if self._exchange is not None:
            self._exchange.lost()

    def begin(self, request: HttpRequest) -> Exchange:
        self._exchange = exchange = Exchange(request.method, self)
        self._transport.write(_head(request))
        if request.body:
            self._transport.write(request.body)
        return exchange

    def done(self) -> None:
        """The exchange is over: another may follow."""
        self._exchange = None
        if not self.reusable:
            self.close()

    def pause(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        self.reusable = False
        self._transport.abort()


def _head(request: HttpRequest) -> bytes:
    lines = [f"{request.method} {request.target} HTTP/1.1"]
    for name, value in request.headers:
        if name.lower() not in _OF_ONE_HOP and name.lower() not in ("content-length", "expect"):
            lines.append(f"{name}: {value}")
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(request.body)}")
    text = "\r\n".join([_one_line(line) for line in lines])
    return f"{text}\r\n\r\n".encode("latin-1", "replace")


def _one_line(text: str) -> str:
    """What a client gave may not begin a header of its own."""
    return text.replace("\r", " ").replace("\n", " ") if "\r" in text or "\n" in text else text
