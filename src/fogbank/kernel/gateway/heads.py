"""The heads of requests, read: what a client says again on its connection, byte for byte, is not read again.

Clients of an app's HTTP API repeat their heads; what differs is in the body. Those that sign each request do not (a
head that tells the time comes once), and cost a look into a dictionary more. Reading a head is a fifth of a short
request.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from fogbank.kernel.telemetry import amzn_trace

_END: Final = b"\r\n\r\n"
_KNOWN_MAX, _KNOWN_BYTES_MAX = 256, 2048  # Heads are the callers' to make up.
_ONCE_ONLY: Final = frozenset(("date", "x-amz-date", "x-ms-date", "expect", "transfer-encoding"))
_NAMES_MAX, _NAME_BYTES_MAX = 1024, 64
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_names: Final[dict[bytes, tuple[str, str]]] = {}  # Of headers: as they came, and in lower case.


class Head(msgspec.Struct, gc=False):
    """All of a request but its body. Requests that begin alike share it: nobody changes what it holds."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    raw_headers: list[tuple[str, str]]
    trace_id: str  # That the caller is in; empty where it does not say.
    keep: bool  # The connection stays after the answer.
    is_11: bool  # HTTP/1.1: an answer may come in chunks.


class Heads:
    """Those that have come. One for each gateway: what it knows has passed its limits."""

    def __init__(self, at_most: int = _KNOWN_MAX) -> None:
        self._at_most = at_most
        self._known: dict[bytes, tuple[Head, int]] = {}  # And how long the body is that follows.

    def find(self, data: bytes) -> tuple[Head, bytes] | None:
        """Head and body, where `data` is one whole request whose head has come before."""
        end = data.find(_END) + len(_END)
        known = self._known.get(data[:end])
        if known is None or len(data) != end + known[1]:
            return None
        return known[0], data[end:]

    def remember(self, data: bytes, head: Head, body: bytes | memoryview) -> None:
        """`data` has been read as this; of interest if that is one whole request, of a kind that comes again."""
        if not head.keep or not _ONCE_ONLY.isdisjoint(head.headers):
            return
        end = data.find(_END) + len(_END)
        if type(body) is bytes and end <= _KNOWN_BYTES_MAX and data[end:] == body:
            if len(self._known) >= self._at_most:
                self._known.clear()
            self._known[data[:end]] = head, len(body)


def head_of(
    method: str, url: bytes, headers: dict[str, str], raw_headers: list[tuple[str, str]], *, keep: bool, is_11: bool
) -> Head:
    path, _, query = url.decode("utf-8", "surrogateescape").partition("?")
    if not path.startswith("/"):  # "GET http://host/path" is a proxy's form; "*" is OPTIONS'.
        path = "/" + path.partition("://")[2].partition("/")[2] if "://" in path else path
    query = query.partition("#")[0] if query else ""
    return Head(method, path, query, headers, raw_headers, _trace(headers), keep, is_11)


def header_name(raw: bytes) -> tuple[str, str]:
    """As it came, and in lower case."""
    known = _names.get(raw)
    if known is None:
        text = raw.decode("latin-1")
        known = text, text.lower()
        if len(raw) <= _NAME_BYTES_MAX and len(_names) < _NAMES_MAX:
            _names[raw] = known
    return known


def _trace(headers: dict[str, str]) -> str:
    """The trace that the caller is in, if it says so: W3C's header, or AWS's."""
    given = headers.get("traceparent")
    if given and (found := _TRACEPARENT.fullmatch(given)):
        return found[1]
    given = headers.get("x-amzn-trace-id")
    return amzn_trace(given) if given else ""
