"""What differs from cloud to cloud in running a function: the words of its log and of its errors.

The engine knows when a function starts, ends, times out or dies; a dialect, handed in by each cloud's skin, says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fogbank.functions.model import Invocation, Outcome, Version


class Dialect(Protocol):
    def environment(self, version: Version, log_stream: str, endpoint: str) -> dict[str, str]:
        """The cloud's own variables; the user's are added, and the cloud's win."""
        ...

    def started(self, version: Version, invocation: Invocation) -> list[str]:
        """Log lines before an event's."""
        ...

    def ended(self, version: Version, invocation: Invocation, outcome: Outcome) -> list[str]:
        """Log lines after an event's."""
        ...

    def timed_out(self, version: Version, invocation: Invocation, now_ms: int) -> tuple[list[str], bytes]:
        """Log lines and error document of an event that took too long."""
        ...

    def died(self, version: Version, invocation: Invocation, how: str) -> tuple[list[str], bytes]:
        """Log lines and error document of an event whose process ended; `how` is "exit status 1", "signal: killed"."""
        ...

    def init_failed(self, document: bytes, init_ms: float, *, timed_out: bool) -> list[str]:
        """Log lines about an initialisation that failed, after those it wrote itself."""
        ...
