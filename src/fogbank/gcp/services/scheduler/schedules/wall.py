"""What the clocks on the wall of a time zone show, and when.

"Cloud Scheduler runs on wall clock time": a time that the clocks pass over is not there that day, one that they show
twice is there twice.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from zoneinfo import ZoneInfo

_DAYS_AHEAD_MAX = 366 * 41  # 29 February on a given weekday comes within 40 years.
_LAST_DAY = date(9998, 12, 31)


class BadSchedule(Exception):
    """Not a schedule, or one that is never due; or not a time zone."""


def shown(at_ms: int, zone: ZoneInfo) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(zone)


def moments(day: date, hour: int, minute: int, zone: ZoneInfo) -> list[int]:
    """When the clocks show that: once; never, or twice, where they are put on or back."""
    found = []
    for fold in (0, 1):
        told = datetime(day.year, day.month, day.day, hour, minute, fold=fold, tzinfo=zone)
        at = told.astimezone(UTC)
        back = at.astimezone(zone)
        if (back.date(), back.hour, back.minute) == (day, hour, minute):
            found.append(round(at.timestamp()) * 1000)
    return sorted(set(found))


def first_after(
    after_ms: int, zone: ZoneInfo, is_day: Callable[[date], bool], times: Iterable[tuple[int, int]]
) -> int | None:  # fmt: skip
    """The first of these times, on such a day, that comes after that moment."""
    ordered = sorted(times)
    for day in _days(shown(after_ms, zone).date()):
        if is_day(day):
            found = [at for hour, minute in ordered for at in moments(day, hour, minute, zone) if at > after_ms]
            if found:
                return min(found)
    return None


def _days(first: date) -> Iterator[date]:
    """The day before too: where the clocks are put back at midnight, it is not over when it has ended."""
    day = first - timedelta(days=1)
    for _ in range(_DAYS_AHEAD_MAX):
        if day > _LAST_DAY:
            return
        yield day
        day += timedelta(days=1)
