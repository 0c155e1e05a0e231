"""What S3 remembers: buckets, and objects whose bodies lie in the row if they are small and in a blob if not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import ServiceError
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

IN_ROW_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class Bucket:
    name: str
    account: str
    region: str
    created_ms: int
    settings: dict[str, Any] = field(default_factory=dict)  # By operation: what Put… gave and Get… answers.


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


BUCKETS = Records(Bucket, "s3", "bucket")  # (name,): names are shared by all accounts
OBJECTS = Records(Object, "s3", "object")  # (bucket, key)


def bucket(tx: Tx, name: str) -> Bucket:
    found = BUCKETS.get(tx, name)
    if found is None:
        raise ServiceError(
            "NoSuchBucket", "The specified bucket does not exist", status=404, fields={"BucketName": name}
        )
    return found


def object_(tx: Tx, bucket_name: str, key: str) -> Object:
    bucket(tx, bucket_name)
    found = OBJECTS.get(tx, bucket_name, key)
    if found is None:
        raise ServiceError("NoSuchKey", "The specified key does not exist.", status=404, fields={"Key": key})
    return found


def put(tx: Tx, bucket_name: str, new: Object) -> str:
    """Keep an object; the answer is the blob of the one that it replaces, or nothing."""
    before = OBJECTS.get(tx, bucket_name, new.key, lock=True)
    OBJECTS.put(tx, bucket_name, new.key, row=new)
    return before.blob if before else ""


def forget(tx: Tx, bucket_name: str, key: str) -> str:
    """Drop an object; the answer is its blob, or nothing."""
    before = OBJECTS.get(tx, bucket_name, key, lock=True)
    OBJECTS.delete(tx, bucket_name, key)
    return before.blob if before else ""
