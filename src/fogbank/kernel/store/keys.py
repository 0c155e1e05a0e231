"""Keys as bytes that sort as the tuples do; every driver stores these."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fogbank.kernel.store import Key

_BYTES, _INT, _TEXT, _END = 0x01, 0x02, 0x03, 0xFF
_INT_OFFSET = 1 << 63


def pack(key: Key) -> bytes:
    """A NUL inside text or bytes becomes 00 FF, and 00 alone ends the part, so that a prefix sorts first."""
    packed = bytearray()
    for part in key:
        if isinstance(part, str):
            packed.append(_TEXT)
            packed += part.encode().replace(b"\x00", b"\x00\xff") + b"\x00"
        elif isinstance(part, int):
            packed.append(_INT)
            packed += (part + _INT_OFFSET).to_bytes(8)
        elif isinstance(part, bytes):
            packed.append(_BYTES)
            packed += part.replace(b"\x00", b"\x00\xff") + b"\x00"
        else:
            packed.append(_END)
    return bytes(packed)


def unpack(packed: bytes) -> Key:
    parts: list[str | int | bytes] = []
    at = 0
    while at < len(packed):
        tag = packed[at]
        if tag == _INT:
            parts.append(int.from_bytes(packed[at + 1 : at + 9]) - _INT_OFFSET)
            at += 9
            continue
        end = _end_of_part(packed, at + 1)
        raw = packed[at + 1 : end].replace(b"\x00\xff", b"\x00")
        parts.append(raw.decode() if tag == _TEXT else raw)
        at = end + 1
    return tuple(parts)


def _end_of_part(packed: bytes, at: int) -> int:
    while True:
        at = packed.index(0, at)
        if packed[at + 1 : at + 2] != b"\xff":
            return at
        at += 2
