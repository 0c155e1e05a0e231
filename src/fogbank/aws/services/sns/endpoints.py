"""POSTs to HTTP/S endpoints that people subscribe: a request, its status, and not one byte more than that needs."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

import httptools

if TYPE_CHECKING:
    from collections.abc import Mapping

# "The connection will time out in 15 seconds" ("Prepare your endpoint to process Amazon SNS messages").
_TIMEOUT_S = 15.0
_HEAD_MAX = 65_536


class Unreachable(Exception):
    """There was no answer in time, or nothing that is one; the text says why."""


@dataclass(slots=True)
class _Head:
    """What a parser of httptools tells of a response's beginning."""

    headers: dict[str, str] = field(default_factory=dict)
    complete: bool = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.complete = True


async def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
    """The status. Raises `Unreachable`. A user in the URL is sent when the endpoint asks for it ("Basic … Access
    Authentication")."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            parts = urlsplit(url)
            status, told = await _send(parts, headers, body)
            if status == 401 and parts.username and "basic" in told.get("www-authenticate", "").lower():
                status, _ = await _send(parts, {**headers, "Authorization": _basic(parts)}, body)
    except TimeoutError as error:
        raise Unreachable(f"no answer within {_TIMEOUT_S:.0f} seconds") from error
    except (OSError, EOFError, ValueError, httptools.HttpParserError) as error:
        raise Unreachable(str(error) or type(error).__name__) from error
    return status


async def _send(parts: SplitResult, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str]]:
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=_trusting() if secure else None)
    try:
        writer.write(_head(parts, headers, len(body)) + body)
        await writer.drain()
        return await _answer(reader)
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    head, read = _Head(), 0
    parser = httptools.HttpResponseParser(head)
    while not head.complete:
        some = await reader.read(_HEAD_MAX)
        read += len(some)
        if not some or read > _HEAD_MAX:
            raise EOFError("the answer is no HTTP response")
        parser.feed_data(some)
    return parser.get_status_code(), head.headers


def _head(parts: SplitResult, headers: Mapping[str, str], length: int) -> bytes:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"POST {path} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}",
        "User-Agent: Amazon Simple Notification Service Agent", "Accept-Encoding: gzip,deflate", "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()), f"Content-Length: {length}",
    ]  # fmt: skip
    text = "\r\n".join(lines)
    if len(text.splitlines()) != len(lines):
        raise ValueError("the endpoint's URL has a line break in it")
    return f"{text}\r\n\r\n".encode()


def _basic(parts: SplitResult) -> str:
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return f"Basic {b64encode(user.encode()).decode()}"


@lru_cache(1)
def _trusting() -> ssl.SSLContext:
    return ssl.create_default_context()
