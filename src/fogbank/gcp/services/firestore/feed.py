"""The feed of changes: what a commit has done to each document, written in the commit's own transaction.

It is written only for projects where somebody listens, and is taken from a queue: who takes a change and passes it on
does both in one transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from fogbank.kernel.store.records import Records
from fogbank.primitives import queues
from fogbank.primitives.queues import Message

if TYPE_CHECKING:
    from fogbank.gcp.services.firestore.names import Database, Path
    from fogbank.kernel.store import Tx

QUEUE: Final = "firestore:changes"
_LISTENED: Final = Records(int, "firestore", "listened")  # (project,): there where its changes are to be fed.


class Changed(msgspec.Struct, frozen=True, array_like=True):
    project: str
    database: str
    path: list[str]
    was: bytes  # A google.firestore.v1.Document, or nothing.
    now: bytes
    at_us: int


_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final = msgspec.msgpack.Decoder(Changed).decode


def open_(tx: Tx, project: str) -> None:
    _LISTENED.put(tx, project, row=1)


def shut(tx: Tx, project: str) -> None:
    _LISTENED.delete(tx, project)


def is_open(tx: Tx, project: str) -> bool:
    return _LISTENED.get_shared(tx, project) is not None


def put(tx: Tx, database: Database, path: Path, was: Any, now: Any, *, at_us: int) -> None:
    """`was` and `now`: the `Document`, or None."""
    raw = [b"" if document is None else document.SerializeToString() for document in (was, now)]
    changed = Changed(database.project, database.id, list(path), raw[0], raw[1], at_us)
    # Each document is there once in a commit, and no commit of a database is at the moment of another.
    name = f"{at_us:020d}:{database.project}:{database.id}:{'/'.join(path)}"
    queues.send(tx, QUEUE, Message(name, "", 0, at_us // 1000, notes={"changed": _ENCODE(changed)}))


def take(tx: Tx, *, limit: int, now_ms: int, then: Any) -> int:
    """Hand up to `limit` changes to `then(tx, changed)`, for good; how many."""
    return queues.take_out(
        tx, QUEUE, limit=limit, now_ms=now_ms, then=lambda tx, message: then(tx, _DECODE(message.notes["changed"]))
    )
