"""One HTTP/1.1 connection: bytes in, requests in order, answers in the same order.

The parser is httptools'; what it leaves to its user is here: limits, framing that cannot be read in two ways,
`Expect: 100-continue`, pipelining, time-outs, and a peer that reads slowly or goes away.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Protocol, cast

import httptools

from fogbank.kernel.gateway.body import Body
from fogbank.kernel.gateway.messages import Request, Response
from fogbank.kernel.gateway.writing import head, length_of, write_long
from fogbank.kernel.telemetry import amzn_trace, current_trace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from fogbank.kernel.gateway.limits import Limits

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_LINGER_S = 1.0  # How long a refused caller may go on sending, to nobody.
_HTTP2_PREFACE = b"PRI * HTTP/2.0"
_PIPELINED_MAX = 64


class _Refused(Exception):
    """This request is not served; the connection ends with the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Host(Protocol):
    """What a connection is told by the gateway that it belongs to."""

    limits: Limits
    run_dir: Path
    connections: set[Connection]
    stopping: bool

    @property
    def answer(self) -> Callable[[Request], Awaitable[Response]]: ...
    def failed(self, request: Request, error: Exception, /) -> Response: ...
    def new_trace(self) -> str: ...
    def now_s(self) -> int: ...


class Connection(asyncio.Protocol):
    def __init__(self, gateway: Host) -> None:
        self._gateway, self._limits = gateway, gateway.limits
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: list[tuple[Request, bool]] = []  # Requests and whether each keeps the connection.
        self._worker: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._first = True
        self._paused = False

    # -- the connection ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # Uvloop's are of no common class.
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        self._gateway.connections.add(self)
        if len(self._gateway.connections) > self._limits.connections:
            self._refuse(_Refused(503, "too many connections"))
            return
        self._wait_at_most(self._limits.idle_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._stop_timer()
        self._gateway.connections.discard(self)
        self._writable.set()  # Whoever writes finds the connection closing.
        self._waiting.clear()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._first:
            self._first = False
            if data.startswith(_HTTP2_PREFACE[: len(data)]) and len(data) >= 4:
                self._refuse(_Refused(505, "HTTP/2 is not spoken here"))
                return
            self._wait_at_most(self._limits.header_timeout_s)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(_Refused(501, "this server upgrades no connections"))
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if isinstance(cause, OSError):  # A long body waits in a file, and there is no room for it.
                cause = _Refused(503, f"the body cannot be kept until it is whole: {cause.strerror}")
            refused = cause if isinstance(cause, _Refused) else _Refused(400, "the request cannot be read")
            self._refuse(refused, sending=True)
        except httptools.HttpParserError as error:
            self._refuse(_Refused(400, f"the request is not HTTP/1.1: {error}"))

    # -- the parser's callbacks -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: list[tuple[str, str]] = []
        self._named: dict[str, str] = {}
        self._header_bytes = 0
        self._body: Body | None = None
        self._wait_at_most(self._limits.header_timeout_s)

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        if len(self._headers) >= self._limits.header_count:
            raise _Refused(431, f"more than {self._limits.header_count} headers")
        text, content = name.decode("latin-1"), value.decode("utf-8", "surrogateescape")
        self._headers.append((text, content))
        key = text.lower()
        if key in self._named:
            if key in ("content-length", "host", "transfer-encoding"):
                raise _Refused(400, f"the header {key} came twice")
            content = f"{self._named[key]}, {content}"
        self._named[key] = content

    def on_headers_complete(self) -> None:
        named = self._named
        coding = named.get("transfer-encoding")
        if coding is not None and ("content-length" in named or coding.lower() != "chunked"):
            raise _Refused(400, "the length of the body is told in two ways or in an unknown one")
        length = named.get("content-length")
        if length is not None and int(length) > self._limits.body_bytes:
            raise _Refused(413, f"the body is larger than {self._limits.body_bytes} bytes")
        if "host" not in named and self._parser.get_http_version() == "1.1":
            raise _Refused(400, "the header host is missing")
        if named.get("expect", "").lower() == "100-continue" and not self._worker and not self._waiting:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if (length is not None and length != "0") or coding is not None:
            self._body = Body(self._gateway.run_dir, self._limits.in_memory_bytes)
            self._wait_at_most(self._limits.body_timeout_s)

    def on_body(self, piece: bytes) -> None:
        assert self._body is not None
        self._body.add(piece)
        if self._body.length > self._limits.body_bytes:
            raise _Refused(413, f"the body is larger than {self._limits.body_bytes} bytes")
        if self._body.length > self._limits.in_memory_bytes:
            self._wait_at_most(self._limits.body_timeout_s)

    def on_message_complete(self) -> None:
        self._stop_timer()
        path, _, query = self._url.decode("utf-8", "surrogateescape").partition("?")
        if not path.startswith("/"):  # "GET http://host/path" is a proxy's form; "*" is OPTIONS'.
            path = "/" + path.partition("://")[2].partition("/")[2] if "://" in path else path
        request = Request(
            self._parser.get_method().decode(), path, query.partition("#")[0], self._named, self._headers,
            self._body.content() if self._body else b"", self._peer, _trace(self._named) or self._gateway.new_trace(),
        )  # fmt: skip
        self._body = None
        self._waiting.append((request, self._parser.should_keep_alive()))
        if self._worker is None:
            self._worker = self._loop.create_task(self._work())
        elif len(self._waiting) >= _PIPELINED_MAX and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    # -- answering --------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Answer what waits, one after the other."""
        try:
            while self._waiting and not self._closing:
                request, keep = self._waiting.pop(0)
                if self._paused and len(self._waiting) < _PIPELINED_MAX // 2:
                    self._paused = False
                    self._transport.resume_reading()
                current_trace.set(request.trace_id)
                try:
                    response = await self._gateway.answer(request)
                except Exception as error:  # The outermost boundary: a bug costs one answer, not the server.
                    response = self._gateway.failed(request, error)
                await self._send(request, response, keep=keep and not self._gateway.stopping)
        finally:
            self._worker = None
            if not self._closing:
                self._wait_at_most(self._limits.idle_timeout_s)

    async def _send(self, request: Request, response: Response, *, keep: bool) -> None:
        if self._closing:
            return
        body, length, bodiless = response.body, length_of(response), request.method == "HEAD"
        chunked = length is None and not bodiless and self._parser.get_http_version() == "1.1"
        keep = keep and (length is not None or chunked or bodiless)
        first = head(response, length, now_s=self._gateway.now_s(), close=not keep, chunked=chunked)
        if isinstance(body, bytes) or bodiless:
            self._transport.write(first if bodiless else first + body)  # type: ignore[operator]
            if not self._writable.is_set():
                await self._writable.wait()
        else:
            try:
                await write_long(self, response, first, chunked=chunked)
            except Exception as error:  # The head is sent: all that is left is to end the connection unfinished.
                self._gateway.failed(request, error)
                self._transport.abort()
                return
        if not keep:
            self._closing = True
            self._transport.close()

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    async def drain(self) -> None:
        await self._writable.wait()
        if self._closing:
            raise ConnectionResetError("the peer went away")

    def close_when_idle(self) -> None:
        """The gateway stops: end now if nothing is under way, else after the answer."""
        if self._worker is None and not self._closing:
            self._closing = True
            self._transport.close()

    def abort(self) -> None:
        self._closing = True
        self._transport.abort()

    # -- limits -----------------------------------------------------------------------------------------------------

    def _count(self, header_bytes: int) -> None:
        self._header_bytes += header_bytes
        if self._header_bytes > self._limits.header_bytes:
            raise _Refused(431, f"the headers are larger than {self._limits.header_bytes} bytes")

    def _refuse(self, refused: _Refused, *, sending: bool = False) -> None:
        """Answers before it go out first, if any are under way; then the connection ends."""
        self._stop_timer()
        response = Response(refused.status, [("content-type", "text/plain")], f"{refused.reason}\n".encode())
        first = head(response, length_of(response), now_s=self._gateway.now_s(), close=True, chunked=False)
        self._closing = self._worker is None
        if self._worker is None:
            assert isinstance(response.body, bytes)
            self._transport.write(first + response.body)
            if sending:  # Closed with bytes on their way in, the connection would be reset and the answer lost with it.
                self._transport.write_eof()
                self._loop.call_later(_LINGER_S, self._transport.close)
            else:
                self._transport.close()
        else:
            self._transport.pause_reading()
            self._worker.add_done_callback(lambda _: self._transport.close())

    def _wait_at_most(self, seconds: float) -> None:
        self._stop_timer()
        if not self._closing:
            self._timer = self._loop.call_later(seconds, self._time_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        if self._worker is None:
            self._refuse(_Refused(408, "the request took too long to arrive"))


def _trace(headers: dict[str, str]) -> str:
    """The trace that the caller is in, if it says so: W3C's header, or AWS's."""
    given = headers.get("traceparent")
    if given and (found := _TRACEPARENT.fullmatch(given)):
        return found[1]
    given = headers.get("x-amzn-trace-id")
    return amzn_trace(given) if given else ""
