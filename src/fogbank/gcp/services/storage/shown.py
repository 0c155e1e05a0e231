"""Buckets and objects as the JSON API shows them: resource representations ("Buckets", "Objects" in the reference)."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fogbank.gcp.identity import projects
from fogbank.gcp.services.storage import acl, times
from fogbank.gcp.services.storage.state import SOFT_DELETE_USUAL_S, etag_of

if TYPE_CHECKING:
    from fogbank.gcp.services.storage.state import Bucket, HmacKey, Object

_DUAL_REGIONS = frozenset(("ASIA1", "EUR4", "EUR5", "EUR7", "EUR8", "NAM4"))
_MULTI_REGIONS = frozenset(("ASIA", "EU", "US"))


def api(base: str) -> str:
    """`base`: "http://127.0.0.1:4566"."""
    return f"{base}/storage/v1"


def bucket(row: Bucket, base: str, *, full: bool = False) -> dict[str, Any]:
    link = f"{api(base)}/b/{row.name}"
    etag = etag_of(row.metageneration)
    told = {
        "kind": "storage#bucket",
        "selfLink": link,
        "id": row.name,
        "name": row.name,
        "projectNumber": projects.number(row.project),
        "generation": str(row.generation),
        "metageneration": str(row.metageneration),
        "etag": etag,
        "timeCreated": times.told(row.created_ms),
        "updated": times.told(row.updated_ms),
        "locationType": location_type(row.location),
        **{name: value for name, value in row.settings.items() if value not in ({}, [], None)},
        "iamConfiguration": _iam(row),
        "softDeletePolicy": _soft_delete(row),
    }
    if told["locationType"] != "region":
        told.setdefault("rpo", "DEFAULT")
    if row.retention_ms:
        told["retentionPolicy"] = {
            "retentionPeriod": str(row.retention_ms // 1000),
            "effectiveTime": times.told(row.retention_from_ms),
            **({"isLocked": True} if row.retention_locked else {}),
        }
    if full:
        told["owner"] = {"entity": acl.owner(row.project)}
        if not row.is_uniform:
            told["acl"] = [bucket_acl(row, entry, base) for entry in row.acl]
            told["defaultObjectAcl"] = [default_acl(row, entry) for entry in row.default_acl]
    return told


def location_type(location: str) -> str:
    if location in _MULTI_REGIONS:
        return "multi-region"
    return "dual-region" if location in _DUAL_REGIONS else "region"


def _iam(row: Bucket) -> dict[str, Any]:
    told = row.settings.get("iamConfiguration", {})
    uniform = told.get("uniformBucketLevelAccess", {"enabled": False})
    return {
        "publicAccessPrevention": "inherited",
        **told,
        "bucketPolicyOnly": uniform,
        "uniformBucketLevelAccess": uniform,
    }


def _soft_delete(row: Bucket) -> dict[str, Any]:
    policy = row.settings.get("softDeletePolicy", {"retentionDurationSeconds": str(SOFT_DELETE_USUAL_S)})
    told = {"retentionDurationSeconds": str(policy["retentionDurationSeconds"])}
    return told | ({"effectiveTime": times.told(row.soft_delete_from_ms)} if row.soft_delete_ms else {})


def bucket_acl(row: Bucket, entry: list[str], base: str) -> dict[str, Any]:
    return acl.shown(
        entry, "bucket", {"bucket": row.name}, f"{api(base)}/b/{row.name}/acl", etag_of(row.metageneration)
    )


def default_acl(row: Bucket, entry: list[str]) -> dict[str, Any]:
    """Of no object yet: it has neither a name nor an address."""
    told = acl.shown(entry, "object", {}, "", etag_of(row.metageneration))
    return {name: value for name, value in told.items() if name not in ("id", "selfLink")}


def object_acl(owner: Bucket, row: Object, entry: list[str], base: str) -> dict[str, Any]:
    at = {"bucket": owner.name, "object": row.name, "generation": str(row.generation)}
    return acl.shown(entry, "object", at, f"{_link(owner, row, base)}/acl", row.etag)


def _link(owner: Bucket, row: Object, base: str) -> str:
    return f"{api(base)}/b/{owner.name}/o/{quote(row.name, safe='')}"


def crc32c(row: Object) -> str:
    return b64encode(row.crc32c.to_bytes(4)).decode()


def object_(owner: Bucket, row: Object, base: str, *, full: bool = False) -> dict[str, Any]:
    name = quote(row.name, safe="")
    generation = str(row.generation)
    media = f"{base}/download/storage/v1/b/{owner.name}/o/{name}?generation={generation}&alt=media"
    told = {
        "kind": "storage#object",
        "id": f"{owner.name}/{row.name}/{generation}",
        "selfLink": f"{api(base)}/b/{owner.name}/o/{name}",
        "mediaLink": media,
        "name": row.name,
        "bucket": owner.name,
        "generation": generation,
        "metageneration": str(row.metageneration),
        **row.told,
        "storageClass": row.storage_class,
        "size": str(row.size),
        "crc32c": crc32c(row),
        "etag": row.etag,
        "timeCreated": times.told(row.created_ms),
        "updated": times.told(row.updated_ms),
        "timeStorageClassUpdated": times.told(row.class_ms),
        "timeFinalized": times.told(row.created_ms),
    }
    if row.md5:
        told["md5Hash"] = b64encode(row.md5).decode()
    if row.components:
        told["componentCount"] = row.components
    if row.key_sha256:
        told["customerEncryption"] = {"encryptionAlgorithm": "AES256", "keySha256": row.key_sha256}
    if row.gone_ms:
        told["timeDeleted"] = times.told(row.gone_ms)
    if row.soft_ms:
        told |= {"softDeleteTime": times.told(row.soft_ms), "hardDeleteTime": times.told(row.hard_ms)}
    until_ms = retained_until_ms(owner, row)
    if until_ms is not None:
        told["retentionExpirationTime"] = times.told(until_ms)
    if full:
        told["owner"] = {"entity": acl.owner(owner.project)}
        if not owner.is_uniform:
            told["acl"] = [object_acl(owner, row, entry, base) for entry in row.acl]
    return told


def retained_until_ms(owner: Bucket, row: Object) -> int | None:
    """ "Retention expiration date": by the bucket's policy, and later by the object's own. None: there is none, or an
    event-based hold keeps it open."""
    own = row.told.get("retention", {}).get("retainUntilTime")
    own_ms = times.read(own, "retainUntilTime") if own else None
    if not owner.retention_ms:
        return own_ms
    if row.told.get("eventBasedHold"):
        return own_ms
    until_ms = max(row.held_ms, row.created_ms) + owner.retention_ms
    return max(until_ms, own_ms or 0)


def hmac_key(row: HmacKey, base: str) -> dict[str, Any]:
    return {
        "kind": "storage#hmacKeyMetadata",
        "id": f"{row.project}/{row.access_id}",
        "selfLink": f"{api(base)}/projects/{row.project}/hmacKeys/{row.access_id}",
        "accessId": row.access_id,
        "projectId": row.project,
        "serviceAccountEmail": row.email,
        "state": row.state,
        "timeCreated": times.told(row.created_ms),
        "updated": times.told(row.updated_ms),
        "etag": etag_of(row.changes),
    }
