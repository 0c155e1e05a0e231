"""One HTTP/1.1 connection: bytes in, requests in order, answers in the same order.

The parser is httptools'; what it leaves to its user is here: limits, framing that cannot be read in two ways,
`Expect: 100-continue`, pipelining, time-outs, and a peer that reads slowly or goes away.

An answer that is `Ready` or told later (`Pending`) goes out without a task and without another turn of the event loop;
only what must be awaited becomes a task.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

import httptools

from fogbank.kernel.gateway.body import Body
from fogbank.kernel.gateway.heads import head_of, header_name
from fogbank.kernel.gateway.messages import Pending, Ready, Request, Response, Unfinished
from fogbank.kernel.gateway.writing import head_bytes, length_of, write_long
from fogbank.kernel.telemetry import current_trace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from fogbank.kernel.gateway.heads import Head, Heads
    from fogbank.kernel.gateway.limits import Limits
    from fogbank.kernel.gateway.messages import Answer
    from fogbank.kernel.store import StoreError

_LINGER_S = 1.0  # How long a refused caller may go on sending, to nobody.
_HTTP2_PREFACE = b"PRI * HTTP/2.0"
_PIPELINED_MAX = 64
_NEVER: Final = float("inf")
_BODILESS: Final = frozenset((204, 304))
_ONCE: Final = frozenset(("content-length", "host", "transfer-encoding"))


class _Refused(Exception):
    """This request is not served; the connection ends with the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Host(Protocol):
    """What a connection is told by the gateway that it belongs to."""

    limits: Limits
    heads: Heads
    run_dir: Path
    connections: set[Any]  # Those that are handed over among them.
    stopping: bool

    @property
    def answer(self) -> Callable[[Request], Answer]: ...
    def failed(self, request: Request, error: Exception, /) -> Response: ...
    def new_id(self) -> str: ...
    def now_s(self) -> int: ...


_Job: TypeAlias = "tuple[Request, Awaitable[Response], bool]"


