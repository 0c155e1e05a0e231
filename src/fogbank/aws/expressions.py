"""Schedule expressions: `rate(1 day)`, `cron(0 12 * * ? *)`, and when each is due next.

EventBridge User Guide, "Setting a schedule pattern for scheduled rules". Times are UTC, but for a cron expression that
is given another time zone.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_RATE = re.compile(r"rate\((\d+) (minute|minutes|hour|hours|day|days)\)")
_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
_CRON = re.compile(r"cron\((.+)\)")
_UNITS_MS = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (1, 7), (1970, 2199))
_YEARS_AHEAD_MAX = 230


class BadExpression(Exception):
    """Not a schedule."""


@dataclass(frozen=True, slots=True)
class _Cron:
    minutes: frozenset[int]
    hours: frozenset[int]
    days: str  # Of the month; "?" where the day of the week decides.
    months: frozenset[int]
    weekdays: str
    years: frozenset[int]

    def has_day(self, day: datetime) -> bool:
        if self.days == "?":
            return _is_weekday(self.weekdays, day)
        return _is_day(self.days, day)


def once_ms(expression: str) -> int | None:
    """The moment of `at(2027-01-31T12:00:00)`, as if it were UTC; None for what is no such expression. Raises
    `ValueError`."""
    found = _AT.fullmatch(expression)
    return None if found is None else round(datetime.fromisoformat(found[1]).replace(tzinfo=UTC).timestamp() * 1000)


def in_zone(at_ms: int, zone: ZoneInfo | None) -> int:
    """When the clocks of that zone show what is told as if it were UTC."""
    return at_ms if zone is None else _moved(at_ms, zone, UTC)


def check(expression: str) -> None:
    """Raises `BadExpression`."""
    next_ms(expression, 0, 0)


def next_ms(expression: str, last_ms: int, now_ms: int, zone: ZoneInfo | None = None) -> int | None:
    """The first moment after `now_ms` at which it is due; None if there is none any more.

    A rate counts from `last_ms`, when it was last due (at first, when the rule was made).
    """
    rate = _RATE.fullmatch(expression)
    if rate:
        return _next_of_rate(int(rate[1]), rate[2], last_ms, now_ms)
    cron = _CRON.fullmatch(expression)
    if cron is None:
        raise BadExpression(expression)
    parsed = _parse(cron[1])
    if zone is None:
        return _next_of_cron(parsed, now_ms)
    found = _next_of_cron(parsed, _moved(now_ms, UTC, zone))
    return None if found is None else in_zone(found, zone)


def _moved(at_ms: int, source: tzinfo, target: tzinfo) -> int:
    """What the clocks of one zone show, when those of the other show this (as if it were UTC)."""
    shown = datetime.fromtimestamp(at_ms / 1000, UTC).replace(tzinfo=source)
    return round(shown.astimezone(target).replace(tzinfo=UTC).timestamp() * 1000)


def _next_of_rate(number: int, unit: str, last_ms: int, now_ms: int) -> int:
    if number == 0 or (number == 1) == unit.endswith("s"):  # "rate(1 hours)" and "rate(5 hour)" are refused.
        raise BadExpression(f"rate({number} {unit})")
    step_ms = number * _UNITS_MS[unit.rstrip("s")]
    missed = max(0, now_ms - last_ms) // step_ms
    return last_ms + (missed + 1) * step_ms


@lru_cache(maxsize=256)
def _parse(text: str) -> _Cron:
    fields = text.split()
    if len(fields) != 6 or (fields[2] == "?") == (fields[4] == "?"):
        raise BadExpression(text)
    minutes, hours, days, months, weekdays, years = fields
    cron = _Cron(
        _numbers(minutes, 0), _numbers(hours, 1), days, _numbers(_named(months, _MONTHS), 3),
        _named(weekdays, _DAYS), _numbers(years, 5),
    )  # fmt: skip
    cron.has_day(datetime(2024, 1, 1, tzinfo=UTC))  # Raises for a day that cannot be read.
    return cron


def _named(text: str, names: dict[str, int]) -> str:
    return re.sub(r"[A-Za-z]{3}", lambda found: str(names.get(found[0].upper(), found[0])), text)


def _numbers(text: str, position: int) -> frozenset[int]:
    low, high = _RANGES[position]
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if not re.fullmatch(r"\*|\d+|\d+-\d+", span) or (slash and not step.isdigit()):
            raise BadExpression(text)
        first, dash, last = span.partition("-")
        begin = low if span == "*" else int(first)
        end = high if span == "*" or (slash and not dash) else int(last or first)
        if not low <= begin <= end <= high or (slash and int(step) == 0):
            raise BadExpression(text)
        found.update(range(begin, end + 1, int(step) if slash else 1))
    return frozenset(found)


def _is_day(text: str, day: datetime) -> bool:
    last = calendar.monthrange(day.year, day.month)[1]
    if text == "L":
        return day.day == last
    if text.endswith("W") and text[:-1].isdigit():
        return day.day == _nearest_weekday(day.year, day.month, min(int(text[:-1]), last))
    return day.day in _numbers(text, 2)


def _nearest_weekday(year: int, month: int, number: int) -> int:
    """The working day nearest to a date, in the same month."""
    last = calendar.monthrange(year, month)[1]
    weekday = datetime(year, month, number, tzinfo=UTC).weekday()
    if weekday == 5:
        return number - 1 if number > 1 else number + 2
    if weekday == 6:
        return number + 1 if number < last else number - 2
    return number


def _is_weekday(text: str, day: datetime) -> bool:
    number = day.isoweekday() % 7 + 1
    if text == "L":
        return number == 7
    if text.endswith("L") and text[:-1].isdigit():
        last = calendar.monthrange(day.year, day.month)[1]
        return number == int(text[:-1]) and day.day > last - 7
    if "#" in text:
        wanted, _, which = text.partition("#")
        if not (wanted.isdigit() and which.isdigit() and 1 <= int(which) <= 5):
            raise BadExpression(text)
        return number == int(wanted) and (day.day - 1) // 7 + 1 == int(which)
    return number in _numbers(text, 4)


def _next_of_cron(cron: _Cron, now_ms: int) -> int | None:
    at = datetime.fromtimestamp(now_ms // 60_000 * 60, UTC) + timedelta(minutes=1)
    end = at.year + _YEARS_AHEAD_MAX
    while at.year <= min(end, 2199):
        if at.year not in cron.years:
            at = datetime(at.year + 1, 1, 1, tzinfo=UTC)
        elif at.month not in cron.months:
            at = (at.replace(day=1, hour=0, minute=0) + timedelta(days=32)).replace(day=1)
        elif not cron.has_day(at):
            at = at.replace(hour=0, minute=0) + timedelta(days=1)
        elif at.hour not in cron.hours:
            at = at.replace(minute=0) + timedelta(hours=1)
        elif at.minute not in cron.minutes:
            at += timedelta(minutes=1)
        else:
            return round(at.timestamp() * 1000)
    return None
