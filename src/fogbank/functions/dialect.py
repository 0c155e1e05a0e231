"""What differs from cloud to cloud in running a function: the words of its log and of its errors.

The engine knows when a function starts, ends, times out or dies; a dialect, handed in by each cloud's skin, says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fogbank.functions.model import Invocation, Outcome, Version


class Dialect(Protocol):
    def environment(
        self, version: Version, log_stream: str, endpoint: str, *, task_root: str, provisioned: bool
    ) -> dict[str, str]:  # fmt: skip
        """The cloud's own variables; the user's are added, and the cloud's win. `task_root`: where its code is
        seen; `provisioned`: made ahead of events."""
        ...

    def line_filter(self, version: Version) -> Callable[[str], bool] | None:
        """Which of the lines that the function writes are kept; None: all."""
        ...

    def initialising(self, version: Version, now_ms: int, *, restoring: bool) -> Sequence[str]:
        """Log lines before an initialisation for a snapshot, or before an instance begins with one."""
        ...

    def initialised(self, version: Version, init_ms: float, now_ms: int, *, restored: bool) -> Sequence[str]:
        """Log lines after an initialisation that went well, or was `restored` from a snapshot that was asked for."""
        ...

    def started(self, version: Version, invocation: Invocation, now_ms: int) -> Sequence[str]:
        """Log lines before an event's."""
        ...

    def ended(self, version: Version, invocation: Invocation, outcome: Outcome, now_ms: int) -> Sequence[str]:
        """Log lines after an event's."""
        ...

    def timed_out(self, version: Version, invocation: Invocation, now_ms: int) -> tuple[Sequence[str], bytes]:
        """Log lines and error document of an event that took too long."""
        ...

    def died(self, version: Version, invocation: Invocation, how: str, now_ms: int) -> tuple[Sequence[str], bytes]:
        """Log lines and error document of an event whose process ended; `how` is "exit status 1", "signal: killed"."""
        ...

    def restore_failed(
        self, version: Version, restore_ms: float, now_ms: int, *, timed_out: bool
    ) -> Sequence[str]:  # fmt: skip
        """Log lines of an instance that began with a snapshot and got no further."""
        ...

    def init_failed(
        self, version: Version, document: bytes, init_ms: float, now_ms: int, *, timed_out: bool
    ) -> Sequence[str]:
        """Log lines about an initialisation that failed, after those it wrote itself."""
        ...
