"""What the program says of itself: structured log lines, each with the trace id of the request it belongs to."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO

import orjson

if TYPE_CHECKING:
    from fogbank.kernel.clock import Clock

current_trace: ContextVar[str] = ContextVar("current_trace", default="")


class Telemetry:
    """Lines of JSON on `stream`. `level` "debug" shows all."""

    def __init__(self, clock: Clock, stream: TextIO | None = None, *, level: str = "info") -> None:
        self._clock, self._stream, self._debug = clock, stream or sys.stderr, level == "debug"

    def debug(self, event: str, **facts: Any) -> None:
        if self._debug:
            self._write("debug", event, facts)

    def info(self, event: str, **facts: Any) -> None:
        self._write("info", event, facts)

    def error(self, event: str, **facts: Any) -> None:
        self._write("error", event, facts)

    def _write(self, level: str, event: str, facts: dict[str, Any]) -> None:
        trace = current_trace.get()
        line = {"at_ms": self._clock.now_ms(), "level": level, "event": event, **({"trace": trace} if trace else {})}
        self._stream.write(orjson.dumps(line | facts, default=str).decode() + "\n")
        self._stream.flush()
