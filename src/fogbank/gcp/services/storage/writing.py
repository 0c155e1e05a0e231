"""How objects come and go: new generations, what becomes of those before them, and what keeps an object from going.

What a function lets go of it answers: names of blobs, to be deleted once the transaction has committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from fogbank.gcp.services.storage import changes, conditions, shown, times
from fogbank.gcp.services.storage.errors import StorageError
from fogbank.gcp.services.storage.state import LIVE, NONCURRENT, SOFT_DELETED, Bucket, Object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.gcp.services.storage.asking import Asked
    from fogbank.gcp.services.storage.changes import Changes
    from fogbank.kernel.store import Tx


def put(
    tx: Tx, told: Changes, owner: Bucket, new: Object, asked: Asked, parameters: Mapping[str, str]
) -> tuple[Object, list[str]]:
    """Make it the live object of its name, if `parameters` allow; (as kept, blobs that are nobody's now)."""
    before = LIVE.get(tx, owner.id, new.name, lock=True)
    conditions.check(before, parameters)
    loose: list[str] = []
    if before is not None:
        if before.generation >= new.generation:  # Another node's clock is ahead.
            new = replace(new, generation=before.generation + 1)
        loose = remove(tx, told, owner, before, asked, archives=owner.is_versioned, overwritten_by=new.generation)
    LIVE.put(tx, owner.id, new.name, row=new)
    overwrote = before.generation if before is not None else 0
    told.tell(tx, changes.FINALIZED, owner, new, asked, overwrote=overwrote)
    return new, loose


def remove(
    tx: Tx, told: Changes, owner: Bucket, row: Object, asked: Asked, *, archives: bool, overwritten_by: int = 0
) -> list[str]:
    """`archives`: what was live becomes noncurrent; else it is deleted, softly where the bucket has it so. Raises
    where a hold or a retention keeps it."""
    protect(owner, row, asked.now_ms, archives=archives)
    if row.gone_ms:
        NONCURRENT.delete(tx, owner.id, row.name, row.generation)
    else:
        LIVE.delete(tx, owner.id, row.name)
    if archives:
        kept = replace(row, gone_ms=asked.now_ms)
        NONCURRENT.put(tx, owner.id, row.name, row.generation, row=kept)
        told.tell(tx, changes.ARCHIVED, owner, kept, asked, overwritten_by=overwritten_by)
        return []
    told.tell(tx, changes.DELETED, owner, row, asked, overwritten_by=overwritten_by)
    if owner.soft_delete_ms:
        kept = replace(row, soft_ms=asked.now_ms, hard_ms=asked.now_ms + owner.soft_delete_ms)
        SOFT_DELETED.put(tx, owner.id, row.name, row.generation, row=kept)
        return []
    return [row.blob] if row.blob else []


def protect(owner: Bucket, row: Object, now_ms: int, *, archives: bool = False) -> None:
    """ "Objects under … hold cannot be deleted, overwritten or archived"; what is retained may become noncurrent."""
    which = f"Object '{owner.name}/{row.name}'"
    for member, kind in (("eventBasedHold", "Event-Based"), ("temporaryHold", "Temporary")):
        if row.told.get(member):
            raise StorageError(
                403, "objectUnderActiveHold",
                f"{which} is under active {kind} hold and cannot be deleted, overwritten or archived until hold is "
                "removed.",
            )  # fmt: skip
    until_ms = None if archives else shown.retained_until_ms(owner, row)
    if until_ms is not None and until_ms > now_ms:
        raise StorageError(
            403, "retentionPolicyNotMet",
            f"{which} is subject to bucket's retention policy or object retention and cannot be deleted or "
            f"overwritten until {times.told(until_ms)}",
        )  # fmt: skip
