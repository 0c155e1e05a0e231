"""Heads that come again: nothing differs but the time it takes, wherever the bytes are cut."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from fogbank.kernel.clock import Clock
from fogbank.kernel.gateway import Gateway, Limits
from fogbank.kernel.gateway.heads import Heads, head_of
from fogbank.kernel.gateway.messages import Pending, Ready, Request, Response
from fogbank.kernel.ids import Ids
from fogbank.kernel.telemetry import Telemetry
from tests.kernel.gateway.test_connection import Talk, statuses, with_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from fogbank.kernel.gateway.messages import Answer

POST = b"POST /one?a=1 HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n"
GET = b"GET /two HTTP/1.1\r\nhost: x\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
TWO_IN_ONE = [POST + b"hello" + GET, LAST]
CUT_IN_BODY = [POST + b"hel", b"lo" + GET, LAST]
CUT_IN_HEAD = [POST[:20], POST[20:] + b"world", GET, LAST]
EMPTY_LINES_BEFORE = [b"\r\n" + POST + b"hello", b"\r\n", GET, LAST]


def told(answer: bytes) -> list[bytes]:
    return [part.rpartition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("sent", [TWO_IN_ONE, CUT_IN_BODY, CUT_IN_HEAD, EMPTY_LINES_BEFORE])
def test_however_a_known_head_is_cut_the_answers_are_those_of_a_new_one(tmp_path: Path, sent: list[bytes]) -> None:
    async def scenario(talk: Talk) -> None:
        before = await talk.say(*sent, pause=True)
        known = await talk.say(POST + b"hello", POST + b"world", GET, GET, POST + b"again", LAST, pause=True)
        assert statuses(known) == [200] * 6
        assert told(known)[0] != told(known)[1] != told(known)[4], "each has its own body"
        assert talk.gateway.heads.find(POST + b"third") is not None
        assert talk.gateway.heads.find(GET) is not None
        assert told(await talk.say(*sent, pause=True)) == told(before)

    with_gateway(tmp_path, scenario)


def test_a_head_with_more_or_less_of_a_body_than_it_says_is_left_to_the_parser(tmp_path: Path) -> None:
    async def scenario(talk: Talk) -> None:
        await talk.say(POST + b"hello", LAST, pause=True)
        heads = talk.gateway.heads
        assert heads.find(POST + b"hell") is None
        assert heads.find(POST + b"hello!") is None
        assert heads.find(POST) is None

    with_gateway(tmp_path, scenario)


HELD = "/held"


async def held(folder: Path, first: bytes, then: bytes, last: bytes = b"") -> bytes:
    """All that comes back where `then`, whose head is known, arrives while `first` is being answered."""
    asked: list[str] = []
    under_way = Pending()

    def answer(request: Request) -> Answer:
        asked.append(request.path)
        return under_way if request.path == HELD else Ready(Response(200, [], request.path.encode()))

    clock = Clock()
    gateway = Gateway(answer, Limits(), Telemetry(clock), Ids(clock), run_dir=folder)
    talk = Talk(await gateway.start("127.0.0.1", 0), gateway)
    await talk.say(then, LAST, pause=True)
    assert gateway.heads.find(then) is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", talk.port)
    writer.write(first)
    while HELD not in asked:
        await asyncio.sleep(0)
    writer.write(then)
    await talk.say(LAST)  # What was sent before has come by then.
    under_way.tell(lambda: Response(200, [], b"at last"))
    writer.write(last)
    said = await asyncio.wait_for(reader.read(-1), 5)
    writer.close()
    await gateway.close()
    return said


def test_a_known_head_behind_an_answer_under_way_waits_for_its_turn(tmp_path: Path) -> None:
    first = b"GET /held HTTP/1.1\r\nhost: x\r\n\r\n"
    assert told(asyncio.run(held(tmp_path, first, GET, LAST))) == [b"at last", b"/two", b"/last"]


def test_behind_a_request_that_ends_the_connection_a_known_head_is_not_answered(tmp_path: Path) -> None:
    first = b"GET /held HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    assert told(asyncio.run(held(tmp_path, first, GET))) == [b"at last"]


@pytest.mark.parametrize(
    "line",
    [b"x-amz-date: 20260101T000000Z", b"date: today", b"expect: 100-continue", b"connection: close", b"upgrade: x"],
)
def test_what_comes_once_or_asks_for_more_than_an_answer_is_not_kept(tmp_path: Path, line: bytes) -> None:
    async def scenario(talk: Talk) -> None:
        request = b"POST / HTTP/1.1\r\nhost: x\r\n" + line + b"\r\ncontent-length: 2\r\n\r\nhi"
        await talk.say(request, LAST, pause=True)
        assert talk.gateway.heads.find(request) is None

    with_gateway(tmp_path, scenario)


def test_heads_that_callers_make_up_are_not_kept_without_end() -> None:
    heads = Heads()
    for number in range(1000):
        data = b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n" % number
        heads.remember(data, head_of("GET", b"/", {"host": "x"}, [("host", "x")], keep=True, is_11=True), b"")
    kept = sum(heads.find(b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n" % number) is not None for number in range(1000))
    assert 0 < kept <= 256
    long = b"GET /" + b"x" * 4000 + b" HTTP/1.1\r\n\r\n"
    heads.remember(long, head_of("GET", b"/", {}, [], keep=True, is_11=True), b"")
    assert heads.find(long) is None
