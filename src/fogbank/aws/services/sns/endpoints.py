"""POSTs to HTTP/S endpoints that people subscribe: a request, its status, and not one byte more than that needs."""

from __future__ import annotations

import asyncio
import re
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
_OURS = re.compile(r"[a-z0-9]+\.(execute-api\.[a-z0-9-]+\.amazonaws\.com|lambda-url\.[a-z0-9-]+\.on\.aws)")


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


async def post(url: str, headers: Mapping[str, str], body: bytes, *, here: str) -> int:
    """The status. Raises `Unreachable`. A user in the URL is sent when the endpoint asks for it ("Basic … Access
    Authentication"). `here` is this cloud's own address: its APIs and functions' URLs are reached by their real names.
    """
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            parts = urlsplit(url)
            status, told = await _send(parts, headers, body, here)
            if status == 401 and parts.username and "basic" in told.get("www-authenticate", "").lower():
                status, _ = await _send(parts, {**headers, "Authorization": _basic(parts)}, body, here)
    except TimeoutError as error:
        raise Unreachable(f"no answer within {_TIMEOUT_S:.0f} seconds") from error
    except (OSError, EOFError, ValueError, httptools.HttpParserError) as error:
        raise Unreachable(str(error) or type(error).__name__) from error
    return status


async def _send(
    parts: SplitResult, headers: Mapping[str, str], body: bytes, here: str
) -> tuple[int, dict[str, str]]:  # fmt: skip
    host, port, secure = _address(parts, here)
    reader, writer = await asyncio.open_connection(host, port, ssl=_trusting() if secure else None)
    try:
        writer.write(_head(parts, headers, len(body)) + body)
        await writer.drain()
        return await _answer(reader)
    finally:
        writer.close()


def _address(parts: SplitResult, here: str) -> tuple[str, int, bool]:
    """Host, port, and whether TLS is spoken there."""
    host = parts.hostname or ""
    if _OURS.fullmatch(host):
        own = urlsplit(here)
        return own.hostname or "", own.port or 80, False
    if host.endswith(".localhost"):  # RFC 6761: names that are this machine's, whether its resolver knows them or not.
        host = "127.0.0.1"
    secure = parts.scheme == "https"
    return host, parts.port or (443 if secure else 80), secure


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
