"""Which functions an event has come through, and how often: "Lineage=1:a87bd80c:3|68fd508a:0" in an X-Amzn-Trace-Id.

Lambda Developer Guide, "Use Lambda recursive loop detection to prevent infinite loops": the header that SDKs hand on
tells how often each function has been invoked by the events that began with one. A number counts the times after the
first. Here a lineage is the text behind the "=".
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_FIELD = re.compile(r"(?:^|;)\s*Lineage=([^;]*)")
_HOP = re.compile(r"(?:\d{1,10}:)?([0-9a-f]{8}):(\d{1,6})")
_HOPS_MAX = 16  # Of one header: what a client makes up grows no further.


def of(header: str) -> str:
    """The lineage that a header carries; empty where it carries none."""
    found = _FIELD.search(header) if header else None
    return "" if found is None else _written(_read(found[1]))


def merged(lineages: Iterable[str]) -> str:
    """Of an event made of several: for each function the longest way."""
    hops: dict[str, int] = {}
    for lineage in lineages:
        for mark, times in _read(lineage).items():
            hops[mark] = max(times, hops.get(mark, 0))
    return _written(hops)


def times(lineage: str, function_arn: str) -> int:
    """How often the function has been invoked on this way."""
    return _read(lineage).get(_mark(function_arn), -1) + 1 if lineage else 0


def grown(lineage: str, function_arn: str) -> str:
    """The way of what the function sends when it is invoked with this."""
    hops, mark = _read(lineage), _mark(function_arn)
    count = hops.pop(mark, -1) + 1
    return _written({mark: count, **hops})


def with_lineage(header: str, lineage: str) -> str:
    """A header as `edge.function_trace` makes them, that carries it."""
    return f"{header};Lineage={lineage}" if header and lineage else header


@lru_cache(1024)
def _mark(function_arn: str) -> str:
    return sha256(function_arn.encode()).hexdigest()[:8]


def _read(lineage: str) -> dict[str, int]:
    """What is no hop is passed over: anybody may send a header."""
    found = (_HOP.fullmatch(part) for part in lineage.split("|")) if lineage else ()
    return {hop[1]: int(hop[2]) for hop in found if hop is not None}


def _written(hops: dict[str, int]) -> str:
    parts = [f"{mark}:{count}" for mark, count in list(hops.items())[:_HOPS_MAX]]
    return "1:" + "|".join(parts) if parts else ""
