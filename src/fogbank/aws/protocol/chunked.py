"""S3's own chunked coding (`aws-chunked`): a body in pieces, each with its size and signature, and trailers after it.

S3 User Guide, "Signature calculations … transferring payload in multiple chunks" and "… including trailing headers".
"""

from __future__ import annotations


class BadChunks(Exception):
    """The body is not in the form that its headers say."""


def is_chunked(headers: dict[str, str]) -> bool:
    coding = headers.get("content-encoding", "")
    return "aws-chunked" in coding or headers.get("x-amz-content-sha256", "").startswith("STREAMING-")


def decode(body: bytes | memoryview) -> tuple[bytes, dict[str, str]]:
    """The content, and the trailers by name in lower case."""
    raw = bytes(body)
    pieces: list[bytes] = []
    at = 0
    while True:
        end = raw.find(b"\r\n", at)
        if end < 0:
            raise BadChunks("a chunk has no size")
        try:
            size = int(raw[at:end].partition(b";")[0], 16)
        except ValueError as error:
            raise BadChunks("a chunk's size is not a number") from error
        at = end + 2
        if size == 0:
            return b"".join(pieces), _trailers(raw[at:])
        if raw[at + size : at + size + 2] != b"\r\n":
            raise BadChunks("a chunk is shorter or longer than its size")
        pieces.append(raw[at : at + size])
        at += size + 2


def _trailers(rest: bytes) -> dict[str, str]:
    lines = (line for line in rest.decode("latin-1").split("\r\n") if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
