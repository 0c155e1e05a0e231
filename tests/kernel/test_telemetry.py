"""Lines of JSON about what happens."""

from __future__ import annotations

import io
import json

import pytest

from fogbank.kernel.clock import VirtualClock
from fogbank.kernel.telemetry import Telemetry, amzn_trace, current_trace


class FullDisk(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("level", "told"), [("error", "e"), ("info", "ei"), ("debug", "eid")])
def test_a_level_tells_all_that_is_no_less_important(level: str, told: str) -> None:
    stream = io.StringIO()
    telemetry = Telemetry(VirtualClock(), stream, level=level)
    telemetry.error("e")
    telemetry.info("i")
    telemetry.debug("d")
    assert "".join(json.loads(line)["event"] for line in stream.getvalue().splitlines()) == told


def test_a_line_has_the_trace_that_its_task_works_for() -> None:
    stream = io.StringIO()
    token = current_trace.set("ab" * 16)
    Telemetry(VirtualClock(), stream).info("seen", path="/x")
    current_trace.reset(token)
    line = json.loads(stream.getvalue())
    assert (line["trace"], line["path"], line["level"]) == ("ab" * 16, "/x", "info")


def test_a_line_that_cannot_be_written_is_dropped_and_counted() -> None:
    telemetry = Telemetry(VirtualClock(), FullDisk())
    telemetry.error("the disk is full")
    assert telemetry.lost_lines == 1


def test_a_trace_is_read_from_aws_s_header() -> None:
    assert amzn_trace("Self=1;Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1") == "5759e988bd862e3fe1be46a994272793"
    assert amzn_trace("Root=2-xyz") == ""
