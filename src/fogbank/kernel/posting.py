"""Requests to HTTP/S endpoints of people's own: one, its status and headers, and not one byte more than that needs."""

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
    import re
    from collections.abc import Mapping

_HEAD_MAX = 65_536


class Unreachable(Exception):
    """There was no answer in time, or nothing that is one; the text says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]  # Names in lower case.


@dataclass(slots=True)
class _Head:
    """What a parser of httptools tells of a response's beginning."""

    headers: dict[str, str] = field(default_factory=dict)
    complete: bool = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.complete = True


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, for how long it waits, and which hosts are this server's own, whatever they are called."""

    agent: str
    timeout_s: float
    ours: re.Pattern[str] | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, *, here: str = "") -> int:
        """The status. Raises `Unreachable`. A user in the URL is sent when the endpoint asks for it ("Basic … Access
        Authentication"). `here` is this server's address.
        """
        return (await self.send("POST", url, headers, body, here=here)).status

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, here: str = ""
    ) -> Reply:  # fmt: skip
        """As `post`, by any method."""
        try:
            async with asyncio.timeout(self.timeout_s):
                parts = urlsplit(url)
                reply = await self._send(method, parts, headers, body, here)
                asked = reply.headers.get("www-authenticate", "").lower()
                if reply.status == 401 and parts.username and "basic" in asked:
                    headers = {**headers, "Authorization": _basic(parts)}
                    reply = await self._send(method, parts, headers, body, here)
        except TimeoutError as error:
            raise Unreachable(f"no answer within {self.timeout_s:.0f} seconds") from error
        except (OSError, EOFError, ValueError, httptools.HttpParserError) as error:
            raise Unreachable(str(error) or type(error).__name__) from error
        return reply

    async def _send(
        self, method: str, parts: SplitResult, headers: Mapping[str, str], body: bytes, here: str
    ) -> Reply:  # fmt: skip
        host, port, secure = self._address(parts, here)
        reader, writer = await asyncio.open_connection(host, port, ssl=_trusting() if secure else None)
        try:
            writer.write(self._head(method, parts, headers, len(body)) + body)
            await writer.drain()
            return await _answer(reader)
        finally:
            writer.close()

    def _address(self, parts: SplitResult, here: str) -> tuple[str, int, bool]:
        """Host, port, and whether TLS is spoken there."""
        host = parts.hostname or ""
        if self.ours is not None and self.ours.fullmatch(host):
            own = urlsplit(here)
            return own.hostname or "", own.port or 80, False
        if host.endswith(".localhost"):  # RFC 6761: this machine's names, whether its resolver knows them or not.
            host = "127.0.0.1"
        secure = parts.scheme == "https"
        return host, parts.port or (443 if secure else 80), secure

    def _head(self, method: str, parts: SplitResult, headers: Mapping[str, str], length: int) -> bytes:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [
            f"{method} {path} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}",
            f"User-Agent: {self.agent}", "Accept-Encoding: gzip,deflate", "Connection: close",
            *(f"{name}: {value}" for name, value in headers.items()), f"Content-Length: {length}",
        ]  # fmt: skip
        text = "\r\n".join(lines)
        if len(text.splitlines()) != len(lines):
            raise ValueError("the endpoint's URL, or a header, has a line break in it")
        return f"{text}\r\n\r\n".encode()


async def _answer(reader: asyncio.StreamReader) -> Reply:
    head, read = _Head(), 0
    parser = httptools.HttpResponseParser(head)
    while not head.complete:
        some = await reader.read(_HEAD_MAX)
        read += len(some)
        if not some or read > _HEAD_MAX:
            raise EOFError("the answer is no HTTP response")
        parser.feed_data(some)
    return Reply(parser.get_status_code(), head.headers)


def _basic(parts: SplitResult) -> str:
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return f"Basic {b64encode(user.encode()).decode()}"


@lru_cache(1)
def _trusting() -> ssl.SSLContext:
    return ssl.create_default_context()
