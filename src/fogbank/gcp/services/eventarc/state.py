"""What Eventarc remembers: triggers; who listens to which source; where the messages of a subscription are carried.

Triggers are kept as the messages of the API that tell them. A 1st gen function's trigger is not one of Eventarc's, but
listens and receives as those do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.eventarc import names
from fogbank.gcp.services.eventarc.filters import Filter
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

EVENTARC: Final = Package("google.cloud.eventarc.v1")


class Trigger(msgspec.Struct, frozen=True):
    told: bytes  # A google.cloud.eventarc.v1.Trigger.
    owns_topic: bool = True  # Else the topic was there before, and stays.

    @property
    def settings(self) -> Any:
        return EVENTARC.Trigger.FromString(self.told)


class Listener(msgspec.Struct, frozen=True):
    """Who is to be told of a source's events, and by which topic."""

    name: str
    type: str
    filters: list[Filter]
    topic: str
    content_type: str  # Of a CloudEvent's data; "" for an event of the 1st generation.


class Receiver(msgspec.Struct, frozen=True):
    """Where the messages of a transport's subscription go."""

    name: str  # The trigger's, or the 1st gen function's.
    kind: str  # "function", "service" (of Cloud Run) or "http".
    target: str  # The function's or service's name, or the URL.
    account: str = ""  # In whose name; "": in nobody's.
    path: str = "/"
    type: str = ""  # Of an event that is made of the message as it lies there: messagePublished, or its 1st gen name.
    topic: str = ""  # Of that message.
    once: bool = False  # One attempt, whatever comes of it.


TRIGGERS: Final = Records(Trigger, "eventarc", "trigger")  # (project, location, id)
LISTENERS: Final = Records(list[Listener], "eventarc", "listeners")  # (source, project): all of them, found by one get
RECEIVERS: Final = Records(Receiver, "eventarc", "receiver")  # (the subscription's name,)


def find(tx: Tx, name: names.Name) -> Trigger:
    """Raises `RpcError`."""
    row = TRIGGERS.get(tx, name.project, name.location, name.id)
    if row is None:
        raise RpcError(Code.NOT_FOUND, f"Resource '{name}' was not found")
    return row


def listeners(tx: Tx, source: str, project: str) -> list[Listener]:
    """Belong to all that have them."""
    return LISTENERS.get_shared(tx, source, project) or []


def listen(tx: Tx, source: str, project: str, listener: Listener) -> None:
    """In place of the one of that name, if there is one."""
    others = [one for one in LISTENERS.get(tx, source, project, lock=True) or [] if one.name != listener.name]
    LISTENERS.put(tx, source, project, row=[*others, listener])


def unlisten(tx: Tx, source: str, project: str, name: str) -> None:
    before = LISTENERS.get(tx, source, project, lock=True) or []
    left = [one for one in before if one.name != name]
    if left:
        LISTENERS.put(tx, source, project, row=left)
    elif before:
        LISTENERS.delete(tx, source, project)
