"""Time as people write it: distances (1h30m) and moments (ISO 8601)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from fogbank.cli.support.problems import Problem

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DISTANCE = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


def distance_ms(text: str) -> int:
    parts = _DISTANCE.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise Problem(f"{text!r} is not a distance of time: write 90s, 15m, 1h30m or 1d")
    return round(sum(float(number) * _UNITS[unit] for number, unit in parts))


def moment_ms(text: str) -> int:
    """UTC where no zone is given."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise Problem(f"{text!r} is not a moment: write 2027-01-31T12:00:00Z") from error
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def since_ms(text: str, now_ms: int) -> int:
    """A moment, or so long ago."""
    if _DISTANCE.match(text):
        return now_ms - distance_ms(text)
    try:
        return moment_ms(text)
    except Problem as problem:
        raise Problem(f"{text!r} is no time: write 10m for ten minutes ago, or 2027-01-31T12:00:00Z") from problem
