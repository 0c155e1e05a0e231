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
    from fogbank.kernel.store import Store, Tx

CHANGED = "triggers.changed"

# Runs one event on the function of that name, in its cloud's own terms. None: throttled, try again later.
Invoke = Callable[[str, bytes], Awaitable[Outcome | None]]
# Sends a document to a destination of the cloud's (for AWS, by ARN).
Deliver = Callable[[str, dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Trigger:
    id: str
    kind: str  # "queue" or "stream".
    source: str  # The primitive's id of what it reads.
    function: str  # A name that `Invoke` understands: for AWS, the function's ARN with its qualifier.
    link: str  # A name in `links`: "aws.sqs_to_lambda".
    batch_max: int
    window_ms: int = 0  # How long to gather a batch that is not full.
    at_once_max: int = 5  # Batches in work at a time; a stream's always come one after the other.
    enabled: bool = True
    begin: str = "LATEST"  # Of a stream: "TRIM_HORIZON", "LATEST" or "AT_TIMESTAMP".
    begin_ms: int = 0
    retries_max: int = -1  # Of a stream's batch; -1: until it is too old.
    age_max_ms: int = -1  # -1: as long as it is kept.
    bisect: bool = False
    settings: dict[str, Any] = field(default_factory=dict)  # The link's own.


TRIGGERS = Records(Trigger, "trigger", "one")  # (id,)
POSITIONS = Records(int, "trigger", "position")  # (id, shard): the last record that is done with


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
    def deliver(self) -> Deliver: ...


def put(tx: Tx, trigger: Trigger) -> None:
    """Add it, or change it: its task starts anew with what it says now."""
    TRIGGERS.put(tx, trigger.id, row=trigger)
    tx.emit(CHANGED)


def remove(tx: Tx, trigger_id: str) -> None:
    TRIGGERS.delete(tx, trigger_id)
    POSITIONS.clear(tx, trigger_id)
    tx.emit(CHANGED)
