"""S3's own chunked coding (`aws-chunked`): a body in pieces, each with its size and signature, and trailers after it.

S3 User Guide, "Signature calculations … transferring payload in multiple chunks" and "… including trailing headers".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE_MAX = 1024


class BadChunks(Exception):
    """The body is not in the form that its headers say."""


def is_chunked(headers: dict[str, str]) -> bool:
    coding = headers.get("content-encoding", "")
    return "aws-chunked" in coding or headers.get("x-amz-content-sha256", "").startswith("STREAMING-")


def decode(body: bytes | memoryview) -> tuple[bytes, dict[str, str]]:
    """The content, and the trailers by name in lower case."""
    pieces, end = [], 0
    for _, content, end in _pieces(memoryview(body)):  # noqa: B007  # Where the last one ends is wanted below.
        pieces.append(content)
    return b"".join(pieces), _trailers(bytes(body[end:]))


def chunks(body: bytes | memoryview) -> Iterator[tuple[str, memoryview]]:
    """(signature, content) of each chunk; the last one is empty."""
    return ((signature, content) for signature, content, _ in _pieces(memoryview(body)))


def _pieces(body: memoryview) -> Iterator[tuple[str, memoryview, int]]:
    at = 0
    while True:
        line, at = _line(body, at)
        size_text, _, extension = line.partition(";")
        try:
            size = int(size_text, 16)
        except ValueError as error:
            raise BadChunks("a chunk's size is not a number") from error
        signature = extension.removeprefix("chunk-signature=")
        if size == 0:
            yield signature, body[at:at], at
            return
        if size < 0 or bytes(body[at + size : at + size + 2]) != b"\r\n":
            raise BadChunks("a chunk is shorter or longer than its size")
        yield signature, body[at : at + size], at + size + 2
        at += size + 2


def _line(body: memoryview, at: int) -> tuple[str, int]:
    """The text up to the end of the line, and where the next one begins."""
    text, found, _ = bytes(body[at : at + _LINE_MAX]).partition(b"\r\n")
    if not found:
        raise BadChunks("a chunk has no size")
    return text.decode("latin-1"), at + len(text) + 2


def _trailers(rest: bytes) -> dict[str, str]:
    lines = (line for line in rest.decode("latin-1").split("\r\n") if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
