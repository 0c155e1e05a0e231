"""Buckets: made, told of, changed, listed, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from msgspec.structs import replace

from fogbank.gcp.services.storage import acl, conditions, listing, names, settings, shown, state
from fogbank.gcp.services.storage.errors import StorageError, invalid, not_served, required
from fogbank.gcp.services.storage.nouns.noun import Noun
from fogbank.gcp.services.storage.state import BUCKETS, Bucket

if TYPE_CHECKING:
    from fogbank.gcp.services.storage.asking import Asked
    from fogbank.kernel.store import Tx

_OWNED = "Your previous request to create the named bucket succeeded and you already own it."


class Buckets(Noun):
    noun: ClassVar = "buckets"

    def insert(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        name = asked.resource.get("name")
        if not isinstance(name, str) or not name:
            raise StorageError(400, "required", "Required", place=("parameter", "name"))
        return shown.bucket(create(tx, name, asked, dict(asked.resource)), asked.base, full=asked.full)

    def get(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        if asked.parameters.get("softDeleted") == "true":
            raise not_served("soft-deleted buckets")
        found = state.bucket(tx, asked.parameters["bucket"])
        conditions.check(Numbered(found), asked.parameters, reads=True)
        return shown.bucket(found, asked.base, full=asked.full)

    def list_(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        if asked.parameters.get("softDeleted") == "true":
            raise not_served("soft-deleted buckets")
        project, prefix = asked.parameters["project"], asked.parameters.get("prefix", "")
        limit, token = listing.limit_of(asked.parameters), asked.parameters.get("pageToken", "")
        after = BUCKETS.key(token) if token else None
        rows = (row for _, row in BUCKETS.scan(tx, after=after) if row.project == project)
        found = [row for row in rows if row.name.startswith(prefix)]
        told: dict[str, Any] = {"kind": "storage#buckets"}
        if found[:limit]:
            told["items"] = [shown.bucket(row, asked.base, full=asked.full) for row in found[:limit]]
        return told | ({"nextPageToken": found[limit - 1].name} if len(found) > limit else {})

    def patch(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        found = _to_change(tx, asked)
        return self._changed(tx, asked, found, settings.patched(found, asked.resource))

    def update(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        found = _to_change(tx, asked)
        return self._changed(tx, asked, found, settings.updated(found, asked.resource))

    def _changed(self, tx: Tx, asked: Asked, found: Bucket, wanted: dict[str, Any]) -> dict[str, Any]:
        settings.check_retention_change(found, wanted)
        changed = _with_acls(replace(found, settings=wanted), asked, asked.resource)
        if changed.retention_ms != found.retention_ms:
            changed = replace(changed, retention_from_ms=asked.now_ms)
        if changed.soft_delete_ms != found.soft_delete_ms:
            changed = replace(changed, soft_delete_from_ms=asked.now_ms)
        return shown.bucket(keep(tx, changed, asked), asked.base, full=asked.full)

    def delete(self, tx: Tx, asked: Asked) -> None:
        delete(tx, _to_change(tx, asked))

    def lock_retention_policy(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        found = _to_change(tx, asked)
        if not found.retention_ms:
            raise invalid(f"Bucket '{found.name}' has no retention policy to lock.")
        return shown.bucket(keep(tx, replace(found, retention_locked=True), asked), asked.base, full=True)

    def get_storage_layout(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        found = state.bucket(tx, asked.parameters["bucket"])
        return {
            "kind": "storage#storageLayout", "bucket": found.name, "location": found.location,
            "locationType": shown.location_type(found.location), "hierarchicalNamespace": {"enabled": False},
        }  # fmt: skip


class Numbered:
    """A bucket as preconditions see it."""

    def __init__(self, row: Bucket) -> None:
        self.generation, self.metageneration = row.generation, row.metageneration
        self.etag = state.etag_of(row.metageneration)


def create(tx: Tx, name: str, asked: Asked, told: dict[str, Any]) -> Bucket:
    project = asked.parameters.get("project", "")
    if not project:
        raise required("project")
    names.check_bucket(name)
    if BUCKETS.get(tx, name, lock=True) is not None:
        raise StorageError(409, "conflict", _OWNED, code="BucketAlreadyOwnedByYou")
    if asked.parameters.get("enableObjectRetention") == "true":
        told["objectRetention"] = {"mode": "Enabled"}
    new_id = asked.new_id()
    bare = Bucket(
        name, new_id, project, state.generation_of(new_id), asked.now_ms, asked.now_ms, settings=settings.of_new(told),
        acl=acl.of_bucket(project), default_acl=acl.of_objects(project), retention_from_ms=asked.now_ms,
        soft_delete_from_ms=asked.now_ms,
    )  # fmt: skip
    made = _with_acls(bare, asked, told)
    BUCKETS.put(tx, name, row=made)
    return made


def delete(tx: Tx, found: Bucket) -> None:
    """What was soft-deleted in it is let go by the upkeep."""
    if not state.is_empty(tx, found):
        raise StorageError(409, "conflict", "The bucket you tried to delete is not empty.", code="BucketNotEmpty")
    BUCKETS.delete(tx, found.name)


def keep(tx: Tx, changed: Bucket, asked: Asked) -> Bucket:
    kept = replace(changed, metageneration=changed.metageneration + 1, updated_ms=asked.now_ms)
    BUCKETS.put(tx, kept.name, row=kept)
    return kept


def _to_change(tx: Tx, asked: Asked) -> Bucket:
    found = state.locked_bucket(tx, asked.parameters["bucket"])
    conditions.check(Numbered(found), asked.parameters)
    return found


def _with_acls(bucket: Bucket, asked: Asked, told: dict[str, Any]) -> Bucket:
    predefined = asked.parameters.get("predefinedAcl", "")
    of_objects = asked.parameters.get("predefinedDefaultObjectAcl", "")
    if bucket.is_uniform and (predefined or of_objects or told.get("acl") or told.get("defaultObjectAcl")):
        raise acl.uniform("use")
    if predefined:
        bucket = replace(bucket, acl=acl.of_bucket(bucket.project, predefined))
    elif isinstance(told.get("acl"), list):
        roles = (acl.OWNER, acl.WRITER, acl.READER)
        owners = [[acl.owner(bucket.project), acl.OWNER]]
        bucket = replace(bucket, acl=acl.with_entries(owners, told["acl"], roles=roles))
    if of_objects:
        chosen = acl.of_objects(bucket.project, of_objects, "predefinedDefaultObjectAcl")
        bucket = replace(bucket, default_acl=chosen)
    elif isinstance(told.get("defaultObjectAcl"), list):
        bucket = replace(bucket, default_acl=acl.with_entries([], told["defaultObjectAcl"]))
    return bucket
