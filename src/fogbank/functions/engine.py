"""The one door to running functions: hand it a version and an event, get what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fogbank.functions.http.messages import HttpRequest, HttpResponse
    from fogbank.functions.model import Invocation, Outcome, Version


class Throttled(Exception):
    """No instance may be used or made now: the limit that was handed in is reached."""


class Abandoned(Exception):
    """The event has not begun, and will not on this version."""


class Engine(Protocol):
    def begin(self, version: Version, invocation: Invocation, done: Callable[[Outcome], None]) -> bool:
        """As `invoke`, if an instance is idle: `done` is told the outcome. False, and nothing done, if none is."""
        ...

    async def invoke(self, version: Version, invocation: Invocation, *, limit: int | None = None) -> Outcome:
        """Run one event on an idle instance, or a new one. `limit`: at most so many events of this version at a time;
        beyond it, `Throttled` is raised at once. Raises `RestoreFailed`."""
        ...

    async def request(self, version: Version, request: HttpRequest, *, limit: int | None = None) -> HttpResponse:
        """Have a web application answer: an instance that has room for one more request, or a new one. `limit`: at most
        so many instances. Faults of the function are responses, in the cloud's words; raises `Abandoned`."""
        ...

    async def prepare(self, version: Version, count: int) -> None:
        """Keep `count` instances of the version initialised (provisioned concurrency); 0 lets them go. Returns once
        they are ready; raises `InitFailed` with the function's own error if its init fails."""
        ...

    @property
    def on_debugger(self) -> Callable[[Version, str], None]:
        """Told where an instance of a debugged version waits for its debugger."""
        ...

    @on_debugger.setter
    def on_debugger(self, told: Callable[[Version, str], None]) -> None: ...

    async def task_root(self, code: Path) -> str:
        """Where instances see the folder of their code."""
        ...

    def protections(self) -> dict[str, str]:
        """What holds instances: by protection "yes", or why not; nothing as long as none was needed."""
        ...

    async def snapshot(self, version: Version) -> None:
        """Have a version that asks for a snapshot initialised, and kept as it is then: its instances begin there.
        Raises `InitFailed` with the function's own error if its init fails."""
        ...

    async def retire(self, version_id: str) -> None:
        """The version is gone: let its instances end after the events they are at."""
        ...

    async def abandon(self, version_id: str) -> None:
        """The version is gone at once: its instances end with the events they are at, and whoever waits for one gets
        `Abandoned`."""
        ...

    async def ready_debugger(self, runtime: str) -> None:
        """Have at hand what functions of that runtime are debugged with. Raises `NoRuntimeError`."""
        ...

    def status(self) -> list[dict[str, Any]]:
        """One entry per instance, for `fogbank status`."""
        ...

    async def close(self) -> None: ...


class NoRuntimeError(Exception):
    """This machine has not what a function of that runtime needs; the message says what is missing."""


class RestoreFailed(Exception):
    """An instance that begins with a snapshot failed in what the function does after that."""

    def __init__(self, *, timed_out: bool) -> None:
        super().__init__("timed out" if timed_out else "failed")
        self.timed_out = timed_out


class InitFailed(Exception):
    """Initialisation failed; `document` is the error document that an invocation would have answered."""

    def __init__(self, document: bytes) -> None:
        super().__init__(document.decode(errors="replace"))
        self.document = document
