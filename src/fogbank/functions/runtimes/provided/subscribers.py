"""A subscriber of telemetry: events gathered, and delivered in batches to a port where its own environment listens, and
nowhere else."""

from __future__ import annotations

import asyncio
import errno
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from fogbank.functions.sandbox.peers import Peers

    Dropped = Callable[[int, int, str], None]

_HOST = "127.0.0.1"
_DELIVERY_S = 5.0
_BATCHES_WAITING = 4  # More of them, and the subscriber is too slow.
_SLOW = "Some logs were dropped because the downstream consumer is slower than the logs production rate"


@dataclass(frozen=True, slots=True)
class Batching:
    items_max: int
    bytes_max: int
    wait_s: float


class Subscriber:
    def __init__(
        self, protocol: str, port: int, path: str, batching: Batching, dropped: Dropped, peers: Peers
    ) -> None:  # fmt: skip
        self._protocol, self._port, self._path = protocol, port, path
        self._batching, self._dropped, self._peers = batching, dropped, peers
        self._lines: list[bytes] = []
        self._size = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._batches: asyncio.Queue[list[bytes]] = asyncio.Queue(_BATCHES_WAITING)
        self._line: asyncio.StreamWriter | None = None
        self._worker = self._loop.create_task(self._deliver_all())

    def add(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)
        if len(self._lines) >= self._batching.items_max or self._size >= self._batching.bytes_max:
            self._hand_over()
        elif self._timer is None:
            self._timer = self._loop.call_later(self._batching.wait_s, self._hand_over)

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, size = self._lines, self._size
        self._lines, self._size = [], 0
        if not lines:
            return
        try:
            self._batches.put_nowait(lines)
        except asyncio.QueueFull:
            self._dropped(len(lines), size, _SLOW)

    async def flush(self, timeout_s: float) -> None:
        """Deliver what is there, if that is possible in time."""
        self._hand_over()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._batches.join(), timeout_s)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._worker.cancel()
        if self._line is not None:
            self._line.close()

    async def _deliver_all(self) -> None:
        while True:
            lines = await self._batches.get()
            try:
                await asyncio.wait_for(self._deliver(lines), _DELIVERY_S)
            except (OSError, EOFError, LookupError, ValueError, asyncio.LimitOverrunError) as error:
                self._dropped(len(lines), sum(map(len, lines)), f"the subscriber did not take them: {error!r}")
            finally:
                self._batches.task_done()

    async def _deliver(self, lines: list[bytes]) -> None:
        if self._protocol == "TCP":
            await self._write_lines(lines)
        else:
            await self._post(b"[" + b",".join(lines) + b"]")

    async def _write_lines(self, lines: list[bytes]) -> None:
        """An event a line, on one connection for all of them."""
        if self._line is None or self._line.is_closing():
            _, self._line = await self._connected()
        async with _given_up_with(self._line):
            self._line.write(b"".join([line + b"\n" for line in lines]))
            await self._line.drain()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raises OSError; also where it is somebody else who listens, who may only have been quicker."""
        if not self._peers.listening((_HOST, self._port)):
            raise ConnectionRefusedError(errno.ECONNREFUSED, "nothing of this environment listens there")
        return await asyncio.open_connection(_HOST, self._port)

    async def _post(self, body: bytes) -> None:
        reader, writer = await self._connected()
        async with _given_up_with(writer):
            head = (
                f"POST {self._path} HTTP/1.1\r\nHost: sandbox.localdomain:{self._port}\r\nConnection: close\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            await writer.drain()
            status = int((await reader.readuntil(b"\n")).split()[1])
            if status >= 400:
                raise ValueError(f"status {status}")
        writer.close()


@asynccontextmanager
async def _given_up_with(line: asyncio.StreamWriter) -> AsyncIterator[None]:
    """A connection on which something goes wrong, or takes too long, ends with it, and what it has not yet taken is
    gone: else one that is never read would have the server keep all of it."""
    try:
        yield
    except BaseException:
        line.transport.abort()
        raise
