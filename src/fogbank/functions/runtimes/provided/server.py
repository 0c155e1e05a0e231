"""A port on this machine for each execution environment: who speaks there is its runtime, or an extension of it.

AWS_LAMBDA_RUNTIME_API is a host and a port, and requests carry no name of the instance they come from: so each instance
has a port of its own. All of this machine reach it, and only processes of the environment are answered. The HTTP is the
gateway's.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

from fogbank.kernel.gateway import Limits
from fogbank.kernel.gateway.connection import Connection
from fogbank.kernel.gateway.heads import Heads
from fogbank.kernel.gateway.messages import Pending, Response

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fogbank.functions.sandbox.peers import Peers
    from fogbank.kernel.gateway.messages import Answer, Request
    from fogbank.kernel.telemetry import Telemetry

    Answering: TypeAlias = "Callable[[Line, Request], Answer]"

_HOST = "127.0.0.1"
_BACKLOG = 1024  # Strangers stand in it, too, until they are sent away.
_LINES_MAX = 128  # Connections of one environment.
# A process is found among others while they begin and end, and one that was just started is perhaps not told of yet.
_LOOKS, _LOOK_AGAIN_S = 6, 0.02
_AT_THE_DOOR_MAX = 16
# Lambda quotas, "Invocation payload": 200 MB for a streamed response. One byte more comes in, to be refused by name.
STREAM_BYTES_MAX = 200 * 1024 * 1024
_HEADS_MAX = 8  # All but the polls name an event, and come once.
_STREAM_S = 15 * 60.0  # A stream may wait between two pieces for as long as a function may run.
_LIMITS = Limits(body_bytes=STREAM_BYTES_MAX + 1, in_memory_bytes=8 * 1024 * 1024, body_timeout_s=_STREAM_S)
_FULL = Limits(connections=0)


class Line:
    """One connection, as the gateway's `Connection` sees the host that it belongs to; it knows whether it is open."""

    stopping = False

    def __init__(self, server: ApiServer, limits: Limits) -> None:
        self.limits, self.run_dir, self.heads = limits, server.run_dir, server.heads
        self.connections: set[Connection] = set()
        self._server = server

    @property
    def open(self) -> bool:
        return bool(self.connections)

    def answer(self, request: Request) -> Answer:
        return self._server.answering(self, request)

    def failed(self, request: Request, error: Exception, /) -> Response:
        stack = "".join(traceback.format_exception(error))
        self._server.telemetry.error("runtime API request failed", path=request.path, error=repr(error), stack=stack)
        return Response(500, [("content-type", "application/json")], _INTERNAL)

    def new_id(self) -> str:
        return ""

    def now_s(self) -> int:
        """For the Date header: the machine's own time, as everything here."""
        return int(time.time())


_INTERNAL = b'{"errorMessage":"Internal Server Error","errorType":"InternalServerError"}'


class ApiServer:
    def __init__(
        self, answering: Answering, run_dir: Path, telemetry: Telemetry, peers: Peers, function: str
    ) -> None:  # fmt: skip
        """`peers`: the processes of the environment; `function`: whose it is."""
        self.answering, self.run_dir, self.telemetry, self.peers = answering, run_dir, telemetry, peers
        self.heads = Heads(_HEADS_MAX)
        self.waiting: set[Door] = set()
        self._function, self._turned_away = function, False
        self._lines: list[Line] = []
        self._server: asyncio.Server | None = None

    async def open(self) -> str:
        """Listen; the answer is host:port."""
        self._server = await asyncio.get_running_loop().create_server(lambda: Door(self), _HOST, 0, backlog=_BACKLOG)
        return f"{_HOST}:{self._port()}"

    def connection(self) -> Connection:
        self._lines = [line for line in self._lines if line.open]
        line = Line(self, _LIMITS if len(self._lines) < _LINES_MAX else _FULL)
        self._lines.append(line)
        return Connection(line)

    def turn_away(self, address: object) -> None:
        """Told the first time: it may be somebody who tries them all."""
        if not self._turned_away:
            self._turned_away = True
            self.telemetry.info(
                "a stranger at an instance's port", function=self._function, port=self._port(), peer=address
            )  # fmt: skip

    def _port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1]) if self._server and self._server.sockets else 0

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for door in list(self.waiting):
            door.shut()
        for line in self._lines:
            for connection in list(line.connections):
                connection.abort()


class Door(asyncio.Protocol):
    """A connection before anybody has been let in. A stranger is sent away without a word, as on Lambda, where no other
    function's API can be reached: nothing of what it says is read, and it learns nothing of whose port this is."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._looks_left = _LOOKS
        self._said: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # Uvloop's are of no common class.
        self._look()

    def data_received(self, data: bytes) -> None:
        """What was on its way before the reading stopped."""
        self._said.append(data)
        self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.waiting.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def shut(self) -> None:
        self._transport.abort()

    def _look(self) -> None:
        self._looks_left -= 1
        peer, own = (self._transport.get_extra_info(end) for end in ("peername", "sockname"))
        if peer is None:  # It is gone already.
            self._transport.abort()
        elif self._server.peers.connected(peer, own):
            self._let_in()
        elif self._looks_left and self._may_wait():
            self._server.waiting.add(self)
            self._timer = asyncio.get_running_loop().call_later(_LOOK_AGAIN_S, self._look)
        else:
            self._server.turn_away(peer)
            self._transport.abort()

    def _may_wait(self) -> bool:
        return self in self._server.waiting or len(self._server.waiting) < _AT_THE_DOOR_MAX

    def _let_in(self) -> None:
        self._server.waiting.discard(self)
        connection = self._server.connection()
        self._transport.set_protocol(connection)
        connection.connection_made(self._transport)
        if self._said:
            connection.data_received(b"".join(self._said))
            self._transport.resume_reading()


@dataclass(slots=True)
class Poll:
    """Somebody who asks for the next event, for as long as it takes."""

    line: Line
    pending: Pending

    @classmethod
    def of(cls, line: Line) -> Poll:
        return cls(line, Pending())

    def give(self, event: Response) -> bool:
        """False if whoever asked has gone."""
        if not self.line.open:
            return False
        self.pending.tell(lambda: event)
        return True
