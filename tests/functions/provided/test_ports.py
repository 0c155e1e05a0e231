"""The door of an environment's port: who waits there, who is let in, and who is sent away."""

from __future__ import annotations

import asyncio
import io
import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from fogbank.functions.runtimes.provided import server as ports
from fogbank.functions.runtimes.provided.answers import accepted
from fogbank.functions.runtimes.provided.server import ApiServer
from fogbank.functions.sandbox.peers import Peers
from fogbank.functions.sandbox.sockets import Sockets
from fogbank.kernel.clock import Clock
from fogbank.kernel.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def at_a_port(tmp_path: Path) -> Callable[..., Any]:
    """Have something happen at a port whose connections are the environment's own as these verdicts say, in turn; the
    last holds for good."""

    async def opened(verdicts: list[bool], happens: Callable[[ApiServer, int], Coroutine[Any, Any, Any]]) -> Any:
        sockets = Sockets()
        if sockets.problem:
            pytest.skip(sockets.problem)
        peers = Peers(sockets, lambda _: verdicts.pop(0) if len(verdicts) > 1 else verdicts[0])
        server = ApiServer(lambda *_: accepted(), tmp_path, Telemetry(Clock(), io.StringIO()), peers, "shop")
        address = await server.open()
        try:
            return await asyncio.wait_for(happens(server, int(address.rpartition(":")[2])), 20)
        finally:
            server.close()
            sockets.close()

    def run(verdicts: list[bool], happens: Callable[[ApiServer, int], Coroutine[Any, Any, Any]]) -> Any:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(opened(verdicts, happens))

    return run


async def ask(_: ApiServer, port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(REQUEST)
        return (await reader.readline()).strip()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def test_a_process_of_the_environment_is_let_in_at_once(at_a_port: Callable[..., Any]) -> None:
    assert at_a_port([True], ask) == b"HTTP/1.1 202 Accepted"


def test_one_that_is_not_known_at_the_first_look_waits_and_loses_nothing_of_what_it_said(
    at_a_port: Callable[..., Any],
) -> None:
    assert at_a_port([False, False, True], ask) == b"HTTP/1.1 202 Accepted"


def test_a_stranger_is_sent_away_unheard(at_a_port: Callable[..., Any]) -> None:
    assert at_a_port([False], ask) == b""


def test_no_more_than_a_few_wait_and_the_others_are_sent_away_at_once(
    at_a_port: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "_LOOK_AGAIN_S", 3600)

    async def crowd(server: ApiServer, port: int) -> int:
        lines = [await asyncio.open_connection("127.0.0.1", port) for _ in range(ports._AT_THE_DOOR_MAX + 1)]
        reads = [asyncio.ensure_future(reader.read()) for reader, _ in lines]
        done, _ = await asyncio.wait(reads, return_when=asyncio.FIRST_COMPLETED)
        waiting = len(server.waiting)
        server.close()
        await asyncio.wait(reads)  # Whoever stood at the door when the port closed has gone as well.
        for _, writer in lines:
            writer.close()
        return waiting if len(done) == 1 else -1

    assert at_a_port([False], crowd) == ports._AT_THE_DOOR_MAX


def test_a_connection_that_is_gone_before_it_is_looked_at_is_no_error(at_a_port: Callable[..., Any]) -> None:
    async def reset(server: ApiServer, port: int) -> tuple[list[dict[str, Any]], bytes]:
        problems: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, problem: problems.append(problem))
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port)) as line:  # The loop has no turn until it is closed.
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return problems, await ask(server, port)

    problems, answer = at_a_port([True], reset)
    assert (problems, answer) == ([], b"HTTP/1.1 202 Accepted")
