"""What S3 remembers: buckets, objects with their earlier versions, and uploads that are on their way.

The row of a key is its current version, which may be a delete marker; earlier ones stand beside it, oldest first. Small
bodies lie in the row, others in a blob that is the version's alone: functions that let a version go answer its blob, to
be deleted once the transaction has committed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import ServiceError
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fogbank.kernel.store import Tx

IN_ROW_BYTES_MAX = 64 * 1024
ENABLED, SUSPENDED = "Enabled", "Suspended"
NULL = "null"  # The version of what was put while versioning was not enabled.


@dataclass(frozen=True, slots=True)
class Bucket:
    name: str
    account: str
    region: str
    created_ms: int
    settings: dict[str, Any] = field(default_factory=dict)  # By operation: what Put… gave and Get… answers.

    @property
    def versioning(self) -> str:
        """Enabled, Suspended, or "" where it never was."""
        return str(self.settings.get("versioning", ""))


@dataclass(frozen=True, slots=True)
class Object:
    key: str
    etag: str
    size: int
    modified_ms: int
    headers: dict[str, str]  # Members of the answers that the caller chose: ContentType, CacheControl, …
    metadata: dict[str, str]
    checksums: dict[str, str] = field(default_factory=dict)  # By member: ChecksumCRC32, …
    tags: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    blob: str = ""  # Name of a blob that is this object's alone; "" where the body is in the row.
    version: str = NULL
    order: str = ""  # Sorts the versions of a key by when they were made.
    marker: bool = False  # A delete marker: there is no object as long as it is the current version.
    parts: list[int] = field(default_factory=list)  # Sizes, where it was uploaded in parts.
    part_checksums: list[dict[str, str]] = field(default_factory=list)  # In the same order, where they brought some.
    checksum_type: str = ""


@dataclass(frozen=True, slots=True)
class Upload:
    id: str
    key: str
    started_ms: int
    headers: dict[str, str]
    metadata: dict[str, str]
    tags: dict[str, str]
    algorithm: str = ""  # CRC32, SHA256, …: what each part brings.
    checksum_type: str = ""  # COMPOSITE or FULL_OBJECT.


@dataclass(frozen=True, slots=True)
class Part:
    number: int
    etag: str
    size: int
    modified_ms: int
    blob: str
    checksums: dict[str, str] = field(default_factory=dict)


BUCKETS = Records(Bucket, "s3", "bucket")  # (name,): names are shared by all accounts
OBJECTS = Records(Object, "s3", "object")  # (bucket, key): the current version
EARLIER = Records(Object, "s3", "earlier")  # (bucket, key, order)
UPLOADS = Records(Upload, "s3", "upload")  # (bucket, key, id)
PARTS = Records(Part, "s3", "part")  # (upload id, number)


def bucket(tx: Tx, name: str) -> Bucket:
    found = BUCKETS.get(tx, name)
    if found is None:
        raise ServiceError(
            "NoSuchBucket", "The specified bucket does not exist", status=404, fields={"BucketName": name}
        )
    return found


def object_(tx: Tx, bucket_name: str, key: str, version: str | None = None) -> Object:
    """The current version, or the one that is named. Raises NoSuchKey, NoSuchVersion, MethodNotAllowed."""
    bucket(tx, bucket_name)
    current = OBJECTS.get(tx, bucket_name, key)
    if version is None:
        if current is None or current.marker:
            raise no_such_key(key, current)
        return current
    found = next((one for one in _versions(tx, bucket_name, key, current) if one.version == version), None)
    if found is None:
        fields = {"Key": key, "VersionId": version}
        raise ServiceError("NoSuchVersion", "The specified version does not exist.", status=404, fields=fields)
    if found.marker:
        told = "The specified method is not allowed against this resource."
        raise ServiceError(
            "MethodNotAllowed", told, status=405, fields={"Method": "GET", "ResourceType": "DeleteMarker"}
        )
    return found


def bucket_of(tx: Tx, request: Mapping[str, Any]) -> Bucket:
    """The bucket that a request is for; "ExpectedBucketOwner: […] the request fails with the HTTP status code 403"."""
    return _owned(bucket(tx, request["Bucket"]), request.get("ExpectedBucketOwner"))


def object_of(tx: Tx, request: Mapping[str, Any]) -> Object:
    bucket_of(tx, request)
    return object_(tx, request["Bucket"], request["Key"], request.get("VersionId"))


def source_of(tx: Tx, request: Mapping[str, Any], name: str, key: str, version: str | None) -> Object:
    """What is copied."""
    _owned(bucket(tx, name), request.get("ExpectedSourceBucketOwner"))
    return object_(tx, name, key, version)


def upload_of(tx: Tx, request: Mapping[str, Any], *, lock: bool = False) -> Upload:
    bucket_of(tx, request)
    return upload(tx, request["Bucket"], request["Key"], request["UploadId"], lock=lock)


def _owned(found: Bucket, owner: str | None) -> Bucket:
    if owner is not None and owner != found.account:
        raise ServiceError("AccessDenied", "Access Denied", status=403)
    return found


def no_such_key(key: str, marker: Object | None = None) -> ServiceError:
    error = ServiceError("NoSuchKey", "The specified key does not exist.", status=404, fields={"Key": key})
    if marker is not None:
        error.headers = {"x-amz-delete-marker": "true", "x-amz-version-id": marker.version}
    return error


def versions(tx: Tx, bucket_name: str, key: str) -> Iterator[Object]:
    """All of a key, delete markers too, the newest first."""
    return _versions(tx, bucket_name, key, OBJECTS.get(tx, bucket_name, key))


def _versions(tx: Tx, bucket_name: str, key: str, current: Object | None) -> Iterator[Object]:
    if current is not None:
        yield current
    for _, found in EARLIER.scan(tx, bucket_name, key, reverse=True):
        yield found


def put(tx: Tx, owner: Bucket, new: Object, new_id: str) -> tuple[Object, list[str]]:
    """Keep a new current version; (as kept, blobs that are nobody's now). `new_id` sorts by time."""
    before = OBJECTS.get(tx, owner.name, new.key, lock=True)
    if owner.versioning == ENABLED:
        kept, loose = replace(new, version=new_id.replace("-", ""), order=new_id), []
    else:
        kept, loose = replace(new, version=NULL, order=new_id), _drop_earlier_null(tx, owner, new.key)
    if before is not None:
        if before.version == kept.version:
            loose += [before.blob] if before.blob else []
        else:
            EARLIER.put(tx, owner.name, new.key, before.order, row=before)
    OBJECTS.put(tx, owner.name, new.key, row=kept)
    return kept, loose


def delete(tx: Tx, owner: Bucket, key: str, now_ms: int, new_id: str) -> tuple[Object | None, list[str]]:
    """What DELETE without a version does; (the marker it leaves, blobs that are nobody's now)."""
    if owner.versioning:
        marker = Object(key, "", 0, now_ms, {}, {}, marker=True)
        return put(tx, owner, marker, new_id)
    before = OBJECTS.get(tx, owner.name, key, lock=True)
    OBJECTS.delete(tx, owner.name, key)
    return None, [before.blob] if before and before.blob else []


def delete_version(tx: Tx, owner: Bucket, key: str, version: str) -> tuple[Object | None, list[str]]:
    """Forget one version for good; (what it was, blobs that are nobody's now). The next newest becomes current."""
    current = OBJECTS.get(tx, owner.name, key, lock=True)
    found = next((one for one in _versions(tx, owner.name, key, current) if one.version == version), None)
    if found is None:
        return None, []
    if found is current:
        OBJECTS.delete(tx, owner.name, key)
        for _, newest in EARLIER.scan(tx, owner.name, key, reverse=True, limit=1):
            EARLIER.delete(tx, owner.name, key, newest.order)
            OBJECTS.put(tx, owner.name, key, row=newest)
    else:
        EARLIER.delete(tx, owner.name, key, found.order)
    return found, [found.blob] if found.blob else []


def _drop_earlier_null(tx: Tx, owner: Bucket, key: str) -> list[str]:
    """There is one null version at most."""
    if not owner.versioning:
        return []
    found = [one for _, one in EARLIER.scan(tx, owner.name, key) if one.version == NULL]
    for one in found:
        EARLIER.delete(tx, owner.name, key, one.order)
    return [one.blob for one in found if one.blob]


def upload(tx: Tx, bucket_name: str, key: str, upload_id: str, *, lock: bool = False) -> Upload:
    bucket(tx, bucket_name)
    found = UPLOADS.get(tx, bucket_name, key, upload_id, lock=lock)
    if found is None:
        raise ServiceError(
            "NoSuchUpload",
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
            "completed.",
            status=404,
            fields={"UploadId": upload_id},
        )
    return found


def forget_upload(tx: Tx, bucket_name: str, gone: Upload) -> list[str]:
    """Drop the upload with its parts; the answer is their blobs."""
    blobs = [part.blob for part in PARTS.all(tx, gone.id)]
    PARTS.clear(tx, gone.id)
    UPLOADS.delete(tx, bucket_name, gone.key, gone.id)
    return blobs


def rewrite(tx: Tx, bucket_name: str, changed: Object) -> None:
    """The same version with something else told of it."""
    current = OBJECTS.get(tx, bucket_name, changed.key, lock=True)
    if current is not None and current.version == changed.version:
        OBJECTS.put(tx, bucket_name, changed.key, row=changed)
    else:
        EARLIER.put(tx, bucket_name, changed.key, changed.order, row=changed)
