"""What the program says of itself: structured log lines, each with the trace id of the request it belongs to."""

from __future__ import annotations

import re
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TextIO

import orjson

if TYPE_CHECKING:
    from fogbank.kernel.clock import Clock

LEVELS: Final = ("error", "info", "debug")

# The trace that this task works for: 32 hex digits, or nothing. A task that is started inherits it.
current_trace: ContextVar[str] = ContextVar("current_trace", default="")
# Through which functions what this task works for has come already, in a cloud's own words; or nothing.
current_lineage: ContextVar[str] = ContextVar("current_lineage", default="")

_AMZN_ROOT = re.compile(r"Root=1-([0-9a-f]{8})-([0-9a-f]{24})")


def amzn_trace(header: str) -> str:
    """The trace that an X-Amzn-Trace-Id names; empty where it names none."""
    found = _AMZN_ROOT.search(header)
    return found[1] + found[2] if found else ""


class Telemetry:
    """Lines of JSON on `stream`: failures; with `level` "info" what a person must learn, with "debug" every hop.

    A line that cannot be written (a full disk) is dropped and counted: whoever wrote it has better things to do.
    """

    def __init__(self, clock: Clock, stream: TextIO | None = None, *, level: str = "info") -> None:
        self._clock, self._stream = clock, stream or sys.stderr
        self.informing, self.debugging = level in ("info", "debug"), level == "debug"
        self.lost_lines = 0

    def debug(self, event: str, **facts: Any) -> None:
        """Where many pass, ask `debugging` first: gathering the facts costs more than not writing them."""
        if self.debugging:
            self._write("debug", event, facts)

    def info(self, event: str, **facts: Any) -> None:
        if self.informing:
            self._write("info", event, facts)

    def error(self, event: str, **facts: Any) -> None:
        self._write("error", event, facts)

    def _write(self, level: str, event: str, facts: dict[str, Any]) -> None:
        trace = current_trace.get()
        line = {"at_ms": self._clock.now_ms(), "level": level, "event": event, **({"trace": trace} if trace else {})}
        try:
            self._stream.write(orjson.dumps(line | facts, default=str).decode() + "\n")
            self._stream.flush()
        except OSError:
            self.lost_lines += 1
