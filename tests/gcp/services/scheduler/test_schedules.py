"""Schedules: when each of them is due."""

from __future__ import annotations

from datetime import datetime

import pytest

from fogbank.gcp.services.scheduler import schedules
from fogbank.gcp.services.scheduler.schedules import BadSchedule
from fogbank.gcp.services.scheduler.schedules.wall import shown


def _due(text: str, after: str, zone: str = "UTC", count: int = 3) -> list[str]:
    """The moments after that one, as the clocks of the zone show them."""
    place, at_ms, found = schedules.zone(zone), round(datetime.fromisoformat(after).timestamp() * 1000), []
    for _ in range(count):
        next_ms = schedules.parsed(text).next_ms(at_ms, place)
        if next_ms is None:
            break
        at_ms = next_ms
        found.append(shown(at_ms, place).strftime("%m-%d %H:%M %z").replace(" +0000", ""))
    return found


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("* * * * *", ["01-01 00:01", "01-01 00:02", "01-01 00:03"]),
        ("*/20 9-10 * * *", ["01-01 09:00", "01-01 09:20", "01-01 09:40"]),
        ("45 23 * * 6", ["01-02 23:45", "01-09 23:45", "01-16 23:45"]),
        ("0 9 * * MON-TUE", ["01-04 09:00", "01-05 09:00", "01-11 09:00"]),
        ("0 9 * * 7", ["01-03 09:00", "01-10 09:00", "01-17 09:00"]),
        ("0 0 1 JAN,jul *", ["07-01 00:00", "01-01 00:00", "07-01 00:00"]),
        ("0-30/15 4 * * *", ["01-01 04:00", "01-01 04:15", "01-01 04:30"]),
        ("0 0 29 2 *", ["02-29 00:00", "02-29 00:00", "02-29 00:00"]),
    ],
)
def test_unix_cron(text: str, times: list[str]) -> None:
    assert _due(text, "2027-01-01T00:00:00+00:00") == times


def test_a_day_of_the_month_or_one_of_the_week_will_do_where_both_are_told() -> None:
    """ "…evaluated as an inclusive OR, unless either of the fields is marked as unrestricted"."""
    assert _due("0 0 15 * SAT", "2027-01-08T00:00:00+00:00", count=4) == [
        "01-09 00:00", "01-15 00:00", "01-16 00:00", "01-23 00:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("every 5 minutes", ["01-01 00:05", "01-01 00:10", "01-01 00:15"]),
        ("every 12 hours", ["01-01 12:00", "01-02 00:00", "01-02 12:00"]),
        ("every 5 mins from 10:00 to 10:07", ["01-01 10:00", "01-01 10:05", "01-02 10:00"]),
        ("every 8 hours synchronized", ["01-01 08:00", "01-01 16:00", "01-02 00:00"]),
        ("every monday 09:00", ["01-04 09:00", "01-11 09:00", "01-18 09:00"]),
        ("every day 00:00", ["01-02 00:00", "01-03 00:00", "01-04 00:00"]),
        ("2nd,third mon,wed of march 17:00", ["03-08 17:00", "03-10 17:00", "03-15 17:00"]),
        ("1, 15 of jan,july 6:30", ["01-01 06:30", "01-15 06:30", "07-01 06:30"]),
        ("1st monday of quarter 9:00", ["01-04 09:00", "04-05 09:00", "07-05 09:00"]),
        ("first tue of 2nd month of quarter 9:00", ["02-02 09:00", "05-04 09:00", "08-03 09:00"]),
    ],
)
def test_english(text: str, times: list[str]) -> None:
    assert _due(text, "2027-01-01T00:00:30+00:00") == times


def test_a_part_of_a_day_may_go_over_midnight() -> None:
    due = _due("every 1 hours from 22:00 to 01:00", "2027-01-01T21:00:00+00:00", count=5)
    assert due == ["01-01 22:00", "01-01 23:00", "01-02 00:00", "01-02 01:00", "01-02 22:00"]


@pytest.mark.parametrize("text", ["30 2 * * *", "every day 2:30"])
def test_a_time_that_the_clocks_pass_over_is_not_there_that_day(text: str) -> None:
    due = _due(text, "2027-03-13T00:00:00-05:00", "America/New_York")
    assert due == ["03-13 02:30 -0500", "03-15 02:30 -0400", "03-16 02:30 -0400"]


@pytest.mark.parametrize("text", ["30 1 * * *", "every day 1:30"])
def test_a_time_that_the_clocks_show_twice_is_there_twice(text: str) -> None:
    due = _due(text, "2027-11-06T12:00:00-04:00", "America/New_York")
    assert due == ["11-07 01:30 -0400", "11-07 01:30 -0500", "11-08 01:30 -0500"]


@pytest.mark.parametrize(
    "text",
    [
        "", "* * * *", "* * * * * *", "60 * * * *", "0 24 * * *", "0 0 0 * *", "0 0 L * *", "5/15 * * * *",
        "*/0 * * * *", "9-5 * * * *", "0 0 * * FUNDAY", "every 0 minutes", "every 7 hours synchronized", "1st foo 9:00",
        "32 of jan 00:00", "every monday 25:00", "every 5 fortnights", "1 00:00", "4th month of quarter 9:00",
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(BadSchedule):
        schedules.parsed(text)


@pytest.mark.parametrize("name", ["Asia/Munbai", "../../etc/passwd", "/etc/passwd", "America", "\0"])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(BadSchedule):
        schedules.zone(name)


def test_a_day_that_never_comes_is_never_due() -> None:
    assert _due("0 0 30 2 *", "2027-01-01T00:00:00+00:00") == []
