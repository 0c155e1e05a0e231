"""Time as people write it on the command line."""

from __future__ import annotations

import pytest

from fogbank.cli.logs import line
from fogbank.cli.support.moments import distance_ms, moment_ms, since_ms
from fogbank.cli.support.problems import Problem

NOON_MS = 1_795_608_000_000  # 2026-11-25T12:00:00Z


@pytest.mark.parametrize(
    ("text", "expected_ms"), [("90s", 90_000), ("1h30m", 5_400_000), ("1.5d", 129_600_000), ("250ms", 250)]
)
def test_a_distance_adds_up(text: str, expected_ms: int) -> None:
    assert distance_ms(text) == expected_ms


def test_a_moment_is_in_utc_unless_it_says_otherwise() -> None:
    assert moment_ms("2026-11-25T12:00:00") == moment_ms("2026-11-25T13:00:00+01:00") == NOON_MS
    assert moment_ms("2026-11-25") == NOON_MS - 12 * 3_600_000


def test_since_is_a_moment_or_so_long_ago() -> None:
    assert since_ms("10m", NOON_MS) == NOON_MS - 600_000
    assert since_ms("2026-11-25T12:00:00Z", 0) == NOON_MS


@pytest.mark.parametrize("text", ["", "soon", "10", "10 m", "2026-13-01"])
def test_what_is_neither_is_refused_with_examples(text: str) -> None:
    with pytest.raises(Problem, match="write 10m"):
        since_ms(text, NOON_MS)


def test_a_line_of_another_day_says_which() -> None:
    event = {"timestamp": NOON_MS, "message": "hello\n"}
    assert line("tidy", event, NOON_MS + 3_600_000) == "12:00:00.000 tidy  hello"
    assert line("tidy", event, NOON_MS + 24 * 3_600_000) == "2026-11-25 12:00:00.000 tidy  hello"
