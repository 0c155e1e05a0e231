"""Access control entries: of buckets, of objects, and those that new objects get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from msgspec.structs import replace

from fogbank.gcp.services.storage import acl, changes, conditions, shown, state
from fogbank.gcp.services.storage.errors import StorageError
from fogbank.gcp.services.storage.nouns.buckets import keep
from fogbank.gcp.services.storage.nouns.noun import Noun

if TYPE_CHECKING:
    from fogbank.gcp.services.storage.asking import Asked
    from fogbank.gcp.services.storage.state import Bucket, Object
    from fogbank.kernel.store import Tx


class _Entries(Noun):
    """What the three have in common: `_read` finds the list, `_write` keeps another, `_shown` tells an entry."""

    kind: ClassVar[str]
    roles: ClassVar[tuple[str, ...]] = (acl.OWNER, acl.READER)

    def list_(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        where, entries = self._read(tx, asked)
        told = [self._shown(where, entry, asked) for entry in entries]
        return {"kind": f"storage#{self.kind}AccessControls"} | ({"items": told} if told else {})

    def get(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        where, entries = self._read(tx, asked)
        return self._shown(where, _entry(entries, asked), asked)

    def insert(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        return self._put(tx, asked, dict(asked.resource))

    def patch(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        _, entries = self._read(tx, asked)
        entity, role = _entry(entries, asked)
        return self._put(tx, asked, {"entity": entity, "role": asked.resource.get("role", role)})

    def update(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        _, entries = self._read(tx, asked)
        return self._put(tx, asked, {**asked.resource, "entity": _entry(entries, asked)[0]})

    def delete(self, tx: Tx, asked: Asked) -> None:
        where, entries = self._read(tx, asked)
        gone = _entry(entries, asked)
        self._write(tx, where, [entry for entry in entries if entry != gone], asked)

    def _put(self, tx: Tx, asked: Asked, told: dict[str, Any]) -> dict[str, Any]:
        where, entries = self._read(tx, asked)
        changed = self._write(tx, where, acl.with_entries(entries, [told], roles=self.roles), asked)
        return self._shown(changed, list(acl.read(told, self.roles)), asked)

    def _read(self, tx: Tx, asked: Asked) -> tuple[Any, acl.Entries]:
        raise NotImplementedError

    def _write(self, tx: Tx, where: Any, entries: acl.Entries, asked: Asked) -> Any:
        raise NotImplementedError

    def _shown(self, where: Any, entry: list[str], asked: Asked) -> dict[str, Any]:
        raise NotImplementedError


class BucketAccessControls(_Entries):
    noun: ClassVar = "bucketAccessControls"
    kind: ClassVar = "bucket"
    roles: ClassVar = (acl.OWNER, acl.WRITER, acl.READER)

    def _read(self, tx: Tx, asked: Asked) -> tuple[Bucket, acl.Entries]:
        found = _with_acls(state.locked_bucket(tx, asked.parameters["bucket"]))
        return found, found.acl

    def _write(self, tx: Tx, where: Bucket, entries: acl.Entries, asked: Asked) -> Bucket:
        return keep(tx, replace(where, acl=entries), asked)

    def _shown(self, where: Bucket, entry: list[str], asked: Asked) -> dict[str, Any]:
        return shown.bucket_acl(where, entry, asked.base)


class DefaultObjectAccessControls(_Entries):
    noun: ClassVar = "defaultObjectAccessControls"
    kind: ClassVar = "object"

    def _read(self, tx: Tx, asked: Asked) -> tuple[Bucket, acl.Entries]:
        found = _with_acls(state.locked_bucket(tx, asked.parameters["bucket"]))
        return found, found.default_acl

    def _write(self, tx: Tx, where: Bucket, entries: acl.Entries, asked: Asked) -> Bucket:
        return keep(tx, replace(where, default_acl=entries), asked)

    def _shown(self, where: Bucket, entry: list[str], asked: Asked) -> dict[str, Any]:
        return shown.default_acl(where, entry)


class ObjectAccessControls(_Entries):
    noun: ClassVar = "objectAccessControls"
    kind: ClassVar = "object"

    def _read(self, tx: Tx, asked: Asked) -> tuple[tuple[Bucket, Object], acl.Entries]:
        owner = _with_acls(state.bucket(tx, asked.parameters["bucket"]))
        generation = conditions.number(asked.parameters, "generation")
        found = state.object_(tx, owner, asked.parameters["object"], generation, lock=True)
        return (owner, found), found.acl

    def _write(self, tx: Tx, where: tuple[Bucket, Object], entries: acl.Entries, asked: Asked) -> tuple[Bucket, Object]:
        owner, was = where
        kept = replace(was, acl=entries, metageneration=was.metageneration + 1, updated_ms=asked.now_ms)
        state.rewrite(tx, owner, was, kept)
        self.objects.changes.tell(tx, changes.UPDATED, owner, kept, asked)
        return owner, kept

    def _shown(self, where: tuple[Bucket, Object], entry: list[str], asked: Asked) -> dict[str, Any]:
        owner, row = where
        return shown.object_acl(owner, row, entry, asked.base)


def _with_acls(bucket: Bucket) -> Bucket:
    if bucket.is_uniform:
        raise acl.uniform("get")
    return bucket


def _entry(entries: acl.Entries, asked: Asked) -> list[str]:
    entity = asked.parameters["entity"]
    found = next((entry for entry in entries if entry[0] == entity), None)
    if found is None:
        raise StorageError(404, "notFound", "The specified ACL entry does not exist.", code="NoSuchKey")
    return found
