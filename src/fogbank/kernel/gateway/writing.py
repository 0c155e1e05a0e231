"""A response as bytes: head and a short body in one piece, a long one in steps the peer can follow."""

from __future__ import annotations

import asyncio
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


class Outlet(Protocol):
    """Where bytes go: a connection that can say when it is ready for more."""

    def write(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...


@lru_cache(maxsize=128)
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return b"HTTP/1.1 %d %s\r\n" % (status, phrase.encode())


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return b"date: " + formatdate(second, usegmt=True).encode() + b"\r\n"


def head(response: Response, length: int | None, *, now_s: int, close: bool, chunked: bool) -> bytes:
    """The status line and headers, with what the gateway adds: date, framing, whether the connection stays."""
    lines = [_status_line(response.status), _date(now_s)]
    for name, value in response.headers:
        if "\r" in value or "\n" in value:  # A value from outside must not begin a header of its own.
            value = value.replace("\r", " ").replace("\n", " ")
        lines.append(f"{name}: {value}\r\n".encode("utf-8", "surrogateescape"))
    if chunked:
        lines.append(b"transfer-encoding: chunked\r\n")
    elif length is not None and response.status not in _BODILESS:
        lines.append(b"content-length: %d\r\n" % length)
    lines.append(b"connection: close\r\n\r\n" if close else b"\r\n")
    return b"".join(lines)


async def write_long(out: Outlet, response: Response, first: bytes, *, chunked: bool) -> None:
    """A body from a file or an iterator, after its head."""
    out.write(first)
    body = response.body
    pieces = _file_pieces(body, response.offset, response.length) if isinstance(body, Path) else body
    assert not isinstance(pieces, bytes)
    async for piece in pieces:
        if piece:
            out.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            await out.drain()
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
