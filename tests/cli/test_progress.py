"""What takes long is shown while it does."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from fogbank.cli.support.progress import Progress
from tests.support.waiting import eventually

if TYPE_CHECKING:
    import pytest


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_step_tells_how_long_it_took_and_a_short_wait_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress().step("packing"):
        pass
    with Progress().waiting("stopping"):
        pass
    assert capsys.readouterr().err == "packing: 0.00 s\n"


def test_what_takes_long_is_named_while_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    told = io.StringIO()
    monkeypatch.setattr(sys, "stderr", told)
    with Progress(slow_s=0.001).waiting("moving"):
        eventually(lambda: told.getvalue() == "moving …\n")


def test_on_a_terminal_the_line_moves_with_what_it_is_told_and_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Terminal()
    monkeypatch.setattr(sys, "stderr", told)
    with Progress(slow_s=0.001).step("deploying") as tell:
        tell("CREATE_COMPLETE  Table")
        eventually(lambda: "0 s  CREATE_COMPLETE  Table" in told.getvalue())
    assert " \rdeploying: " in told.getvalue()


def test_a_program_that_asked_for_json_is_told_nothing_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Terminal()
    monkeypatch.setattr(sys, "stderr", told)
    with Progress(quiet=True, slow_s=0.0).step("deploying") as tell:
        tell("something")
    assert told.getvalue() == ""
