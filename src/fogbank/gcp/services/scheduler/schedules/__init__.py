"""Schedules, in both of their languages: unix-cron ("*/5 * * * *") and English ("every 5 minutes")."""

from __future__ import annotations

from typing import ClassVar, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fogbank.gcp.services.scheduler.schedules import cron, english
from fogbank.gcp.services.scheduler.schedules.wall import BadSchedule

__all__ = ["BadSchedule", "Schedule", "parsed", "zone"]


class Schedule(Protocol):
    is_cron: ClassVar[bool]

    def next_ms(self, after_ms: int, zone: ZoneInfo) -> int | None:
        """The first moment after that one; None if there is none any more."""
        ...


def parsed(text: str) -> Schedule:
    """Raises `BadSchedule`."""
    fields = text.split()
    if len(fields) == 5 and fields[0][:1] in "*0123456789":
        try:
            return cron.parsed(fields)
        except BadSchedule:
            pass  # "1 of jan 10:00 …" begins with a digit, too.
    return english.parsed(text)


def zone(name: str) -> ZoneInfo:
    """ "For UTC use the string "utc"." Raises `BadSchedule`."""
    try:
        return ZoneInfo("UTC" if name.lower() in ("", "utc") else name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadSchedule(name) from error
