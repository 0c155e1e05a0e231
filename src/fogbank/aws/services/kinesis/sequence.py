"""Sequence numbers: 56 digits that grow within a shard and from a shard to its children, and tell where they are from.

Laid out as the service's own are seen to be, in hexadecimal digits: 2, nine of the second in which the shard came
about, one of its number, sixteen of the record's place, 00, nine of the second in which it arrived, eight of the
shard's number, 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LAST: Final = (1 << 63) - 1  # The place that stands in the number with which a shard ends.
_DIGITS: Final = 47


@dataclass(frozen=True, slots=True)
class Place:
    """What a sequence number tells."""

    born_s: int
    shard: int
    position: int


def write(born_s: int, shard: int, position: int, at_ms: int) -> str:
    return str(int(f"2{born_s:09x}{shard & 15:x}{position:016x}00{at_ms // 1000:09x}{shard:08x}2", 16))


def read(number: str) -> Place | None:
    """None for what no shard ever gave."""
    if not (number.isascii() and number.isdecimal() and len(number) <= 57):
        return None
    digits = f"{int(number):x}"
    if len(digits) != _DIGITS or digits[0] != "2" or digits[-1] != "2":
        return None
    position = int(digits[11:27], 16)
    return Place(int(digits[1:10], 16), int(digits[38:46], 16), position) if position <= LAST else None
