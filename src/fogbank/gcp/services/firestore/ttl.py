"""Time to live: documents of a collection group that go by themselves when a moment that stands in them has come.

"TTL policies": one field of a collection group; only a timestamp in it counts; what is below a document stays. A
document that is due stands in an order of its policy's own, written with the document itself, so that nothing is
looked for and nothing is missed. It is deleted as anybody's delete would: listeners and triggers see it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.services.firestore import fieldpaths, fields, messages
from fogbank.kernel.store import END, within
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.gcp.services.firestore.names import Path
    from fogbank.kernel.store import Tx

DUE: Final = "firestore.ttl"  # Emitted when something will have to be done some day.
_DUE: Final = ("firestore", "ttl-due")  # (policy's id, milliseconds, path)


@dataclass(frozen=True, slots=True)
class Policy:
    id: str  # Of its incarnation: what one that was taken away has noted is nobody else's.
    field: str
    offset_s: int = 0
    entered: bool = False  # Whether the documents that were there before it have been entered.
    entered_to: str = ""  # The last of them so far, by its path.


POLICIES: Final = Records(Policy, "firestore", "ttl-policy")  # By the database's incarnation and the collection's id.
GONE: Final = Records(str, "firestore", "ttl-gone")  # Ids of policies whose notes are to be cleared away.


def policy(tx: Tx, uid: str, collection_id: str) -> Policy | None:
    return tx.recall(_policy, uid, collection_id)


def _policy(tx: Tx, uid: str, collection_id: str) -> Policy | None:
    return POLICIES.get(tx, uid, collection_id)


def note(tx: Tx, uid: str, path: Path, was: Any, now: Any) -> None:
    """A document has changed: `was` and `now` are `Document`s, or None."""
    found = policy(tx, uid, path[-2])
    if found is None:
        return
    before, after = _due_ms(found, was), _due_ms(found, now)
    if before == after:
        return
    shown = "/".join(path)
    if before is not None:
        tx.delete((*_DUE, found.id, before, shown))
    if after is not None:
        tx.put((*_DUE, found.id, after, shown), b"")
        tx.emit(DUE)


def _due_ms(found: Policy, document: Any) -> int | None:
    """ "Using any other data type or leaving the field absent will disable expiration for the individual document"."""
    value = None if document is None else fields.get(document.fields, fieldpaths.parse(found.field))
    if value is None or value.WhichOneof("value_type") != "timestamp_value":
        return None
    return max(0, -(-messages.microseconds(value.timestamp_value) // 1000) + found.offset_s * 1000)


def begin(tx: Tx, uid: str, collection_id: str, new: Policy) -> None:
    end(tx, uid, collection_id)
    POLICIES.put(tx, uid, collection_id, row=new)
    tx.emit(DUE)


def end(tx: Tx, uid: str, collection_id: str) -> None:
    old = POLICIES.get(tx, uid, collection_id)
    if old is not None:
        POLICIES.delete(tx, uid, collection_id)
        GONE.put(tx, old.id, row=old.id)
        tx.emit(DUE)


def enter(tx: Tx, uid: str, collection_id: str, found: Iterator[tuple[Path, Any]], policy_id: str) -> bool:
    """Documents that were there before the policy, in the order of their names. Whether it is done with: an empty
    `found` is the end."""
    known = POLICIES.get(tx, uid, collection_id)
    if known is None or known.id != policy_id:
        return True
    last = ""
    for path, document in found:
        last = "/".join(path)
        due_ms = _due_ms(known, document)
        if due_ms is not None:
            tx.put((*_DUE, known.id, due_ms, last), b"")
    changed = replace(known, entered_to=last) if last else replace(known, entered=True)
    POLICIES.put(tx, uid, collection_id, row=changed)
    tx.emit(DUE)
    return changed.entered


def due(tx: Tx, found: Policy, *, now_ms: int, limit: int) -> list[Path]:
    rows = tx.scan((*_DUE, found.id), (*_DUE, found.id, now_ms + 1), limit=limit)
    return [tuple(str(key[4]).split("/")) for key, _ in rows]


def next_due_ms(tx: Tx) -> int | None:
    moments = [int(key[3]) for each in POLICIES.all(tx) for key, _ in tx.scan(*within(*_DUE, each.id), limit=1)]  # type: ignore[arg-type]  # As `note` writes them.
    return min(moments, default=None)


def clear_some(tx: Tx, limit: int) -> bool:
    """Whether there may be more notes of policies that are gone."""
    for policy_id in GONE.all(tx):
        keys = [key for key, _ in tx.scan((*_DUE, policy_id), (*_DUE, policy_id, END), limit=limit)]
        for key in keys:
            tx.delete(key)
        if len(keys) < limit:
            GONE.delete(tx, policy_id)
        return True
    return False
