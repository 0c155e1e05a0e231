"""Keys as bytes that sort as the tuples do; every driver stores these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fogbank.kernel.store import Key

_BYTES, _INT, _TEXT, _END = 0x01, 0x02, 0x03, 0xFF
_INT_OFFSET = 1 << 63
_REMEMBERED_MAX = 4096
_remembered: Final[dict[str, bytes]] = {}  # Parts of text as they are packed: families and ids come again and again.


def pack(key: Key) -> bytes:
    """A NUL inside text or bytes becomes 00 FF, and 00 alone ends the part, so that a prefix sorts first."""
    packed = b""
    for part in key:
        if part.__class__ is str:
            known = _remembered.get(part)
            packed += _pack_text(part) if known is None else known
        elif isinstance(part, int):
            packed += b"\x02" + (part + _INT_OFFSET).to_bytes(8)
        elif isinstance(part, bytes):
            packed += b"\x01%b\x00" % part.replace(b"\x00", b"\x00\xff")
        elif isinstance(part, str):
            packed += _pack_text(str(part))
        else:
            packed += b"\xff"
    return packed


def _pack_text(part: str) -> bytes:
    packed = b"\x03%b\x00" % part.encode().replace(b"\x00", b"\x00\xff")
    if len(packed) <= 64:
        if len(_remembered) >= _REMEMBERED_MAX:
            _remembered.clear()
        _remembered[part] = packed
    return packed


def unpack(packed: bytes) -> Key:
    parts: list[str | int | bytes] = []
    at, length = 0, len(packed)
    while at < length:
        tag = packed[at]
        if tag == _INT:
            parts.append(int.from_bytes(packed[at + 1 : at + 9]) - _INT_OFFSET)
            at += 9
            continue
        end = packed.index(0, at + 1)
        if packed[end + 1 : end + 2] == b"\xff":
            end = _end_of_part(packed, end)
            raw = packed[at + 1 : end].replace(b"\x00\xff", b"\x00")
        else:
            raw = packed[at + 1 : end]
        parts.append(raw.decode() if tag == _TEXT else raw)
        at = end + 1
    return tuple(parts)


def _end_of_part(packed: bytes, at: int) -> int:
    while True:
        at = packed.index(0, at)
        if packed[at + 1 : at + 2] != b"\xff":
            return at
        at += 2
