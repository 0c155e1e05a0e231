"""English schedules, as App Engine's cron.yaml has them ("Defining the cron job schedule"):

every 5 minutes · every 12 hours · every 5 mins from 10:00 to 14:00 · every 2 hours synchronized
every monday 09:00 · 2nd,third mon,wed,thu of march 17:00 · 1,15 of jan,july 00:00 · 1st monday of quarter 9:00
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from fogbank.gcp.services.scheduler.schedules import wall
from fogbank.gcp.services.scheduler.schedules.wall import BadSchedule

if TYPE_CHECKING:
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

_DAY_S = 86_400
_INTERVAL = re.compile(
    r"every (\d{1,6}) (hours|mins|minutes)(?: (synchronized)| from (\d{1,2}:\d\d) to (\d{1,2}:\d\d))?"
)
_AT = re.compile(r"(?:(every|[a-z0-9,]+) (day|[a-z,]+)|(\d{1,2}(?:,\d{1,2})*))(?: of ([a-z0-9, ]+?))? (\d{1,2}:\d\d)")
_QUARTER = re.compile(r"(?:([a-z0-9,]+) month of )?quarter")
_ORDINALS = {
    word: number
    for number, words in enumerate((("1st", "first"), ("2nd", "second"), ("3rd", "third"), ("4th", "fourth"),
                                    ("5th", "fifth")), 1)
    for word in words
}  # fmt: skip
_WEEKDAYS = {
    word.lower(): number
    for number in range(7)
    for word in (calendar.day_name[number - 1], calendar.day_abbr[number - 1])
} | {"tues": 2, "weds": 3, "thur": 4, "thurs": 4}  # 0 is Sunday.
_MONTHS = {
    word.lower(): number
    for number in range(1, 13)
    for word in (calendar.month_name[number], calendar.month_abbr[number])
} | {"sept": 9}


@dataclass(frozen=True, slots=True)
class Interval:
    """Counted from the last time; or, in a part of the day, from its beginning."""

    is_cron: ClassVar[bool] = False
    seconds: int
    begin: tuple[int, int] | None = None
    end: tuple[int, int] = (23, 59)

    def next_ms(self, after_ms: int, zone: ZoneInfo) -> int | None:
        if self.begin is None:
            at_ms = after_ms + self.seconds * 1000
            return at_ms - at_ms % 60_000  # "…on the closest minute".
        now = wall.shown(after_ms, zone)
        begin_ms = self._last(now, self.begin, zone)
        next_begin_ms = self._next(now, self.begin, zone)
        end_ms = self._next_at(begin_ms, self.end, zone)
        at_ms = begin_ms + ((after_ms - begin_ms) // (self.seconds * 1000) + 1) * self.seconds * 1000
        return at_ms if at_ms <= end_ms and at_ms < next_begin_ms else next_begin_ms

    def _last(self, now: datetime, time: tuple[int, int], zone: ZoneInfo) -> int:
        """When it was this time last."""
        now_ms = round(now.timestamp() * 1000)
        for back in range(4):
            found = [at for at in wall.moments((now - timedelta(days=back)).date(), *time, zone) if at <= now_ms]
            if found:
                return max(found)
        return now_ms

    def _next(self, now: datetime, time: tuple[int, int], zone: ZoneInfo) -> int:
        return wall.first_after(round(now.timestamp() * 1000), zone, lambda _: True, [time]) or 0

    def _next_at(self, begin_ms: int, time: tuple[int, int], zone: ZoneInfo) -> int:
        return wall.first_after(begin_ms, zone, lambda _: True, [time]) or begin_ms


@dataclass(frozen=True, slots=True)
class At:
    """At a time of certain days."""

    is_cron: ClassVar[bool] = False
    time: tuple[int, int]
    months: frozenset[int]
    days: frozenset[int] = frozenset()  # Of the month; if there are none:
    ordinals: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()

    def next_ms(self, after_ms: int, zone: ZoneInfo) -> int | None:
        return wall.first_after(after_ms, zone, self._is_day, [self.time])

    def _is_day(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        if self.days:
            return day.day in self.days
        return (day.day - 1) // 7 + 1 in self.ordinals and day.isoweekday() % 7 in self.weekdays


def parsed(text: str) -> Interval | At:
    """Raises `BadSchedule`."""
    told = re.sub(r" ?, ?", ",", " ".join(text.lower().split()))
    interval = _INTERVAL.fullmatch(told)
    if interval is not None:
        return _interval(interval)
    found = _AT.fullmatch(told)
    if found is None:
        raise BadSchedule(text)
    months, time = _months(found[4]), _time(found[5])
    if found[3]:
        if not found[4]:
            raise BadSchedule(text)
        days = frozenset(int(day) for day in found[3].split(","))
        if not all(1 <= day <= 31 for day in days):
            raise BadSchedule(text)
        return At(time, months, days=days)
    ordinals = frozenset(range(1, 6)) if found[1] == "every" else _words(found[1], _ORDINALS)
    weekdays = frozenset(range(7)) if found[2] == "day" else _words(found[2], _WEEKDAYS)
    return At(time, months, ordinals=ordinals, weekdays=weekdays)


def _interval(found: re.Match[str]) -> Interval:
    seconds = int(found[1]) * (3600 if found[2] == "hours" else 60)
    if seconds == 0:
        raise BadSchedule(found[0])
    if found[3]:
        if seconds > _DAY_S or _DAY_S % seconds:
            raise BadSchedule("synchronized: the interval must divide 24 hours")
        return Interval(seconds, (0, 0))
    if found[4]:
        return Interval(seconds, _time(found[4]), _time(found[5]))
    return Interval(seconds)


def _months(text: str | None) -> frozenset[int]:
    if text is None or text == "month":
        return frozenset(range(1, 13))
    quarter = _QUARTER.fullmatch(text)
    if quarter is None:
        return _words(text, _MONTHS)
    ordinals = _words(quarter[1], _ORDINALS) if quarter[1] else frozenset((1,))
    if not all(ordinal <= 3 for ordinal in ordinals):
        raise BadSchedule(text)
    return frozenset(start + ordinal for start in (0, 3, 6, 9) for ordinal in ordinals)


def _words(text: str, known: dict[str, int]) -> frozenset[int]:
    try:
        return frozenset(known[word] for word in text.split(","))
    except KeyError as error:
        raise BadSchedule(text) from error


def _time(text: str) -> tuple[int, int]:
    hour, minute = (int(part) for part in text.split(":"))
    if hour > 23 or minute > 59:
        raise BadSchedule(text)
    return hour, minute
