"""What differs from cloud to cloud in answering an HTTP request: headers, log entries, and what is said of failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fogbank.functions.http.messages import HttpRequest, HttpResponse, Left, Visit
    from fogbank.functions.instances import Instance
    from fogbank.functions.model import Outcome, Version


class HttpDialect(Protocol):
    def form(self, version: Version, instance: Instance, output: str) -> Callable[[str], str]:
        """What makes a log entry of a line that the function wrote to `output`, "stdout" or "stderr"."""
        ...

    def receive(self, version: Version, request: HttpRequest, now_ms: int, new_id: str) -> Visit | HttpResponse:
        """The request with the cloud's own headers; or the answer to one that may not be."""
        ...

    def started_visit(self, version: Version, visit: Visit) -> Sequence[str]:
        """Log entries before a request's."""
        ...

    def send(self, version: Version, visit: Visit, headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """The headers of a response as the caller is to see them."""
        ...

    def ended_visit(self, version: Version, visit: Visit, left: Left) -> Sequence[str]:
        """Log entries after a response."""
        ...

    def ends_on_timeout(self, version: Version) -> bool:
        """Whether an instance ends with a request that took too long; else it works on, and nobody listens."""
        ...

    def overdue(self, version: Version, visit: Visit) -> tuple[Sequence[str], HttpResponse]:
        """Log entries and answer where there was none in time."""
        ...

    def broke(
        self, version: Version, visit: Visit, how: str, *, memory_mb: int | None
    ) -> tuple[Sequence[str], HttpResponse]:
        """The same where the connection to the instance was lost. `how` it ended, nothing if it lives; `memory_mb`:
        what it held, where that was too much."""
        ...

    def unborn(self, version: Version, outcome: Outcome) -> HttpResponse:
        """The answer where no instance could be initialised; `outcome` has the error document."""
        ...

    def crowded(self, version: Version) -> tuple[Sequence[str], HttpResponse]:
        """Log entries and answer where all instances that may be are full."""
        ...
