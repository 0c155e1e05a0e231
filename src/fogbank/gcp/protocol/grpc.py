"""gRPC over HTTP/2: the calls of one connection. Frames and flow control are grpclib's; what a call is, is here.

Every call is a task. It ends with a status; or in silence, where its caller has gone or has given it up.
"""

from __future__ import annotations

import asyncio
import zlib
from contextlib import aclosing
from struct import Struct
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from google.protobuf.message import DecodeError
from grpclib.config import Configuration
from grpclib.metadata import decode_timeout, encode_bin_value
from grpclib.protocol import AbstractHandler, H2Protocol
from h2.config import H2Configuration
from h2.events import UnknownFrameReceived
from h2.exceptions import ProtocolError

from fogbank.gcp.protocol import statuses
from fogbank.gcp.protocol.gathering import Gathering
from fogbank.gcp.service import Code, RpcError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from google.protobuf.message import Message
    from grpclib.protocol import Stream

    from fogbank.gcp.protocol.door import Door, Served
    from fogbank.gcp.service import Call

    Headers = list[tuple[str, str]]

MESSAGE_MAX = (
    20 * 1024 * 1024
)  # More than the largest request that a service takes (Pub/Sub's 10 MB, Firestore's 10 MiB).
_PREFIX = Struct(">BI")  # Whether it is compressed, and its length ("Length-Prefixed-Message" of gRPC over HTTP/2).
_HEADERS = [(":status", "200"), ("content-type", "application/grpc")]
_H2 = H2Configuration(
    client_side=False, header_encoding="utf-8", validate_inbound_headers=False, validate_outbound_headers=False,
    normalize_inbound_headers=False, normalize_outbound_headers=False,
)  # fmt: skip
_CONFIGURATION = Configuration().__for_server__()
_MESSAGE_SAFE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


class Spoken(H2Protocol):
    """One HTTP/2 connection, as the gateway hands it over."""

    def __init__(self, door: Door) -> None:
        self._calls = Calls(door)
        super().__init__(self._calls, _CONFIGURATION, _H2)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.BaseTransport", Gathering(transport)))
        self._calls.ended = self.connection.close
        self.processor.processors[UnknownFrameReceived] = lambda _: None  # "Implementations MUST ignore" those.

    @property
    def busy(self) -> bool:
        return self._calls.busy

    def end(self) -> None:
        """Take no more; end once what is under way has ended. Streams end now, since by themselves they might not."""
        self._calls.end()


