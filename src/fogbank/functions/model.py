"""What the functions engine is told and what it tells: plain data, the same for every cloud."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import orjson

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Version:
    """All that an instance needs to be born. Never changes: new code or settings make a new `id`."""

    id: str
    name: str  # For people: "shop-CreateItem:$LATEST".
    runtime: str  # The cloud's name: "python3.12", "nodejs20.x", "provided.al2023".
    handler: str
    code: Path  # A folder, unpacked, read-only; /var/task to the function.
    layers: tuple[Path, ...] = ()  # Folders, merged in order under /opt.
    environment: dict[str, str] = field(default_factory=dict, repr=False)  # The user's and the cloud's (AWS_REGION, …).
    timeout_ms: int = 3000
    memory_mb: int = 128
    ephemeral_mb: int = 512
    log_group: str = ""
    log_stream_prefix: str = ""  # "[1]" of "2026/08/01/[1]4f…": the cloud's name for the version.
    dialect: str = "aws"  # Which cloud's words its log and errors have.
    log_owner: str = ""  # Whose logs they are: "account/region".
    snap_start: bool = False  # A snapshot of its initialised state is asked for: whatever that holds, all share it.
    log_format: str = "Text"  # Or "JSON"; then the levels say what is kept.
    application_log_level: str = "INFO"
    system_log_level: str = "INFO"
    debugged: bool = False  # Its one instance waits for a debugger, and nothing limits its time or memory.
    debugger_port: int = 0  # Where it waits, on 127.0.0.1; 0: wherever there is room.
    web: bool = False  # It is a web application: its events are HTTP requests, and an instance answers at a socket.
    concurrency: int = 1  # So many requests an instance of a web application is at, at most.
    files: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)  # What is mounted, by absolute path: secrets.
    facts: dict[str, str] = field(default_factory=dict)  # What its dialect has to know of it.
    qualifier: str = field(init=False)  # The version's number: what its name ends with.

    def __post_init__(self) -> None:
        object.__setattr__(self, "qualifier", self.name.rpartition(":")[2])


class Source(Protocol):
    """What pieces come from."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Sink(Protocol):
    """Where the pieces of a streamed reply go. It may hold up what they come from."""

    def begin(self, content_type: str) -> None: ...
    def add(self, piece: bytes, source: Source) -> None: ...


class Invocation(msgspec.Struct, frozen=True, gc=False):
    request_id: str
    payload: bytes
    deadline_ms: int | None = None  # None: now + the version's time-out.
    function_arn: str = ""  # As invoked, with its qualifier.
    trace_header: str = ""  # "Root=1-…;Parent=…;Sampled=0"
    client_context: str = ""
    cognito_identity: str = ""
    tail: bool = False  # Whether the end of its log is wanted with the outcome.
    flow: Sink | None = None  # Where the pieces of a streamed reply go; none: they are wanted as one, in the outcome.


class Outcome(msgspec.Struct, gc=False):
    payload: bytes  # The whole reply as JSON (of a custom runtime, anything), or the error document.
    error: str | None = None  # "Unhandled" where the function failed in any way; then `payload` tells how.
    log_tail: bytes = b""  # The last 4 KB of this invocation's log lines, where they are wanted.
    cold: bool = False
    timed_out: bool = False
    init_ms: float = 0.0
    duration_ms: float = 0.0
    max_memory_mb: int = 0
    exited: bool = False  # The process has ended instead of answering.
    restored: bool = False  # A cold start from a snapshot that was asked for; `init_ms` is what the restore took.
    content_type: str = ""  # Of a streamed reply that was wanted whole; then `payload` is all of its bytes.

    def value(self) -> Any:
        """What the payload says as JSON; its text where a custom runtime answered with something else."""
        try:
            return orjson.loads(self.payload or b"null")
        except orjson.JSONDecodeError:
            return self.payload.decode(errors="replace")


class LogSink(Protocol):
    """Where lines of functions go. Must not wait: it gathers and writes behind."""

    def write(self, place: tuple[str, str, str], events: list[tuple[int, str]]) -> None:
        """`place`: owner, group and stream; `events` are (milliseconds since the epoch, message)."""
        ...
