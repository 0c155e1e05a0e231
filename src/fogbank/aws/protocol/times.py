"""Timestamps in the three forms that the protocols write, from and to aware datetimes."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

DEFAULTS = {"header": "rfc822", "querystring": "iso8601", "uri": "iso8601"}


def parse(value: Any) -> datetime:
    """From whichever form it came in: number, ISO 8601 or the form of HTTP's headers. Raises `ValueError`."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, bool):
        raise ValueError("a boolean is not a time")
    if isinstance(value, int | float):
        return _from_epoch(float(value))
    text = str(value).strip()
    try:
        return _from_epoch(float(text))
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = parsedate_to_datetime(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _from_epoch(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError("out of range") from error


def moment(at_ms: int) -> datetime:
    """As operations answer with it, of the milliseconds that are kept."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def epoch(value: Any) -> float | int:
    seconds = parse(value).timestamp() if not isinstance(value, int | float) else value
    return int(seconds) if seconds == int(seconds) else round(seconds, 3)


def text(value: Any, form: str) -> str:
    """`form` is iso8601, rfc822 or unixTimestamp."""
    if form == "unixTimestamp":
        return str(epoch(value))
    at = parse(value).astimezone(UTC)
    if form == "rfc822":
        return format_datetime(at.replace(microsecond=0), usegmt=True)
    digits = f".{at.microsecond // 1000:03d}" if at.microsecond else ""
    return f"{at:%Y-%m-%dT%H:%M:%S}{digits}Z"