class Connection(asyncio.Protocol):
    def __init__(self, gateway: Host, hand_over: Callable[[asyncio.Transport, bytes], None] | None = None) -> None:
        """`hand_over` takes a transport on which HTTP/2 is spoken, and its first bytes."""
        self._over = hand_over
        self._gateway, self._limits, self._heads = gateway, gateway.limits, gateway.heads
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, bool]] = deque()  # Requests and whether each keeps the connection.
        self._busy = False  # An answer is under way.
        self._worker: asyncio.Task[None] | None = None  # Waits for answers; made when the first must be waited for.
        self._job: asyncio.Future[_Job] | None = None  # What the worker waits for while it has none.
        self._sender: asyncio.Task[None] | None = None  # Of a body that cannot go out at once.
        self._writable = asyncio.Event()
        self._writable.set()
        self._deadline_s = _NEVER  # By the loop's clock: what the peer owes us must have come by then.
        self._closing = False
        self._owes_go_on = False
        self._deaf = False  # What comes now is not read: what came before it is still answered.
        self._first = True
        self._between = True  # The parser is at the beginning of a request.
        self._whole: bytes | None = None  # What came, if it began there: one request, perhaps.
        self._is_11 = True  # The last request that came is of HTTP/1.1.
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
        self._deadline_s = self._loop.time() + self._limits.idle_timeout_s

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._gateway.connections.discard(self)
        self._writable.set()  # Whoever writes finds the connection closing.
        self._waiting.clear()
        if self._job is not None:
            self._job.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        if self._closing or self._deaf:
            return
        if self._first:
            self._first = False
            if data.startswith(_HTTP2_PREFACE[: len(data)]) and len(data) >= 4:
                self._hand_over_connection(data)
                return
            self._deadline_s = self._loop.time() + self._limits.header_timeout_s
        self._whole = None
        if self._between:
            known = self._heads.find(data)
            if known is not None:
                self._deadline_s = _NEVER
                self._ask(*known)
                return
            self._whole = data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # No connection is upgraded: the request is answered, and that is the last.
            self._deaf = True
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if isinstance(cause, OSError):  # A long body waits in a file, and there is no room for it.
                cause = _Refused(503, f"the body cannot be kept until it is whole: {cause.strerror}")
            refused = cause if isinstance(cause, _Refused) else _Refused(400, "the request cannot be read")
            self._refuse(refused, sending=True)
        except httptools.HttpParserError as error:
            self._refuse(_Refused(400, f"the request is not HTTP/1.1: {error}"))

    def _hand_over_connection(self, data: bytes) -> None:
        """To whoever speaks HTTP/2 here, with prior knowledge: no request of HTTP/1.1 begins so."""
        if self._over is None:
            self._refuse(_Refused(505, "HTTP/2 is not spoken here"))
            return
        self._closing = True  # For this one there is nothing more to come.
        self._gateway.connections.discard(self)
        self._over(self._transport, data)

    # -- the parser's callbacks -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._between = False
        self._url = b""
        self._headers: list[tuple[str, str]] = []
        self._named: dict[str, str] = {}
        self._header_bytes = 0
        self._body: Body | None = None
        self._deadline_s = self._loop.time() + self._limits.header_timeout_s

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > self._limits.header_bytes:
            self._count(0)
        if len(self._headers) >= self._limits.header_count:
            raise _Refused(431, f"more than {self._limits.header_count} headers")
        text, key = header_name(name)
        content = value.decode("utf-8", "surrogateescape")
        self._headers.append((text, content))
        named = self._named
        if key in named:
            if key in _ONCE:
                raise _Refused(400, f"the header {key} came twice")
            content = f"{named[key]}, {content}"
        named[key] = content

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
        if "expect" in named and named["expect"].lower() == "100-continue":
            self._owes_go_on = True
            self._let_go_on()
        if (length is not None and length != "0") or coding is not None:
            self._body = Body(self._gateway.run_dir, self._limits.in_memory_bytes)
            self._deadline_s = self._loop.time() + self._limits.body_timeout_s

    def on_body(self, piece: bytes) -> None:
        assert self._body is not None
        self._body.add(piece)
        if self._body.length > self._limits.body_bytes:
            raise _Refused(413, f"the body is larger than {self._limits.body_bytes} bytes")
        if self._body.length > self._limits.in_memory_bytes:
            self._deadline_s = self._loop.time() + self._limits.body_timeout_s

    def on_message_complete(self) -> None:
        self._deadline_s = _NEVER
        parser, named = self._parser, self._named
        head = head_of(
            parser.get_method().decode(), self._url, named, self._headers,
            keep=parser.should_keep_alive() and "upgrade" not in named, is_11=parser.get_http_version() == "1.1",
        )  # fmt: skip
        body = self._body.content() if self._body else b""
        self._body = None
        self._owes_go_on = False
        self._between = head.keep  # After the last one the parser takes none.
        if self._whole is not None:
            self._heads.remember(self._whole, head, body)
            self._whole = None
        self._ask(head, body)

    # -- answering --------------------------------------------------------------------------------------------------

    def _ask(self, head: Head, body: bytes | memoryview) -> None:
        """A request has come: it is answered now, or after those before it."""
        request_id, keep = self._gateway.new_id(), head.keep
        request = Request(
            head.method, head.path, head.query, head.headers, head.raw_headers, body, self._peer, request_id,
            head.trace_id or request_id.replace("-", ""),
        )  # fmt: skip
        self._is_11 = head.is_11
        if not self._busy:
            self._take(request, keep)
            return
        self._waiting.append((request, keep))
        if len(self._waiting) >= _PIPELINED_MAX and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _take(self, request: Request, keep: bool) -> None:  # noqa: FBT001
        """Answer it, and what waits behind it, as far as that needs no waiting."""
        self._busy = True
        while True:
            current_trace.set(request.trace_id)
            try:
                answer = self._gateway.answer(request)
            except Exception as error:  # The outermost boundary: a bug costs one answer, not the server.
                answer = Ready(self._gateway.failed(request, error))
            if type(answer) is Pending:
                answer.then(partial(self._told, request, keep))
                return
            if type(answer) is not Ready:
                self._hand_over((request, answer, keep))  # type: ignore[arg-type]  # The other kind of an `Answer`.
                return
            if answer.until is not None:
                answer.until.then(partial(self._settled, request, answer, keep))
                return
            if not self._send(request, answer.response, keep) or not self._waiting:
                return
            request, keep = self._next()

    def _settled(self, request: Request, answer: Ready, keep: bool, error: StoreError | None) -> None:  # noqa: FBT001
        response = answer.response
        if error is not None:
            response = answer.lost(error) if answer.lost else self._gateway.failed(request, error)
        if self._send(request, response, keep) and self._waiting:
            self._take(*self._next())

    def _told(self, request: Request, keep: bool, make: Callable[[], Response]) -> None:  # noqa: FBT001
        current_trace.set(request.trace_id)
        try:
            response = make()
        except Exception as error:
            response = self._gateway.failed(request, error)
        if self._send(request, response, keep) and self._waiting:
            self._take(*self._next())

    def _hand_over(self, job: _Job) -> None:
        """To the worker, of which each connection has one: a task for every request would cost a tenth of its way."""
        if self._job is None:
            self._worker = self._loop.create_task(self._work(job))
        else:
            self._job.set_result(job)
            self._job = None

    async def _work(self, job: _Job) -> None:
        while True:
            request, answer, keep = job
            current_trace.set(request.trace_id)
            try:
                response = await answer
            except Exception as error:
                response = self._gateway.failed(request, error)
            next_job = self._job = self._loop.create_future()  # First: the next one may be there already.
            if self._send(request, response, keep) and self._waiting:
                self._take(*self._next())
            if self._closing:
                return
            job = await next_job

    def _next(self) -> tuple[Request, bool]:
        if self._paused and len(self._waiting) < _PIPELINED_MAX // 2:
            self._paused = False
            self._transport.resume_reading()
        return self._waiting.popleft()

    def _send(self, request: Request, response: Response, keep: bool) -> bool:  # noqa: FBT001
        """Whether the next one may be taken now; else that follows by itself, or nothing does."""
        if self._closing:
            return False
        bodiless = request.method == "HEAD" or response.status in _BODILESS
        keep = keep and not self._gateway.stopping and not (self._deaf and not self._waiting)
        try:
            length = length_of(response)
            chunked = length is None and not bodiless and self._is_11
            keep = keep and (length is not None or chunked or bodiless)
            first = head_bytes(response, length, now_s=self._gateway.now_s(), close=not keep, chunked=chunked)
        except Exception as error:  # A file that is gone, a header that is no text: this answer alone is lost.
            response, keep, bodiless, chunked = self._gateway.failed(request, error), False, False, False
            first = head_bytes(response, length_of(response), now_s=self._gateway.now_s(), close=True, chunked=False)
        body = response.body
        if type(body) is bytes or bodiless:
            self._transport.write(first if bodiless else first + body)  # type: ignore[operator]
            if not self._writable.is_set():
                self._sender = self._loop.create_task(self._go_on_when_writable(keep))
                return False
            return self._sent(keep)
        self._sender = self._loop.create_task(self._send_long(request, response, first, keep, chunked=chunked))
        return False

    async def _go_on_when_writable(self, keep: bool) -> None:  # noqa: FBT001
        await self._writable.wait()
        self._go_on(keep)

    async def _send_long(
        self, request: Request, response: Response, first: bytes, keep: bool, *, chunked: bool  # noqa: FBT001
    ) -> None:  # fmt: skip
        try:
            await write_long(self, response, first, chunked=chunked)
        except Unfinished:  # What came before it still goes out.
            self._closing = True
            self._transport.close()
            return
        except Exception as error:  # The head is sent: all that is left is to end the connection unfinished.
            self._gateway.failed(request, error)
            self.abort()
            return
        self._go_on(keep)

    def _go_on(self, keep: bool) -> None:  # noqa: FBT001
        if not self._closing and self._sent(keep) and self._waiting:
            self._take(*self._next())

    def _sent(self, keep: bool) -> bool:  # noqa: FBT001
        if not keep:
            self._closing = True
            self._transport.close()
            return False
        if not self._waiting:
            self._busy = False
            if self._owes_go_on:
                self._let_go_on()
            else:
                self._deadline_s = self._loop.time() + self._limits.idle_timeout_s
        return True

    def _let_go_on(self) -> None:
        """A caller that waits to be told so before it sends its body; after the answers that come first."""
        if not self._busy:
            self._owes_go_on = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._deadline_s = self._loop.time() + self._limits.body_timeout_s

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    async def drain(self) -> None:
        await self._writable.wait()
        if self._closing:
            raise ConnectionResetError("the peer went away")

    def close_when_idle(self) -> None:
        """The gateway stops: end now if nothing is under way, else after the answer."""
        if not self._busy and not self._closing:
            self._closing = True
            self._transport.close()

    def abort(self) -> None:
        self._closing = True
        self._transport.abort()

    # -- limits -----------------------------------------------------------------------------------------------------

    def end_if_late(self, now_s: float) -> None:
        """Asked by the gateway again and again: cheaper than a timer for every request."""
        if now_s >= self._deadline_s and not self._busy and not self._closing:
            self._refuse(_Refused(408, "the request took too long to arrive"))

    def _count(self, header_bytes: int) -> None:
        self._header_bytes += header_bytes
        if self._header_bytes > self._limits.header_bytes:
            raise _Refused(431, f"the headers are larger than {self._limits.header_bytes} bytes")

    def _refuse(self, refused: _Refused, *, sending: bool = False) -> None:
        """Answers before it go out first, if any are under way; then the connection ends."""
        self._deadline_s = _NEVER
        if self._busy:
            self._deaf = True
            self._transport.pause_reading()
            return
        self._closing = True
        response = Response(refused.status, [("content-type", "text/plain")], f"{refused.reason}\n".encode())
        first = head_bytes(response, length_of(response), now_s=self._gateway.now_s(), close=True, chunked=False)
        assert isinstance(response.body, bytes)
        self._transport.write(first + response.body)
        if sending:  # Closed with bytes on their way in, the connection would be reset and the answer lost with it.
            self._transport.write_eof()
            self._loop.call_later(_LINGER_S, self._transport.close)
        else:
            self._transport.close()