class Calls(AbstractHandler):
    """The calls under way on a connection."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._tasks: dict[Stream, asyncio.Task[None]] = {}
        self._streaming: set[Stream] = set()
        self._ending = False
        self.ended: Callable[[], None] = lambda: None

    @property
    def busy(self) -> bool:
        return bool(self._tasks)

    def accept(self, stream: Stream, headers: Headers, release_stream: Callable[[], None]) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(stream, headers))
        self._tasks[stream] = task

        def released(_: asyncio.Task[None]) -> None:
            self._tasks.pop(stream, None)
            self._streaming.discard(stream)
            release_stream()
            if self._ending and not self._tasks:
                self.ended()

        task.add_done_callback(released)

    def cancel(self, stream: Stream) -> None:
        if (task := self._tasks.get(stream)) is not None:
            task.cancel()

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    def end(self) -> None:
        self._ending = True
        for stream in self._streaming:
            self._tasks[stream].cancel()
        if not self._tasks:
            self.ended()

    async def _answer(self, stream: Stream, headers: Headers) -> None:
        exchange = Exchange(stream)
        try:
            await self._serve(exchange, _joined(headers))
            error = None
        except RpcError as told:
            error = told
        except asyncio.CancelledError:
            if not self._ending or not stream.closable:
                raise
            error = RpcError(Code.UNAVAILABLE, "The server is being shut down.")
        except (ProtocolError, ConnectionError):  # Whoever asked is gone.
            if stream.closable:
                raise
            return
        try:
            await exchange.finish(error)
        except (ProtocolError, ConnectionError):
            return

    async def _serve(self, exchange: Exchange, metadata: dict[str, str]) -> None:
        if metadata.get(":method") != "POST" or not metadata.get("content-type", "").startswith("application/grpc"):
            exchange.refused_http = "405" if metadata.get(":method") != "POST" else "415"
            raise RpcError(Code.UNKNOWN, "Over HTTP/2 only gRPC is spoken here.")
        exchange.encoding = metadata.get("grpc-encoding", "identity")
        served = self._door.find(metadata.get(":path", ""))
        peer = exchange.peer
        call = self._door.call(metadata, metadata.get(":authority", ""), peer)
        if served.method.takes_stream or served.method.gives_stream:
            self._streaming.add(exchange.stream)
        try:
            async with asyncio.timeout(_timeout_s(metadata)) as deadline:
                await self._exchange(exchange, served, call)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise RpcError(Code.DEADLINE_EXCEEDED, "Deadline exceeded.") from None

    async def _exchange(self, exchange: Exchange, served: Served, call: Call) -> None:
        method = served.method
        asked: Message | AsyncIterator[Message]
        if method.takes_stream:
            asked = exchange.requests(method.request)
            await exchange.begin()  # Many a client sends its first request only after the headers have come.
        else:
            asked = await exchange.request(method.request)
        if not method.gives_stream:
            await exchange.send(await self._door.answer(served, call, asked))
            return
        await exchange.begin()
        async with aclosing(self._door.answers(served, call, asked)) as answers:
            async for message in answers:
                await exchange.send(message)


class Exchange:
    """The messages of one call."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.encoding = "identity"
        self.refused_http = ""
        self._begun = False

    @property
    def peer(self) -> str:
        address = self.stream.connection.get_peer().addr()
        return str(address[0]) if address else ""

    async def request(self, kind: type[Message]) -> Message:
        """The only one. Raises `RpcError`."""
        raw = await self._read()
        if raw is None:
            raise RpcError(Code.INTERNAL, "The call has no request message.")
        return _decoded(kind, raw)

    async def requests(self, kind: type[Message]) -> AsyncIterator[Message]:
        while (raw := await self._read()) is not None:
            yield _decoded(kind, raw)

    async def _read(self) -> bytes | None:
        try:
            prefix = await self.stream.recv_data(_PREFIX.size)
            if not prefix:
                return None
            compressed, length = _PREFIX.unpack(prefix)
            if length > MESSAGE_MAX:
                raise _too_large(length)
            raw = await self.stream.recv_data(length)
        except AssertionError:  # Grpclib's way to say that the stream has ended within a message.
            raise RpcError(Code.INTERNAL, "The stream ended within a message.") from None
        return self._decompressed(raw) if compressed else raw

    def _decompressed(self, raw: bytes) -> bytes:
        if self.encoding != "gzip":
            raise RpcError(
                Code.UNIMPLEMENTED, f"grpc: Decompressor is not installed for grpc-encoding {self.encoding!r}"
            )
        unpacking = zlib.decompressobj(wbits=31)
        try:
            whole = unpacking.decompress(raw, MESSAGE_MAX)
        except zlib.error as error:
            raise RpcError(Code.INTERNAL, f"grpc: failed to decompress the received message: {error}") from error
        if unpacking.unconsumed_tail:
            raise _too_large(MESSAGE_MAX + 1)
        return whole

    async def begin(self) -> None:
        if not self._begun:
            self._begun = True
            await self.stream.send_headers([*_HEADERS, ("grpc-accept-encoding", "identity,gzip")])

    async def send(self, message: Message) -> None:
        await self.begin()
        raw = message.SerializeToString()
        await self.stream.send_data(_PREFIX.pack(0, len(raw)) + raw)

    async def finish(self, error: RpcError | None) -> None:
        headers = [] if self._begun else [*_HEADERS]
        if self.refused_http:
            headers[0] = (":status", self.refused_http)
        headers += [("grpc-status", "0")] if error is None else _trailers(error)
        await self.stream.send_headers(headers, end_stream=True)
        if self.stream.closable:  # What the caller may still have to say, nobody hears.
            self.stream.reset_nowait()


def _trailers(error: RpcError) -> Headers:
    trailers = [("grpc-status", str(int(error.code))), ("grpc-message", quote(error.message, safe=_MESSAGE_SAFE))]
    if error.details:
        raw = statuses.status(error).SerializeToString()
        trailers.append(("grpc-status-details-bin", encode_bin_value(raw).decode()))
    return trailers


def _joined(headers: Headers) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _timeout_s(metadata: dict[str, str]) -> float | None:
    told = metadata.get("grpc-timeout")
    if told is None:
        return None
    try:
        return float(decode_timeout(told))
    except ValueError:
        raise RpcError(Code.INTERNAL, f"The header grpc-timeout is no time: {told[:64]}") from None


def _decoded(kind: type[Message], raw: bytes) -> Message:
    try:
        return kind.FromString(raw)
    except DecodeError:
        raise RpcError(Code.INTERNAL, f"The request is no {kind.DESCRIPTOR.full_name}.") from None


def _too_large(length: int) -> RpcError:
    text = f"Received message larger than max ({length} vs. {MESSAGE_MAX})"
    return RpcError(Code.RESOURCE_EXHAUSTED, text)
