"""What an instance may say on its connection: HTTP, in any of its forms; anything else ends the connection only."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from fogbank.functions.http.connection import Body, Broken
from fogbank.functions.http.doorway import Doorways
from fogbank.functions.http.messages import HttpRequest, HttpResponse
from fogbank.kernel.gateway.messages import Unfinished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fogbank.functions.http.connection import Connection, Exchange
    from fogbank.functions.http.doorway import Doorway


class Instance:
    """The other end: the test says what it hears and what it answers."""

    def __init__(self, doorway: Doorway) -> None:
        self.door = doorway
        self._listening = socket.socket(fileno=socket.dup(doorway.end))
        doorway.handed_over()
        self._listening.setblocking(False)
        self.end: socket.socket

    async def connect(self) -> Connection:
        connection = await self.door.connection()
        loop = asyncio.get_running_loop()
        self.end, _ = await loop.sock_accept(self._listening)
        return connection

    async def say(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.end, data)

    async def hear(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.end, 65536)

    def close(self) -> None:
        self._listening.close()
        self.end.close()


@contextlib.asynccontextmanager
async def asked(tmp_path, method: str = "GET") -> AsyncIterator[tuple[Instance, Connection, Exchange]]:
    doorways = Doorways(tmp_path / "doors")
    instance = Instance(doorways.open())
    connection = await instance.connect()
    try:
        yield instance, connection, connection.begin(HttpRequest(method, "/a?b=1", [("Host", "h"), ("X-Own", "1")]))
    finally:
        connection.close()
        instance.close()
        instance.door.close()
        doorways.close()


def test_a_request_is_written_as_it_came_without_headers_of_one_hop(tmp_path):
    async def ask():
        doorways = Doorways(tmp_path / "doors")
        instance = Instance(doorways.open())
        connection = await instance.connect()
        headers = [("Host", "h"), ("Connection", "close"), ("Transfer-Encoding", "chunked"), ("Content-Length", "99")]
        connection.begin(HttpRequest("POST", "/x", [*headers, ("X-Own", "a\r\nX-Evil: b")], b"body"))
        heard = await instance.hear()
        connection.close()
        instance.close()
        instance.door.close()
        doorways.close()
        return heard

    assert asyncio.run(ask()) == b"POST /x HTTP/1.1\r\nHost: h\r\nX-Own: a  X-Evil: b\r\nContent-Length: 4\r\n\r\nbody"


@pytest.mark.parametrize(
    ("said", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nhi", 201, b"hi"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", 200, b"hi"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    ],
)
@pytest.mark.parametrize("in_bytes", [False, True])
def test_a_whole_response_is_understood_however_it_is_cut(tmp_path, said, status, body, in_bytes):
    async def ask():
        async with asked(tmp_path) as (instance, connection, exchange):
            for piece in [bytes([one]) for one in said] if in_bytes else [said]:
                await instance.say(piece)
            await exchange.begun
            whole = exchange.whole if exchange.whole is not None else b"".join([p async for p in Body(exchange)])
            return exchange.status, whole, connection.reusable

    assert asyncio.run(ask()) == (status, body, True)


def test_a_body_without_a_length_ends_with_its_connection(tmp_path):
    async def ask():
        async with asked(tmp_path) as (instance, connection, exchange):
            await instance.say(b"HTTP/1.1 200 OK\r\n\r\nall of it")
            await exchange.begun
            instance.end.close()
            return b"".join([piece async for piece in Body(exchange)]), connection.reusable

    assert asyncio.run(ask()) == (b"all of it", False)


def test_the_head_that_answers_head_has_no_body_to_wait_for(tmp_path):
    async def ask():
        async with asked(tmp_path, "HEAD") as (instance, _, exchange):
            await instance.say(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
            await exchange.begun
            return exchange.whole, exchange.headers

    assert asyncio.run(ask()) == (b"", [("Content-Length", "500")])


@pytest.mark.parametrize(
    "said",
    [
        b"hello there, this is no HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"a" * 300_000,
        b"",
    ],
)
def test_what_is_no_http_is_a_broken_exchange_and_closes_the_connection(tmp_path, said):
    async def ask():
        async with asked(tmp_path) as (instance, connection, exchange):
            with contextlib.suppress(OSError):  # It may be closed before all is said.
                await instance.say(said)
            if not said:
                instance.end.close()
            with pytest.raises(Broken):
                await asyncio.wait_for(exchange.begun, 20)
            return connection.reusable

    assert asyncio.run(ask()) is False


def test_a_body_that_breaks_off_is_told_to_its_reader(tmp_path):
    async def ask():
        async with asked(tmp_path) as (instance, _, exchange):
            await instance.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            await exchange.begun
            instance.end.close()
            with pytest.raises(Unfinished):
                [piece async for piece in Body(exchange)]

    asyncio.run(ask())


@pytest.mark.parametrize(
    "endless",
    [b"X-More: and more\r\n" * 100, b"X" * 1000, b"\0" * 1000],
    ids=["trailers without end", "one trailer without end", "no HTTP"],
)
def test_what_comes_after_the_last_chunk_is_bounded_and_no_header(tmp_path, endless):
    async def ask():
        async with asked(tmp_path) as (instance, connection, exchange):
            await instance.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
            await exchange.begun
            reading = asyncio.ensure_future(read(exchange))
            await instance.say(b"0\r\n")
            with contextlib.suppress(OSError):  # It is closed before all is said.
                for _ in range(10_000):
                    await asyncio.wait_for(instance.say(endless), 20)
            return await reading, exchange.headers, connection.reusable

    async def read(exchange):
        with pytest.raises(Unfinished):
            [piece async for piece in Body(exchange)]
        return "broken off"

    assert asyncio.run(ask()) == ("broken off", [], False)


def test_a_response_that_nobody_wants_is_let_go_to_its_end(tmp_path):
    async def ask(length):
        async with asked(tmp_path) as (instance, _, exchange):
            await instance.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
            await exchange.begun
            response = HttpResponse(exchange.status, exchange.headers, Body(exchange))
            going = asyncio.ensure_future(response.over())
            await instance.say(bytes(1 << 20))
            instance.end.close()
            await going
            return exchange.body_bytes

    assert asyncio.run(ask(1 << 20)) == 1 << 20
    with pytest.raises(Unfinished):
        asyncio.run(ask((1 << 20) + 1))


def test_trailers_are_read_and_handed_on_to_nobody(tmp_path):
    async def ask():
        async with asked(tmp_path) as (instance, connection, exchange):
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            await instance.say(head + b"2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n")
            await exchange.begun
            return exchange.headers, exchange.whole, connection.reusable

    assert asyncio.run(ask()) == ([], b"hi", True)


def test_what_is_said_after_a_response_is_not_the_next_one_s(tmp_path):
    async def ask():
        async with asked(tmp_path) as (instance, connection, exchange):
            evil = b"HTTP/1.1 500 Evil\r\nX-Evil: 1\r\nContent-Length: 4\r\n\r\nevil"
            await instance.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi" + evil)
            await exchange.begun
            return exchange.status, exchange.headers, exchange.whole, connection.reusable

    assert asyncio.run(ask()) == (200, [("Content-Length", "2")], b"hi", False)


def test_a_reader_that_takes_nothing_holds_the_instance_up(tmp_path):
    async def ask():
        async with asked(tmp_path) as (instance, _, exchange):
            size = 64 * 1024 * 1024
            await instance.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            saying = asyncio.ensure_future(instance.say(bytes(size)))
            await exchange.begun
            for _ in range(1000):
                await asyncio.sleep(0)
            held = exchange.body_bytes
            read = 0
            async for piece in Body(exchange):
                read += len(piece)
            await saying
            return held < size // 8, read == size

    assert asyncio.run(ask()) == (True, True)


def test_a_connection_is_used_again(tmp_path):
    async def ask():
        doorways = Doorways(tmp_path / "doors")
        instance = Instance(doorways.open())
        connection = await instance.connect()
        exchange = connection.begin(HttpRequest("GET", "/", []))
        await instance.say(b"HTTP/1.1 204 No Content\r\n\r\n")
        await exchange.begun
        instance.door.give_back(connection)
        again = await instance.door.connection()
        connection.close()
        instance.close()
        instance.door.close()
        doorways.close()
        return again is connection

    assert asyncio.run(ask())


def test_no_socket_is_left_where_doorways_were(tmp_path):
    doorways = Doorways(tmp_path / "doors")
    doorway = doorways.open()
    assert len(list((tmp_path / "doors").iterdir())) == 1
    doorway.close()
    assert list((tmp_path / "doors").iterdir()) == []
    left = doorways.open()  # As by a server that is killed.
    doorways.close()
    again = Doorways(tmp_path / "doors")
    fresh = again.open()
    assert len(list((tmp_path / "doors").iterdir())) == 1
    for one in (left, fresh):
        one.close()
    again.close()
