"""What happens by itself: lifecycle rules, the end of soft-deleted objects and of uploads that nobody finished."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from fogbank.gcp.services.storage import changes, lifecycle, state, uploads, writing
from fogbank.gcp.services.storage.asking import Asked
from fogbank.gcp.services.storage.errors import StorageError
from fogbank.gcp.services.storage.state import (
    BUCKETS,
    LIVE,
    NONCURRENT,
    REWRITES,
    SOFT_DELETED,
    UPLOADS,
    Bucket,
    Object,
)
from fogbank.kernel.store import END

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.gcp.services.storage.objects import Objects
    from fogbank.kernel.store import Key, Tx

_EVERY_MS: Final = 3_600_000  # Cloud Storage promises less: "there may be a lag" of a day.
_AT_ONCE: Final = 200


class Upkeep:
    def __init__(self, house: House, objects: Objects) -> None:
        self._house, self._objects = house, objects

    async def run(self) -> None:
        house = self._house
        while True:
            for bucket in await house.store.transact(BUCKETS.all):
                await self._apply(bucket)
            await self._forget_soft_deleted()
            await self._forget_uploads()
            await house.clock.sleep(_EVERY_MS)

    def _asked(self) -> Asked:
        return Asked(self._house.clock.now_ms(), self._house.ids.new, self._house.endpoint())

    async def _apply(self, bucket: Bucket) -> None:
        """In steps: a bucket may hold very many objects, and others want the store too."""
        if not bucket.settings.get("lifecycle", {}).get("rule"):
            return
        after = ""
        while True:
            step = partial(self._apply_some, bucket=bucket.name, after=after, asked=self._asked())
            after, loose = await self._house.store.transact(step)
            self._objects.drop(loose)
            if not after:
                return

    def _apply_some(self, tx: Tx, bucket: str, after: str, asked: Asked) -> tuple[str, list[str]]:
        """The next names' objects; (the name to go on behind, blobs that are nobody's now)."""
        owner = BUCKETS.get(tx, bucket)
        rules = owner.settings.get("lifecycle", {}).get("rule") if owner is not None else None
        if owner is None or not rules:
            return "", []
        names = _next_names(tx, owner, after)
        loose: list[str] = []
        for name in names:
            for newer, row in enumerate(list(state.generations(tx, owner, name))):
                loose += self._do(tx, owner, row, lifecycle.action(rules, row, newer, asked.now_ms), asked)
        return names[-1] if len(names) == _AT_ONCE else "", loose

    def _do(self, tx: Tx, owner: Bucket, row: Object, action: str, asked: Asked) -> list[str]:
        if action == lifecycle.DELETE:
            archives = owner.is_versioned and not row.gone_ms  # "if the object is live": it becomes noncurrent.
            try:
                return writing.remove(tx, self._objects.changes, owner, row, asked, archives=archives)
            except StorageError:  # A hold or a retention keeps it.
                return []
        if action:
            kept = replace(
                row, storage_class=action, class_ms=asked.now_ms, updated_ms=asked.now_ms,
                metageneration=row.metageneration + 1,
            )  # fmt: skip
            state.rewrite(tx, owner, row, kept)
            self._objects.changes.tell(tx, changes.UPDATED, owner, kept, asked)
        return []

    async def _forget_soft_deleted(self) -> None:
        """Those of buckets that are gone as well."""
        after: Key | None = None
        while True:
            now_ms = self._house.clock.now_ms()
            after, loose = await self._house.store.transact(partial(_forget_some, after=after, now_ms=now_ms))
            self._objects.drop(loose)
            if after is None:
                return

    async def _forget_uploads(self) -> None:
        self._objects.drop(await self._house.store.transact(_forget_uploads, self._house.clock.now_ms()))


def _next_names(tx: Tx, owner: Bucket, after: str) -> list[str]:
    """Of live and noncurrent objects, in order."""
    found: set[str] = set()
    for records in (LIVE, NONCURRENT):
        low = records.key(owner.id, after + "\0" if after else "")
        seen: set[str] = set()
        for key, _ in tx.scan(low, (*records.key(owner.id), END)):
            seen.add(str(key[3]))
            if len(seen) > _AT_ONCE:
                break
        found |= seen
    return sorted(found, key=str.encode)[:_AT_ONCE]


def _forget_some(tx: Tx, after: Key | None, now_ms: int) -> tuple[Key | None, list[str]]:
    rows = list(SOFT_DELETED.scan(tx, after=after, limit=_AT_ONCE))
    loose = []
    for key, row in rows:
        if row.hard_ms <= now_ms:
            tx.delete(key)
            loose += [row.blob] if row.blob else []
    return rows[-1][0] if len(rows) == _AT_ONCE else None, loose


def _forget_uploads(tx: Tx, now_ms: int) -> list[str]:
    """Resumable ones after a week; those in parts where their bucket says so, or is gone."""
    loose: list[str] = []
    for upload in UPLOADS.all(tx):
        owner = BUCKETS.get(tx, upload.bucket)
        gone = owner is None or owner.id != upload.bucket_id
        rules = owner.settings.get("lifecycle", {}).get("rule", []) if owner is not None else []
        if upload.in_parts:
            over = gone or lifecycle.aborts(rules, upload.name, upload.started_ms, now_ms)
        else:
            over = gone or now_ms >= upload.started_ms + uploads.SESSION_MS
        if over:
            loose += uploads.forget(tx, upload)
    for key, row in list(REWRITES.scan(tx)):
        if now_ms >= row.at_ms + uploads.SESSION_MS:
            tx.delete(key)
    return loose
