"""The gateway on raw sockets: however bytes are cut, a request is read in one way or refused, and nothing stops it."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.kernel.clock import Clock
from fogbank.kernel.gateway import Gateway, Limits
from fogbank.kernel.gateway.messages import Pending, Ready, Request, Response
from fogbank.kernel.ids import Ids
from fogbank.kernel.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from fogbank.kernel.gateway.messages import Answer

LIMITS = Limits(header_bytes=4096, header_count=20, body_bytes=200_000, in_memory_bytes=10_000, stop_timeout_s=0.2)
END = b"connection: close\r\n\r\n"
GOOD = b"GET /good HTTP/1.1\r\nhost: x\r\n" + END


async def pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 10_000


OPENED = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
KINDS = {
    "/gone": Response(200, [], Path("/no/such/file")),
    "/no-text": Response(200, [("x", "\ud800")], b""),
    "/no-content": Response(204, [], OPENED),
    "/unchanged": Response(304, [], OPENED),
    "/name": Response(200, [("a\r\nset-cookie: x", "1")], b"fine"),
}


def tell(request: Request) -> Answer:
    """What some paths ask for; in three ways where a query says so."""
    kind = KINDS.get(request.path)
    if kind is None:
        return tell_what_came(request)
    if request.query == "pending":
        answer = Pending()
        asyncio.get_running_loop().call_soon(answer.tell, lambda: kind)
        return answer
    return Ready(kind)


async def tell_what_came(request: Request) -> Response:
    """Method, path, query and the body's digest."""
    if request.path == "/bug":
        raise ValueError("a bug")
    if request.path == "/long":
        return Response(200, [], pieces(100))
    body = bytes(request.body)
    told = f"{request.method} {request.path}?{request.query} {len(body)} {hashlib.sha256(body).hexdigest()[:8]}"
    return Response(200, [("content-type", "text/plain")], told.encode())


