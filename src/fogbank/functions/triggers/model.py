"""A stored trigger, and what runs one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from fogbank.functions.model import Outcome
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.kernel.clock import Clock
    from fogbank.kernel.signals import Signals
    from fogbank.kernel.store import Store

CHANGED = "triggers.changed"


@dataclass(frozen=True, slots=True)
class Trigger:
    id: str
    kind: str  # "queue" or "stream".
    source: str  # The primitive's id of what it reads.
    function: str  # A name that `Invoke` understands: for AWS, the function's ARN with its qualifier.
    link: str  # A name in `links`: "aws.sqs_to_lambda".
    batch_max: int
    window_ms: int = 0  # How long to gather a batch that is not full.
    at_once_max: int = 0  # Of a queue: batches in work at a time; 0: a few, and more as long as that is too little.
    enabled: bool = True
    begin: str = "LATEST"  # Of a stream: "TRIM_HORIZON", "LATEST" or "AT_TIMESTAMP".
    begin_ms: int = 0
    retries_max: int = -1  # Of a stream's batch; -1: until it is too old.
    age_max_ms: int = -1  # -1: as long as it is kept.
    bisect: bool = False
    lanes: int = 1  # Of a stream: batches of a shard in work at a time, each with other partition keys.
    tumbling_ms: int = 0  # Of a stream: how long the windows are over which a state is handed on; 0: none.
    settings: dict[str, Any] = field(default_factory=dict)  # The link's own.


TRIGGERS = Records(Trigger, "trigger", "one")  # (id,)
RESULTS = Records(str, "trigger", "result")  # (id,): what came of the last batch, for people to read


@dataclass(frozen=True, slots=True)
class Fed:
    """What came of an event that a function was run for."""

    outcome: Outcome
    request_id: str
    version: str  # The cloud's name for the version that ran.


class NotRun(Exception):
    """The function was not run: throttled, gone, stopped. The text says which."""


@dataclass(frozen=True, slots=True)
class Told:
    """Whom to tell of records that were given up, and what."""

    to: str  # A destination of the cloud's: for AWS, an ARN.
    document: dict[str, Any]
    folder: str  # Where it goes in a destination that has folders.


# Runs one event on the function of that name, in its cloud's own terms. Raises `NotRun`: try again later.
Invoke = Callable[[str, bytes], Awaitable[Fed]]
# Whether somebody debugs the function of that name: then its events take as long as they take.
IsDebugged = Callable[[str], Awaitable[bool]]
# Of the function of that name. Must not raise for a destination that takes nothing.
Deliver = Callable[[str, Told], Awaitable[None]]


class Context(Protocol):
    """What a runner is given: the parts of `Triggers`."""

    @property
    def store(self) -> Store: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def signals(self) -> Signals: ...
    @property
    def links(self) -> Mapping[str, Any]: ...
    @property
    def invoke(self) -> Invoke: ...
    @property
    def is_debugged(self) -> IsDebugged: ...
    @property
    def deliver(self) -> Deliver: ...
