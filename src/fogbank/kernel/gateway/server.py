"""The listening side: accepts connections, hands each request to one `answer`, and ends in order."""

from __future__ import annotations

import asyncio
import errno
import time
import traceback
from typing import TYPE_CHECKING

from fogbank.kernel.errors import PortInUseError, StartError
from fogbank.kernel.gateway.connection import Connection
from fogbank.kernel.gateway.handing_over import HandedOver
from fogbank.kernel.gateway.heads import Heads
from fogbank.kernel.gateway.messages import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fogbank.kernel.gateway.handing_over import Connected, Speaker
    from fogbank.kernel.gateway.limits import Limits
    from fogbank.kernel.gateway.messages import Answer
    from fogbank.kernel.ids import Ids
    from fogbank.kernel.telemetry import Telemetry

_BACKLOG = 1024


class Gateway:
    def __init__(
        self, answer: Callable[[Request], Answer], limits: Limits, telemetry: Telemetry, ids: Ids,
        *, run_dir: Path, speaker: Callable[[], Speaker] | None = None,
    ) -> None:  # fmt: skip
        """`speaker` makes what speaks HTTP/2 on one connection; without one that is refused."""
        self.answer, self.limits, self.run_dir = answer, limits, run_dir
        self.heads = Heads()
        self.connections: set[Connected] = set()
        self._speaker = speaker
        self.stopping = False
        self._telemetry, self._ids = telemetry, ids
        self._server: asyncio.Server | None = None
        self._others: list[asyncio.Server] = []
        self._looking: asyncio.TimerHandle | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the answer is the port, for where 0 was asked. Raises `StartError`."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._connection, host, port, backlog=_BACKLOG)
        except OSError as error:
            kind = PortInUseError if error.errno == errno.EADDRINUSE else StartError
            raise kind(_why_not(error, host, port)) from error
        self._look_for_late_ones()
        return int(self._server.sockets[0].getsockname()[1])

    async def listen_also(self, host: str, port: int) -> bool:
        """On a second port, after `start`; False, and nothing done, where it cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            self._others.append(await loop.create_server(self._connection, host, port, backlog=_BACKLOG))
        except OSError:
            return False
        return True

    def _connection(self) -> Connection:
        return Connection(self, self._hand_over if self._speaker else None)

    def _hand_over(self, transport: asyncio.Transport, first: bytes) -> None:
        assert self._speaker is not None
        HandedOver(self, self._speaker(), transport).data_received(first)

    async def close(self) -> None:
        """Take no more, finish what is under way for a while, then end what is left."""
        self.stopping = True
        if self._looking is not None:
            self._looking.cancel()
        for server in (self._server, *self._others):
            if server is not None:
                server.close()
        for connection in list(self.connections):
            connection.close_when_idle()
        deadline = time.monotonic() + self.limits.stop_timeout_s
        while self.connections and time.monotonic() < deadline:  # noqa: ASYNC110  # Once, at the end: no event is worth it.
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.abort()

    def _look_for_late_ones(self) -> None:
        """As often as the shortest time-out asks for."""
        loop, limits = asyncio.get_running_loop(), self.limits
        now_s = loop.time()
        for connection in list(self.connections):
            connection.end_if_late(now_s)
        shortest_s = min(limits.header_timeout_s, limits.body_timeout_s, limits.idle_timeout_s)
        self._looking = loop.call_later(shortest_s / 8, self._look_for_late_ones)

    def failed(self, request: Request, error: Exception) -> Response:
        """A bug in whoever answers: logged whole, told in one line."""
        self._telemetry.error(
            "request failed", method=request.method, path=request.path, error=repr(error),
            stack="".join(traceback.format_exception(error)),
        )  # fmt: skip
        body = f"internal error; look for trace {request.trace_id} in fogbank's log\n".encode()
        return Response(500, [("content-type", "text/plain")], body)

    def unreadable(self, error: Exception) -> None:
        """What a peer sent on a connection that was handed over: its own fault, as far as one can tell."""
        self._telemetry.debug("a connection could not be read", error=repr(error))

    def new_id(self) -> str:
        return self._ids.new()

    def now_s(self) -> int:
        """For the Date header: the machine's own time, whatever the cloud's clock says."""
        return int(time.time())


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use by another program; choose another with --port, or 0 for any free one"
    if error.errno == errno.EACCES:
        return f"this user may not listen on port {port}; choose one above 1023 with --port"
    return f"cannot listen on {host}:{port}: {error.strerror or error}"
