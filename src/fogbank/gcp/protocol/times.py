"""Timestamps and durations, in milliseconds: the library raises for what is out of range, and callers send that too."""

from __future__ import annotations

from typing import Any

_TIMESTAMP_S = (-62_135_596_800, 253_402_300_799)  # The years 1 to 9999 (google/protobuf/timestamp.proto).
_END_MS = 1 << 53  # Long after the last moment that a timestamp may name, and still a key's number.


def milliseconds(value: Any) -> int:
    """Of a Timestamp or a Duration; what is beyond all bounds is at the bound."""
    return max(-_END_MS, min(int(value.seconds) * 1000 + int(value.nanos) // 1_000_000, _END_MS))


def is_moment(timestamp: Any) -> bool:
    """It is in the range that a Timestamp has."""
    return bool(_TIMESTAMP_S[0] <= timestamp.seconds <= _TIMESTAMP_S[1] and 0 <= timestamp.nanos < 1_000_000_000)
