"""Long-running operations of any service: begun in the transaction that begins the work, kept until it is told of.

An operation's name says whose it is: "projects/P/locations/L/operations/ID" or, of old APIs, "operations/ID".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from fogbank.gcp.protocol import statuses
from fogbank.gcp.protocol.descriptors import Package
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from fogbank.gcp.service import RpcError
    from fogbank.kernel.store import Tx

LONGRUNNING = Package("google.longrunning")
CHANGED = "operation.changed"  # The signal, with the operation's name as its key.
_KEPT_MS = 30 * 24 * 3600 * 1000
_FORGOTTEN_AT_ONCE = 4


class Kept(msgspec.Struct, frozen=True):
    at_ms: int
    told: bytes  # A google.longrunning.Operation.

    @property
    def operation(self) -> Any:
        return LONGRUNNING.Operation.FromString(self.told)


OPERATIONS = Records(Kept, "operation", "of")  # (whose they are, id)


def begin(tx: Tx, name: str, metadata: Message, *, now_ms: int) -> Any:
    """An operation that is under way."""
    operation = LONGRUNNING.Operation(name=name)
    operation.metadata.Pack(metadata)
    _forget_old(tx, _place(name)[0], now_ms)
    return _put(tx, operation, now_ms)


def progress(tx: Tx, name: str, metadata: Message) -> None:
    """How far it has got; nothing where it is forgotten already."""
    kept = OPERATIONS.get(tx, *_place(name))
    if kept is not None:
        operation = kept.operation
        operation.metadata.Pack(metadata)
        _put(tx, operation, kept.at_ms)


def finish(
    tx: Tx, name: str, metadata: Message, *, response: Message | None = None, error: RpcError | None = None
) -> Any:
    """It is done: with a response, or with an error."""
    kept = OPERATIONS.get(tx, *_place(name))
    operation = LONGRUNNING.Operation(name=name, done=True)
    operation.metadata.Pack(metadata)
    if error is not None:
        operation.error.CopyFrom(statuses.status(error))
    elif response is not None:
        operation.response.Pack(response)
    return _put(tx, operation, kept.at_ms if kept is not None else 0)


def done(tx: Tx, name: str, response: Message, metadata: Message, *, now_ms: int) -> Any:
    """One that has been done by the time it is told of."""
    begin(tx, name, metadata, now_ms=now_ms)
    return finish(tx, name, metadata, response=response)


def find(tx: Tx, name: str) -> Any | None:
    kept = OPERATIONS.get(tx, *_place(name))
    return None if kept is None else kept.operation


def forget(tx: Tx, name: str) -> None:
    OPERATIONS.delete(tx, *_place(name))


def _place(name: str) -> tuple[str, str]:
    owner, _, own = name.rpartition("operations/")
    return owner.rstrip("/"), own


def _put(tx: Tx, operation: Any, at_ms: int) -> Any:
    OPERATIONS.put(tx, *_place(operation.name), row=Kept(at_ms, operation.SerializeToString()))
    tx.emit(CHANGED, (operation.name,))
    return operation


def _forget_old(tx: Tx, owner: str, now_ms: int) -> None:
    """A few at a time of those that are done and old: as many come as are made."""
    for key, kept in list(OPERATIONS.scan(tx, owner, limit=_FORGOTTEN_AT_ONCE)):
        if kept.at_ms + _KEPT_MS < now_ms and kept.operation.done:
            tx.delete(key)
