"""A response as bytes: head and a short body in one piece, a long one in steps the peer can follow."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fogbank.kernel.gateway.messages import Response

_STEP_BYTES = 256 * 1024
_BODILESS = (204, 304)
_BREAKS = re.compile(r"[\r\n]")


class Outlet(Protocol):
    """Where bytes go: a connection that can say when it is ready for more."""

    def write(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...


@lru_cache(maxsize=256)
def _beginning(status: int, second: int) -> str:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return f"HTTP/1.1 {status} {phrase}\r\ndate: {formatdate(second, usegmt=True)}\r\n"


def head_bytes(response: Response, length: int | None, *, now_s: int, close: bool, chunked: bool) -> bytes:
    """The status line and headers, with what the gateway adds: date, framing, whether the connection stays."""
    headers = response.headers
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        # What comes from outside must not begin a header of its own.
        lines = "".join([f"{_BREAKS.sub('', name)}: {_BREAKS.sub(' ', value)}\r\n" for name, value in headers])
    if chunked:
        lines += "transfer-encoding: chunked\r\n"
    elif length is not None and response.status not in _BODILESS:
        lines += f"content-length: {length}\r\n"
    end = "connection: close\r\n\r\n" if close else "\r\n"
    return f"{_beginning(response.status, now_s)}{lines}{end}".encode("utf-8", "surrogateescape")


async def write_long(out: Outlet, response: Response, first: bytes, *, chunked: bool) -> None:
    """A body from a file or an iterator, after its head."""
    out.write(first)
    body = response.body
    pieces = _file_pieces(body, response.offset, response.length) if isinstance(body, Path) else body
    assert not isinstance(pieces, bytes)
    try:
        async for piece in pieces:
            if piece:
                out.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                await out.drain()
    finally:
        if isinstance(pieces, AsyncGenerator):  # Where the peer went away: what it comes from is to know now.
            await pieces.aclose()
    if chunked:
        out.write(b"0\r\n\r\n")


async def _file_pieces(path: Path, offset: int, length: int | None) -> AsyncIterator[bytes]:
    left = path.stat().st_size - offset if length is None else length  # noqa: ASYNC240  # A stat is quicker than a thread.
    with path.open("rb") as file:
        file.seek(offset)
        while left > 0:
            piece = await asyncio.to_thread(file.read, min(_STEP_BYTES, left))
            if not piece:
                return
            left -= len(piece)
            yield piece


def length_of(response: Response) -> int | None:
    """Of the body, where it is known before it is sent."""
    if isinstance(response.body, bytes):
        return len(response.body) if response.length is None else response.length
    if isinstance(response.body, Path) and response.length is None:
        return response.body.stat().st_size - response.offset
    return response.length
