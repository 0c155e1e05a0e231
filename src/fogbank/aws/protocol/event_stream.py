"""Answers that are streams of events: `application/vnd.amazon.eventstream`, a message an event.

A message is its length, its headers' length, a checksum of those, the headers, the payload, a checksum of all. Smithy
specification, "Amazon Event Stream Specification".
"""

from __future__ import annotations

import struct
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from zlib import crc32

import orjson

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from fogbank.aws.protocol.models import Shape

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_LENGTHS, _CHECKSUM, _TEXT_LENGTH = struct.Struct(">II"), struct.Struct(">I"), struct.Struct(">H")
_AROUND = _LENGTHS.size + 2 * _CHECKSUM.size
_STRING = b"\x07"


async def messages(shape: Shape, events: AsyncGenerator[Mapping[str, Any], None]) -> AsyncGenerator[bytes, None]:
    """Each event is a mapping of its name to its members, as the model has them."""
    async with aclosing(events):
        async for event in events:
            [(name, members)] = event.items()
            yield _event(name, shape.members[name], members)


def _event(name: str, shape: Shape, members: Mapping[str, Any]) -> bytes:
    payload = next((member for member in shape.members.values() if member.trait("eventpayload")), None)
    if payload is not None and payload.type == "blob":
        kind, body = "application/octet-stream", members.get(payload.member_name, b"")
    else:
        kind, body = "application/json", orjson.dumps({key: one for key, one in members.items() if one is not None})
    return message({":message-type": "event", ":event-type": name, ":content-type": kind}, body)


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    told = b"".join(_header(name, value) for name, value in headers.items())
    lengths = _LENGTHS.pack(_AROUND + len(told) + len(payload), len(told))
    whole = b"%b%b%b%b" % (lengths, _CHECKSUM.pack(crc32(lengths)), told, payload)
    return whole + _CHECKSUM.pack(crc32(whole))


def _header(name: str, value: str) -> bytes:
    text = value.encode()
    return bytes([len(name)]) + name.encode() + _STRING + _TEXT_LENGTH.pack(len(text)) + text
