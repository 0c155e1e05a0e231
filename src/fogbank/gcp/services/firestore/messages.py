"""The messages of google.firestore.v1, `messages.Document(name=…)`, found when they are first asked for; and times."""

from __future__ import annotations

from typing import Any, Final

from fogbank.gcp.protocol.descriptors import Package

_FIRESTORE: Final = Package("google.firestore.v1")
_WELL_KNOWN: Final = Package("google.protobuf")


def __getattr__(name: str) -> Any:
    found = globals()[name] = getattr(_FIRESTORE, name)
    return found


def timestamp(at_us: int) -> Any:
    seconds, micros = divmod(at_us, 1_000_000)
    return _WELL_KNOWN.Timestamp(seconds=seconds, nanos=micros * 1000)


def microseconds(timestamp: Any) -> int:
    return int(timestamp.seconds * 1_000_000 + timestamp.nanos // 1000)


def empty() -> Any:
    return _WELL_KNOWN.Empty()
