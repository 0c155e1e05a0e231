"""unix-cron: five fields, and no more than Cloud Scheduler's documentation says ("Cron job format and time zone")."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fogbank.gcp.services.scheduler.schedules import wall
from fogbank.gcp.services.scheduler.schedules.wall import BadSchedule

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from zoneinfo import ZoneInfo

_PART = re.compile(r"(\*|[A-Za-z0-9]+(?:-[A-Za-z0-9]+)?)(?:/(\d{1,3}))?")
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}), (0, 23, {}), (1, 31, {}), (1, 12, _MONTHS), (0, 7, _WEEKDAYS),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cron:
    is_cron: ClassVar[bool] = True
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None  # None: any.
    months: frozenset[int]
    weekdays: frozenset[int] | None  # 0 is Sunday.

    def next_ms(self, after_ms: int, zone: ZoneInfo) -> int | None:
        times = [(hour, minute) for hour in self.hours for minute in self.minutes]
        return wall.first_after(after_ms, zone, self._is_day, times)

    def _is_day(self, day: date) -> bool:
        """Where both days of the month and of the week are told, either will do."""
        if day.month not in self.months:
            return False
        by_date = self.days is None or day.day in self.days
        by_weekday = self.weekdays is None or day.isoweekday() % 7 in self.weekdays
        if self.days is not None and self.weekdays is not None:
            return by_date or by_weekday
        return by_date and by_weekday


def parsed(fields: Sequence[str]) -> Cron:
    """Raises `BadSchedule`."""
    minutes, hours, days, months, weekdays = (_numbers(field, *_FIELDS[at]) for at, field in enumerate(fields))
    return Cron(
        minutes, hours, None if fields[2] == "*" else days, months,
        None if fields[4] == "*" else frozenset(number % 7 for number in weekdays),
    )  # fmt: skip


def _numbers(field: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for text in field.split(","):
        part = _PART.fullmatch(text)
        if part is None:
            raise BadSchedule(field)
        first, dash, last = part[1].partition("-")
        if part[1] == "*":
            begin, end = low, 6 if high == 7 else high
        else:
            begin = _number(first, names)
            end = _number(last, names) if dash else begin
        step = int(part[2]) if part[2] else 1
        if not low <= begin <= end <= high or step == 0 or (part[2] and part[1] != "*" and not dash):
            raise BadSchedule(field)
        found.update(range(begin, end + 1, step))
    return frozenset(found)


def _number(text: str, names: dict[str, int]) -> int:
    if text.isascii() and text.isdigit() and len(text) < 4:
        return int(text)
    found = names.get(text.upper())
    if found is None:
        raise BadSchedule(text)
    return found
