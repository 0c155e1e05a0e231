"""The limit of HTTP → function: this project's gateway, which hands each body through a socket pair to a Python process
that sends it back, and does nothing else. Run by `bench.http` as a process of its own: `python -m bench.limit PORT`.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import uvloop

from fogbank.kernel.clock import Clock
from fogbank.kernel.gateway import Gateway, Limits
from fogbank.kernel.gateway.messages import Request, Response
from fogbank.kernel.ids import Ids
from fogbank.kernel.telemetry import Telemetry

_ECHO = "import socket\ns = socket.socket(fileno={})\nwhile d := s.recv(65536): s.sendall(d)"


class _Pair(asyncio.Protocol):
    """One echo process; one body is on its way at a time."""

    def __init__(self) -> None:
        self.waiter: asyncio.Future[bytes] | None = None
        self.missing, self.pieces = 0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.pieces += data
        self.missing -= len(data)
        if self.missing <= 0 and self.waiter is not None:
            self.waiter.set_result(self.pieces)

    async def ask(self, body: bytes) -> bytes:
        self.waiter, self.missing, self.pieces = asyncio.get_running_loop().create_future(), len(body), b""
        self.transport.write(body)  # type: ignore[attr-defined]  # A socket's transport.
        return await self.waiter


async def main(port: int) -> None:
    idle: list[_Pair] = []

    async def pair() -> _Pair:
        ours, theirs = socket.socketpair()
        program = _ECHO.format(theirs.fileno())
        subprocess.Popen([sys.executable, "-S", "-c", program], pass_fds=[theirs.fileno()])
        theirs.close()
        return (await asyncio.get_running_loop().connect_accepted_socket(_Pair, ours))[1]

    async def answer(request: Request) -> Response:
        one = idle.pop() if idle else await pair()
        body = await one.ask(bytes(request.body) or b"-")
        idle.append(one)
        return Response(200, [("content-type", "application/json")], body)

    clock = Clock()
    gateway = Gateway(answer, Limits(), Telemetry(clock), Ids(clock), run_dir=Path(tempfile.mkdtemp()))
    await gateway.start("127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
