"""Streamed replies on their way out: as InvokeWithResponseStream's events, and as a function URL's response.

Lambda Developer Guide, "Response streaming for Lambda functions"; API reference, InvokeWithResponseStream.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.kernel.gateway.messages import Unfinished

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from fogbank.functions.flow import Reader
    from fogbank.functions.model import Outcome

HTTP_TYPE = "application/vnd.awslambda.http-integration-response"  # Of what HttpResponseStream has written.
DELIMITER = b"\0" * 8  # Between its metadata and the body.
_METADATA_BYTES_MAX = 64 * 1024
_NAMED = ("Function.ResponseSizeTooLarge", "Runtime.TruncatedResponse")


async def events(reader: Reader, *, tail: bool) -> AsyncGenerator[dict[str, Any], None]:
    """Of InvokeWithResponseStream: what the function says, then how it ended."""
    async for piece in reader:
        yield {"PayloadChunk": {"Payload": piece}}
    outcome, streamed = reader.outcome, reader.content_type is not None
    if not streamed and not outcome.error:
        yield {"PayloadChunk": {"Payload": outcome.payload}}
    yield {"InvokeComplete": _how_it_ended(outcome, tail=tail, streamed=streamed)}


async def nothing() -> AsyncGenerator[dict[str, Any], None]:
    """Of a dry run."""
    for event in list[dict[str, Any]]():
        yield event


def _how_it_ended(outcome: Outcome, *, tail: bool, streamed: bool) -> dict[str, str]:
    told = {"LogResult": b64encode(outcome.log_tail).decode()} if tail else {}
    if not outcome.error:
        return told
    kind = orjson.loads(outcome.payload).get("errorType", "")
    if streamed and kind == "Runtime.ExitError":  # The process ended in the middle of its answer.
        kind = "Runtime.TruncatedResponse"
    code = kind if kind in _NAMED else outcome.error
    return {"ErrorCode": code, "ErrorDetails": outcome.payload.decode(errors="replace"), **told}


async def with_metadata(reader: Reader) -> tuple[Any, AsyncGenerator[bytes, None]]:
    """What HttpResponseStream was given, and the body behind it. Raises `ValueError` where there is none."""
    read = b""
    async for piece in reader:
        read += piece
        told, found, rest = read.partition(DELIMITER)
        if found:
            return orjson.loads(told), body(reader, rest)
        if len(read) > _METADATA_BYTES_MAX:
            break
    raise ValueError("a response without metadata")


async def body(reader: Reader, first: bytes = b"") -> AsyncGenerator[bytes, None]:
    """The rest of a response. Raises `Unfinished` where the function fails on the way: its status has gone out."""
    yield first
    async for piece in reader:
        yield piece
    if reader.outcome.error:
        raise Unfinished
