"""A port on this machine for each execution environment: who speaks there is its runtime, or an extension of it.

AWS_LAMBDA_RUNTIME_API is a host and a port, and requests carry no name of the instance they come from: so each instance
has a port of its own. The HTTP is the gateway's.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from fogbank.kernel.gateway import Limits
from fogbank.kernel.gateway.connection import Connection
from fogbank.kernel.gateway.heads import Heads
from fogbank.kernel.gateway.messages import Pending, Response

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fogbank.kernel.gateway.messages import Answer, Request
    from fogbank.kernel.telemetry import Telemetry

    Answering: TypeAlias = "Callable[[Line, Request], Answer]"

_HOST = "127.0.0.1"
_BACKLOG = 64
_LINES_MAX = 128  # Connections of one environment.
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
    def __init__(self, answering: Answering, run_dir: Path, telemetry: Telemetry) -> None:
        self.answering, self.run_dir, self.telemetry = answering, run_dir, telemetry
        self.heads = Heads(_HEADS_MAX)
        self._lines: list[Line] = []
        self._server: asyncio.Server | None = None

    async def open(self) -> str:
        """Listen; the answer is host:port."""
        self._server = await asyncio.get_running_loop().create_server(self._connected, _HOST, 0, backlog=_BACKLOG)
        return f"{_HOST}:{self._server.sockets[0].getsockname()[1]}"

    def _connected(self) -> Connection:
        self._lines = [line for line in self._lines if line.open]
        line = Line(self, _LIMITS if len(self._lines) < _LINES_MAX else _FULL)
        self._lines.append(line)
        return Connection(line)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for line in self._lines:
            for connection in list(line.connections):
                connection.abort()


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
