"""What Cloud Storage remembers: buckets, the objects in them (live, noncurrent, soft-deleted), uploads under way.

Objects lie under their bucket's id, so one that is deleted and made again is empty. A small body is in the row, another
in a blob that is that object's alone.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

import msgspec

from fogbank.gcp.services.storage.errors import no_such_bucket, no_such_object
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.kernel.store import Tx

IN_ROW_BYTES_MAX: Final = 64 * 1024
SOFT_DELETE_USUAL_S: Final = 7 * 86_400  # "Default retention duration" ("Soft delete").


class Bucket(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    id: str
    project: str
    generation: int
    created_ms: int
    updated_ms: int
    metageneration: int = 1
    settings: dict[str, Any] = {}  # Members of the resource that its owner writes, as the JSON API has them.
    acl: list[list[str]] = []  # (entity, role)
    default_acl: list[list[str]] = []
    notifications: dict[str, dict[str, Any]] = {}  # By id, as the JSON API has them.
    policy: dict[str, Any] = {}  # What setIamPolicy gave; none: what a new bucket has.
    retention_from_ms: int = 0
    retention_locked: bool = False
    soft_delete_from_ms: int = 0

    @property
    def is_versioned(self) -> bool:
        return bool(self.settings.get("versioning", {}).get("enabled"))

    @property
    def is_uniform(self) -> bool:
        """Uniform bucket-level access: no ACLs."""
        return bool(self.settings.get("iamConfiguration", {}).get("uniformBucketLevelAccess", {}).get("enabled"))

    @property
    def location(self) -> str:
        return str(self.settings["location"])

    @property
    def storage_class(self) -> str:
        return str(self.settings["storageClass"])

    @property
    def retention_ms(self) -> int:
        """0: no retention policy."""
        return int(self.settings.get("retentionPolicy", {}).get("retentionPeriod", 0)) * 1000

    @property
    def soft_delete_ms(self) -> int:
        """0: nothing is kept."""
        policy = self.settings.get("softDeletePolicy", {})
        return int(policy.get("retentionDurationSeconds", SOFT_DELETE_USUAL_S)) * 1000


class Object(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    name: str
    generation: int
    size: int
    crc32c: int
    created_ms: int
    updated_ms: int
    storage_class: str
    class_ms: int  # When it got its storage class.
    metageneration: int = 1
    md5: bytes = b""  # "Composite objects" have none.
    told: dict[str, Any] = {}  # Members of the resource that its owner writes, as the JSON API has them.
    acl: list[list[str]] = []
    body: bytes = b""
    blob: str = ""
    components: int = 0  # Of how many uploads it is composed; 0: it is not.
    key_sha256: str = ""  # Of the customer-supplied key.
    held_ms: int = 0  # When its event-based hold was released: its retention counts from then.
    gone_ms: int = 0  # When it became noncurrent.
    soft_ms: int = 0  # When it was soft-deleted,
    hard_ms: int = 0  # and when it is deleted for good.

    @property
    def etag(self) -> str:
        return etag_of(self.generation, self.metageneration)


class Upload(msgspec.Struct, frozen=True, omit_defaults=True):
    """A resumable upload, or one of the XML API in parts."""

    id: str
    bucket: str
    bucket_id: str
    name: str
    started_ms: int
    resource: dict[str, Any] = {}  # The object's metadata, as insert takes it.
    parameters: dict[str, str] = {}  # Those of the request that began it: preconditions, ACL.
    in_parts: bool = False
    received: int = 0
    total: int = -1  # Where the client said so.
    key_sha256: str = ""
    finished: int = 0  # The generation of what became of it.


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    number: int  # Of a resumable upload: where it begins.
    size: int
    md5: bytes
    crc32c: int
    blob: str
    at_ms: int


class HmacKey(msgspec.Struct, frozen=True):
    access_id: str
    secret: str
    project: str
    email: str
    state: str
    created_ms: int
    updated_ms: int
    changes: int = 1


class Rewrite(msgspec.Struct, frozen=True):
    """How far a rewrite has come that its caller wants in steps."""

    source: str
    target: str
    written: int
    at_ms: int


BUCKETS = Records(Bucket, "storage", "bucket")  # (name,): shared by all projects
LIVE = Records(Object, "storage", "live")  # (bucket id, name)
NONCURRENT = Records(Object, "storage", "noncurrent")  # (bucket id, name, generation)
SOFT_DELETED = Records(Object, "storage", "soft")  # (bucket id, name, generation)
UPLOADS = Records(Upload, "storage", "upload")  # (id,)
PARTS = Records(Part, "storage", "part")  # (upload id, number)
HMAC_KEYS = Records(HmacKey, "storage", "hmac")  # (access id,)
REWRITES = Records(Rewrite, "storage", "rewrite")  # (token,)


def bucket(tx: Tx, name: str) -> Bucket:
    found = BUCKETS.get_shared(tx, name)
    if found is None:
        raise no_such_bucket(name)
    return found


def locked_bucket(tx: Tx, name: str) -> Bucket:
    """One that is about to be changed."""
    found = BUCKETS.get(tx, name, lock=True)
    if found is None:
        raise no_such_bucket(name)
    return found


def find(tx: Tx, owner: Bucket, name: str, generation: int | None = None, *, lock: bool = False) -> Object | None:
    """The live object, or the generation that is named, live or not."""
    live = LIVE.get(tx, owner.id, name, lock=lock)
    if generation is None or (live is not None and live.generation == generation):
        return live
    return NONCURRENT.get(tx, owner.id, name, generation, lock=lock)


def object_(tx: Tx, owner: Bucket, name: str, generation: int | None = None, *, lock: bool = False) -> Object:
    found = find(tx, owner, name, generation, lock=lock)
    if found is None:
        raise no_such_object(owner.name, name, generation)
    return found


def soft_deleted(tx: Tx, owner: Bucket, name: str, generation: int, now_ms: int) -> Object:
    found = SOFT_DELETED.get(tx, owner.id, name, generation, lock=True)
    if found is None or found.hard_ms <= now_ms:
        raise no_such_object(owner.name, name, generation)
    return found


def rewrite(tx: Tx, owner: Bucket, was: Object, now: Object) -> None:
    """The same generation with something else told of it."""
    if was.gone_ms:
        NONCURRENT.put(tx, owner.id, now.name, now.generation, row=now)
    else:
        LIVE.put(tx, owner.id, now.name, row=now)


def generations(tx: Tx, owner: Bucket, name: str) -> Iterator[Object]:
    """All of a name that are not soft-deleted, the newest first."""
    live = LIVE.get(tx, owner.id, name)
    if live is not None:
        yield live
    for _, found in NONCURRENT.scan(tx, owner.id, name, reverse=True):
        yield found


def is_empty(tx: Tx, owner: Bucket) -> bool:
    """Soft-deleted objects do not keep a bucket from being deleted."""
    return not any(True for records in (LIVE, NONCURRENT) for _ in records.scan(tx, owner.id, limit=1))


def generation_of(new_id: str) -> int:
    """The moment and count of a UUIDv7 (`kernel.ids`): each greater than all before."""
    digits = new_id.replace("-", "")
    return int(digits[:12] + digits[13:16], 16)


def etag_of(*numbers: int) -> str:
    """Base64 of a protobuf with these fields, as Google's are."""
    made = bytearray()
    for at, number in enumerate(numbers, 1):
        made.append(at << 3)
        while number > 0x7F:
            made.append(number & 0x7F | 0x80)
            number >>= 7
        made.append(number)
    return b64encode(made).decode()
