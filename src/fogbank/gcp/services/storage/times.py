"""Moments, as Cloud Storage writes and reads them: RFC 3339, with milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate

from fogbank.gcp.services.storage.errors import invalid

_END_MS = 253_402_300_800_000  # The year 10000.


def told(at_ms: int) -> str:
    """ "2027-01-15T08:00:00.000Z"."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"


def http(at_ms: int) -> str:
    return formatdate(at_ms / 1000, usegmt=True)


def read(text: object, name: str) -> int:
    """In milliseconds. Raises `StorageError`."""
    try:
        moment = datetime.fromisoformat(str(text))
        at_ms = round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
    except (ValueError, OverflowError):
        at_ms = -1
    if not 0 <= at_ms < _END_MS:
        raise invalid(f"Invalid value for: {name}: Invalid date/time format: {str(text)[:64]}")
    return at_ms


def day(text: object, name: str) -> int:
    """ "2027-01-15": its midnight in UTC, in milliseconds."""
    return read(f"{str(text)[:32]}T00:00:00+00:00", name)