class Talk:
    """A gateway, and connections to it."""

    def __init__(self, port: int, gateway: Gateway) -> None:
        self.port, self.gateway = port, gateway

    async def say(self, *sent: bytes, pause: bool = False) -> bytes:
        """All that comes back until the end of the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for piece in sent:
                writer.write(piece)
                await writer.drain()
                if pause:
                    await asyncio.sleep(0.001)
            return await asyncio.wait_for(reader.read(-1), 5)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


def with_gateway(folder: Path, scenario: Callable[[Talk], Coroutine[Any, Any, None]], limits: Limits = LIMITS) -> None:
    async def whole() -> None:
        clock = Clock()
        gateway = Gateway(tell, limits, Telemetry(clock), Ids(clock), run_dir=folder)
        port = await gateway.start("127.0.0.1", 0)
        try:
            await scenario(Talk(port, gateway))
        finally:
            await gateway.close()

    asyncio.run(whole())


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


SEVERAL = (
    b"POST /one?a=1 HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello"
    b"PUT /two HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nt: 1\r\n\r\n"
    + GOOD
)


def dateless(answer: bytes) -> bytes:
    return b"\n".join(line for line in answer.split(b"\n") if not line.lower().startswith(b"date:"))


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(1, len(SEVERAL) - 1), max_size=6, unique=True))
def test_wherever_requests_are_cut_the_answers_are_the_same(tmp_path_factory: Any, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(SEVERAL)]

    async def scenario(talk: Talk) -> None:
        whole = dateless(await talk.say(SEVERAL))
        assert statuses(whole) == [200, 200, 200]
        assert b"POST /one?a=1 5" in whole and b"PUT /two? 5" in whole
        cut = [SEVERAL[start:end] for start, end in pairwise(edges)]
        assert dateless(await talk.say(*cut, pause=True)) == whole

    with_gateway(tmp_path_factory.mktemp("run"), scenario)


SMUGGLED = [
    b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    b"content-length: 5\r\ncontent-length: 5\r\n\r\nhello",
    b"content-length: 5, 5\r\n\r\nhello",
    b"content-length: +5\r\n\r\nhello",
    b"content-length: -1\r\n\r\n",
    b"content-length: 0x5\r\n\r\nhello",
    b"content-length: 99999999999999999999999\r\n\r\n",
    b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"transfer-encoding: identity\r\n\r\n",
    b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
    b"transfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    b"x: 1\r\n continued: 2\r\n\r\n",
    b"x: a\x00b\r\n\r\n",
    b"x y: 1\r\n\r\n",
    b": nameless\r\n\r\n",
    b"host: other\r\n\r\n",
    b"transfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    b"transfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
    b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
]


@pytest.mark.parametrize("rest", SMUGGLED)
def test_what_could_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_answered(
    tmp_path: Path, rest: bytes
) -> None:
    """RFC 9112, section 6.3 and section 11.2, "Request Smuggling"."""

    async def scenario(talk: Talk) -> None:
        answer = await talk.say(b"POST /first HTTP/1.1\r\nhost: x\r\n" + rest + GOOD)
        assert all(status >= 400 for status in statuses(answer)), answer
        assert b"GET /good" not in answer
        assert statuses(await talk.say(GOOD)) == [200]

    with_gateway(tmp_path, scenario)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # No host.
        (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 30 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"x" * 5000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 200001\r\n\r\n", 413),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),  # TLS on a plain port.
        # RFC 9110, section 7.8: "A server MAY ignore a received Upgrade header field".
        (b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n", 200),
    ],
)
def test_what_is_too_much_or_of_another_kind_is_told_and_ends_the_connection(
    tmp_path: Path, sent: bytes, status: int
) -> None:
    async def scenario(talk: Talk) -> None:
        assert statuses(await talk.say(sent)) == [status]

    with_gateway(tmp_path, scenario)


def test_a_chunked_body_that_grows_too_large_is_cut_off(tmp_path: Path) -> None:
    async def scenario(talk: Talk) -> None:
        chunk = b"c350\r\n" + b"x" * 50_000 + b"\r\n"
        answer = await talk.say(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", *[chunk] * 5)
        assert statuses(answer) in ([413], [])  # Or the reset arrives before the answer.
        assert statuses(await talk.say(GOOD)) == [200]

    with_gateway(tmp_path, scenario)


def test_a_large_body_waits_in_a_file_that_does_not_stay(tmp_path: Path) -> None:
    body = bytes(range(256)) * 600

    async def scenario(talk: Talk) -> None:
        head = b"PUT /large HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n" % len(body)
        answer = await talk.say(head + END, body[:70_000], body[70_000:])
        assert f"{len(body)} {hashlib.sha256(body).hexdigest()[:8]}".encode() in answer
        assert not list(tmp_path.iterdir())

    with_gateway(tmp_path, scenario)


def test_a_large_body_for_which_there_is_no_room_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()

    async def scenario(talk: Talk) -> None:
        (tmp_path / "run").rmdir()
        head = b"PUT /large HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n"
        answer = await talk.say(head + END, b"x" * 200_000)
        assert statuses(answer) == [503] and b"the body cannot be kept until it is whole" in answer
        assert statuses(await talk.say(GOOD)) == [200]

    with_gateway(tmp_path / "run", scenario)


def test_a_client_that_asks_whether_to_continue_is_told_to(tmp_path: Path) -> None:
    async def scenario(talk: Talk) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", talk.port)
        writer.write(b"PUT / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n" + END)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ok")
        assert statuses(await reader.read(-1)) == [200]
        writer.close()

    with_gateway(tmp_path, scenario)


def test_a_head_has_the_length_and_no_body_and_http_1_0_ends_by_itself(tmp_path: Path) -> None:
    async def scenario(talk: Talk) -> None:
        answer = await talk.say(b"HEAD /x HTTP/1.1\r\nhost: x\r\n" + END)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"content-length: " in head.lower() and body == b""
        assert b"GET /old? 0" in await talk.say(b"GET /old HTTP/1.0\r\n\r\n")

    with_gateway(tmp_path, scenario)


def test_a_bug_costs_one_answer_and_not_the_connection(tmp_path: Path) -> None:
    async def scenario(talk: Talk) -> None:
        answer = await talk.say(b"GET /bug HTTP/1.1\r\nhost: x\r\n\r\n" + GOOD)
        assert statuses(answer) == [500, 200]
        assert b"a bug" not in answer

    with_gateway(tmp_path, scenario)


def test_a_reader_that_is_slow_or_goes_away_holds_nobody_up(tmp_path: Path) -> None:
    async def scenario(talk: Talk) -> None:
        for read_bytes in (0, 50_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", talk.port)
            writer.write(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n")
            if read_bytes:
                await reader.readexactly(read_bytes)
            assert statuses(await talk.say(GOOD)) == [200]
            writer.transport.abort()
        whole = await talk.say(b"GET /long HTTP/1.1\r\nhost: x\r\n" + END)
        assert whole.count(b"x" * 10_000) == 100 and whole.endswith(b"0\r\n\r\n")

    with_gateway(tmp_path, scenario)


def test_who_sends_too_slowly_is_let_go(tmp_path: Path) -> None:
    limits = replace(LIMITS, header_timeout_s=0.1, body_timeout_s=0.1, idle_timeout_s=0.1)

    async def scenario(talk: Talk) -> None:
        for begun in (b"", b"GET / HT", b"PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc"):
            answer = await talk.say(begun)
            assert statuses(answer) in ([], [408]), begun
        assert not talk.gateway.connections

    with_gateway(tmp_path, scenario, limits)


@pytest.mark.parametrize("path", ["/gone", "/no-text", "/gone?pending", "/no-text?pending"])
def test_an_answer_that_cannot_be_sent_is_a_500_and_costs_only_itself(tmp_path: Path, path: str) -> None:
    async def scenario(talk: Talk) -> None:
        answer = await talk.say(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert statuses(answer) == [500]
        assert b"connection: close" in answer
        assert statuses(await talk.say(GOOD)) == [200]

    with_gateway(tmp_path, scenario)


@pytest.mark.parametrize(("path", "status"), [("/no-content", 204), ("/unchanged?pending", 304)])
def test_a_status_without_a_body_sends_none_so_that_nobody_reads_it_as_the_next_answer(
    tmp_path: Path, path: str, status: int
) -> None:
    """RFC 9112, section 6.3: such a response "is always terminated by the first empty line after the header fields"."""

    async def scenario(talk: Talk) -> None:
        answer = await talk.say(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode() + GOOD)
        assert statuses(answer) == [status, 200]
        assert b"evil" not in answer

    with_gateway(tmp_path, scenario)


def test_the_name_of_a_header_begins_no_header_of_its_own(tmp_path: Path) -> None:
    async def scenario(talk: Talk) -> None:
        assert b"\nset-cookie" not in await talk.say(b"GET /name HTTP/1.1\r\nhost: x\r\n" + END)

    with_gateway(tmp_path, scenario)


def test_who_waits_for_100_behind_another_answer_is_told_to_go_on(tmp_path: Path) -> None:
    async def scenario(talk: Talk) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", talk.port, limit=2_000_000)
        writer.write(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n")
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n" + END)
        await asyncio.wait_for(reader.readuntil(b"HTTP/1.1 100 Continue\r\n\r\n"), 5)
        writer.write(b"hello")
        assert b"POST /? 5" in await asyncio.wait_for(reader.read(-1), 5)
        writer.close()

    with_gateway(tmp_path, scenario)


def test_closing_finishes_what_is_under_way_and_takes_no_more(tmp_path: Path) -> None:
    async def scenario(talk: Talk) -> None:
        under_way = asyncio.ensure_future(talk.say(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n"))
        await asyncio.sleep(0.02)
        await talk.gateway.close()
        assert (await under_way).endswith(b"0\r\n\r\n")
        with pytest.raises(OSError, match=r"."):
            await asyncio.open_connection("127.0.0.1", talk.port)

    with_gateway(tmp_path, scenario)


LINES = st.sampled_from([
    b"GET / HTTP/1.1", b"POST /x HTTP/1.1", b"host: x", b"content-length: 3", b"transfer-encoding: chunked", b"", b"3",
    b"abc", b"0", b"expect: 100-continue", b"\xff\xfe", b"a" * 300, b"connection: close", b"GET * HTTP/9.9",
])  # fmt: skip
ENDS = st.sampled_from([b"\r\n", b"\n", b"\r", b"", b"\x00"])


@settings(max_examples=150, deadline=None)
@given(noise=st.lists(st.one_of(st.binary(max_size=40), st.tuples(LINES, ENDS).map(b"".join)), max_size=12))
def test_any_bytes_at_all_leave_the_next_caller_unharmed(tmp_path_factory: Any, noise: list[bytes]) -> None:
    async def scenario(talk: Talk) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", talk.port)
        writer.write(b"".join(noise))
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(-1), 5)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
        writer.close()
        assert statuses(await talk.say(GOOD)) == [200]

    with_gateway(tmp_path_factory.mktemp("run"), scenario)
