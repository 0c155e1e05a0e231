"""S3, rule by rule, as its API reference and User Guide have them."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.cloud import Cloud

BUCKET = "shelf"
PART = b"x" * (5 * 1024 * 1024)
# Of "123456789", as the catalogues of CRCs have them.
CHECKS = {"ChecksumCRC32C": 0xE3069283.to_bytes(4), "ChecksumCRC64NVME": 0xAE8B14860A799888.to_bytes(8)}


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    client = cloud.client("s3")
    client.create_bucket(Bucket=BUCKET)
    return client


def refused(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**request)
    return str(error.value.response["Error"]["Code"])


def put(s3: Any, key: str = "k", body: bytes = b"123456789", **options: Any) -> Any:
    return s3.put_object(Bucket=BUCKET, Key=key, Body=body, **options)


# -- keys --

KEYS = ["a b", "a+b", "ü/ö", "a//b", "/lead", "..", "a/../b", "x%20y", "a?b", "a#b", "é" * 512, "new\nline", "trail/"]


def test_keys_are_any_text_and_listed_in_pages_as_they_were_written(s3: Any) -> None:
    """User Guide, "Naming Amazon S3 objects"."""
    for key in KEYS:
        put(s3, key, key.encode())
        assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == key.encode()
    for operation in ("list_objects_v2", "list_objects"):
        pages = s3.get_paginator(operation).paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 2})
        assert [one["Key"] for page in pages for one in page["Contents"]] == sorted(KEYS, key=str.encode)
    assert refused(put, s3=s3, key="k" * 1025) == "KeyTooLongError"


def test_markers_are_encoded_as_keys_are_where_that_is_asked_for(s3: Any) -> None:
    for key in ("%41/x", "%42/x", "%43/x"):
        put(s3, key)
    seen, marker = [], {}
    while True:  # Botocore asks for url encoding, and decodes what the answer says is encoded.
        page = s3.list_objects(Bucket=BUCKET, Delimiter="/", MaxKeys=1, **marker)
        seen += [one["Prefix"] for one in page["CommonPrefixes"]]
        if not page["IsTruncated"]:
            break
        marker = {"Marker": page["NextMarker"]}
    assert seen == ["%41/", "%42/", "%43/"]


def test_a_continuation_token_that_s3_never_gave_is_refused(s3: Any) -> None:
    assert refused(s3.list_objects_v2, Bucket=BUCKET, ContinuationToken="no token") == "InvalidArgument"


# -- what is held against the body ("Checking object integrity in Amazon S3") --


@pytest.mark.parametrize("member", CHECKS)
def test_a_checksum_is_computed_and_compared(s3: Any, member: str) -> None:
    good = b64encode(CHECKS[member]).decode()
    assert put(s3, **{member: good})[member] == good
    assert refused(put, s3=s3, **{member: b64encode(b"\0" * len(CHECKS[member])).decode()}) == "BadDigest"
    read = s3.head_object(Bucket=BUCKET, Key="k", ChecksumMode="ENABLED")
    assert (read[member], read["ChecksumType"]) == (good, "FULL_OBJECT")


def test_an_object_without_a_checksum_is_given_one(cloud: Cloud, s3: Any) -> None:
    old = cloud.client("s3", config=Config(request_checksum_calculation="when_required"))
    old.put_object(Bucket=BUCKET, Key="old", Body=b"123456789")
    shown = s3.get_object_attributes(Bucket=BUCKET, Key="old", ObjectAttributes=["Checksum"])["Checksum"]
    assert shown["ChecksumCRC64NVME"] == b64encode(CHECKS["ChecksumCRC64NVME"]).decode()


def upload(s3: Any, parts: list[bytes], algorithm: str, **options: Any) -> tuple[str, list[dict[str, Any]]]:
    begun = s3.create_multipart_upload(Bucket=BUCKET, Key="big", ChecksumAlgorithm=algorithm, **options)
    rows = []
    for number, body in enumerate(parts, 1):
        where = {"Bucket": BUCKET, "Key": "big", "UploadId": begun["UploadId"], "PartNumber": number}
        sent = s3.upload_part(**where, Body=body, ChecksumAlgorithm=algorithm)
        member = f"Checksum{algorithm}"
        rows.append({"PartNumber": number, "ETag": sent["ETag"], member: sent[member]})
    return str(begun["UploadId"]), rows


def test_parts_with_checksums_are_told_one_by_one(s3: Any) -> None:
    upload_id, rows = upload(s3, [PART, b"end"], "SHA256")
    where = {"Bucket": BUCKET, "Key": "big"}
    done = s3.complete_multipart_upload(**where, UploadId=upload_id, MultipartUpload={"Parts": rows})
    assert done["ChecksumSHA256"].endswith("-2")
    told = s3.get_object_attributes(**where, ObjectAttributes=["ObjectParts"], MaxParts=1)["ObjectParts"]
    assert (told["TotalPartsCount"], told["IsTruncated"], told["NextPartNumberMarker"]) == (2, True, 1)
    assert told["Parts"] == [{"PartNumber": 1, "Size": len(PART), "ChecksumSHA256": rows[0]["ChecksumSHA256"]}]


def test_the_checksum_of_a_whole_upload_is_computed_and_compared(s3: Any) -> None:
    where = {"Bucket": BUCKET, "Key": "big"}
    upload_id, rows = upload(s3, [PART, b"end"], "CRC32", ChecksumType="FULL_OBJECT")
    finish = {**where, "UploadId": upload_id, "MultipartUpload": {"Parts": rows}}
    assert refused(s3.complete_multipart_upload, **finish, ChecksumCRC32="AAAAAA==") == "BadDigest"
    assert refused(s3.complete_multipart_upload, **finish, MpuObjectSize=7) == "InvalidRequest"
    whole = s3.complete_multipart_upload(**finish)["ChecksumCRC32"]
    put(s3, "one", PART + b"end", ChecksumAlgorithm="CRC32")
    assert s3.head_object(Bucket=BUCKET, Key="one", ChecksumMode="ENABLED")["ChecksumCRC32"] == whole


def test_a_checksum_type_must_suit_its_algorithm_and_a_part_its_upload(s3: Any) -> None:
    where = {"Bucket": BUCKET, "Key": "big"}
    begin = s3.create_multipart_upload
    assert refused(begin, **where, ChecksumAlgorithm="SHA256", ChecksumType="FULL_OBJECT") == "InvalidRequest"
    assert refused(begin, **where, ChecksumAlgorithm="CRC64NVME", ChecksumType="COMPOSITE") == "InvalidRequest"
    begun = begin(**where, ChecksumAlgorithm="SHA256")["UploadId"]
    part = {**where, "UploadId": begun, "PartNumber": 1, "Body": b"x"}
    assert refused(s3.upload_part, **part, ChecksumAlgorithm="CRC32") == "InvalidRequest"


# -- headers and conditions --


def test_what_a_writer_says_of_encryption_and_expiry_a_reader_is_told(s3: Any) -> None:
    until = datetime(2030, 1, 1, tzinfo=UTC)
    put(s3, Expires=until, ServerSideEncryption="aws:kms", SSEKMSKeyId="key-1", BucketKeyEnabled=True)
    shown = s3.head_object(Bucket=BUCKET, Key="k")
    assert (shown["ServerSideEncryption"], shown["SSEKMSKeyId"], shown["BucketKeyEnabled"]) == (
        "aws:kms",
        "key-1",
        True,
    )
    assert shown["Expires"] == until
    assert s3.head_object(Bucket=BUCKET, Key="k", ResponseContentType="text/x")["ContentType"] == "text/x"


def test_a_buckets_default_encryption_counts_where_the_writer_says_nothing(s3: Any) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "key-2"}}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert put(s3)["SSEKMSKeyId"] == "key-2"
    assert put(s3, ServerSideEncryption="AES256")["ServerSideEncryption"] == "AES256"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"ACL": "public-read"}, "AccessControlListNotSupported"),
        ({"GrantRead": "id=1"}, "AccessControlListNotSupported"),
        ({"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "0" * 32}, "NotImplemented"),
        ({"ObjectLockLegalHoldStatus": "ON"}, "NotImplemented"),
        ({"IfNoneMatch": '"etag"'}, "NotImplemented"),
        ({"Metadata": {"a": "x" * 2048}}, "MetadataTooLarge"),
        ({"Tagging": "&".join(f"t{number}=x" for number in range(11))}, "BadRequest"),
        ({"ExpectedBucketOwner": "999999999999"}, "AccessDenied"),
    ],
)
def test_what_would_not_be_done_is_refused(s3: Any, given: Any, code: str) -> None:
    assert refused(put, s3=s3, **given) == code
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)


def test_every_operation_asks_whose_the_bucket_is_where_the_caller_does(s3: Any) -> None:
    put(s3)
    other = {"Bucket": BUCKET, "ExpectedBucketOwner": "999999999999"}
    assert refused(s3.get_object, **other, Key="k") == "AccessDenied"
    assert refused(s3.delete_object, **other, Key="k") == "AccessDenied"
    assert refused(s3.list_objects_v2, **other) == "AccessDenied"
    assert refused(s3.get_bucket_location, **other) == "AccessDenied"
    copied = {"Bucket": BUCKET, "Key": "copy", "CopySource": f"{BUCKET}/k"}
    assert refused(s3.copy_object, **copied, ExpectedSourceBucketOwner="999999999999") == "AccessDenied"


def test_a_copy_heeds_what_is_there_already(s3: Any) -> None:
    """User Guide, "How to prevent object overwrites with conditional writes"."""
    put(s3, "a", b"a")
    copied = {"Bucket": BUCKET, "Key": "b", "CopySource": f"{BUCKET}/a"}
    s3.copy_object(**copied, IfNoneMatch="*")
    assert refused(s3.copy_object, **copied, IfNoneMatch="*") == "PreconditionFailed"


def test_a_copy_is_one_object_with_a_storage_class_of_its_own_and_the_checksum_that_is_asked_for(s3: Any) -> None:
    upload_id, rows = upload(s3, [PART, b"end"], "CRC32")
    s3.complete_multipart_upload(Bucket=BUCKET, Key="big", UploadId=upload_id, MultipartUpload={"Parts": rows})
    copied = {"Bucket": BUCKET, "Key": "copy", "CopySource": f"{BUCKET}/big"}
    made = s3.copy_object(**copied, StorageClass="STANDARD_IA", ChecksumAlgorithm="SHA1")["CopyObjectResult"]
    assert "-" not in made["ETag"]
    assert made["ChecksumType"] == "FULL_OBJECT"
    shown = s3.head_object(Bucket=BUCKET, Key="copy", ChecksumMode="ENABLED")
    assert (shown["StorageClass"], shown["ChecksumSHA1"]) == ("STANDARD_IA", made["ChecksumSHA1"])
    s3.copy_object(Bucket=BUCKET, Key="again", CopySource=f"{BUCKET}/copy")
    assert "StorageClass" not in s3.head_object(Bucket=BUCKET, Key="again")


def test_an_object_may_be_deleted_only_as_it_is_known(s3: Any) -> None:
    """DeleteObject, If-Match."""
    etag = put(s3)["ETag"]
    assert refused(s3.delete_object, Bucket=BUCKET, Key="k", IfMatch='"other"') == "PreconditionFailed"
    told = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "k", "ETag": '"other"'}]})
    assert [one["Code"] for one in told["Errors"]] == ["PreconditionFailed"]
    s3.delete_object(Bucket=BUCKET, Key="k", IfMatch=etag)
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)


def test_a_part_and_a_range_cannot_be_asked_for_at_once(s3: Any) -> None:
    put(s3)
    assert refused(s3.get_object, Bucket=BUCKET, Key="k", Range="bytes=0-0", PartNumber=1) == "InvalidRequest"


def test_buckets_are_listed_in_pages_and_by_region(cloud: Cloud, s3: Any) -> None:
    cloud.client("s3", region="eu-west-1").create_bucket(
        Bucket="abroad",
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1", "Tags": [{"Key": "a", "Value": "b"}]},
    )
    pages = s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 1})
    assert [[one["Name"] for one in page["Buckets"]] for page in pages] == [["abroad"], [BUCKET]]
    assert [one["Name"] for one in s3.list_buckets(BucketRegion="eu-west-1")["Buckets"]] == ["abroad"]
    assert s3.get_bucket_tagging(Bucket="abroad")["TagSet"] == [{"Key": "a", "Value": "b"}]
    assert refused(s3.create_bucket, Bucket="open", ACL="public-read") == "InvalidBucketAclWithObjectOwnership"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("Content-MD5", b64encode(b"0" * 16).decode(), "BadDigest"),
        ("Content-MD5", "no base64", "InvalidDigest"),
        ("x-amz-checksum-crc32", "AAAAAA==", "BadDigest"),
        ("x-amz-checksum-sha256", b64encode(b"0" * 32).decode(), "BadDigest"),
    ],
)
def test_a_document_is_held_against_the_digest_that_it_comes_with(
    cloud: Cloud, s3: Any, name: str, value: str, code: str
) -> None:
    put(s3)
    deletion = b"<Delete><Object><Key>k</Key></Object></Delete>"
    answer = httpx.post(f"{cloud.url}/{BUCKET}?delete", content=deletion, headers={name: value})
    assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (400, True)
    s3.head_object(Bucket=BUCKET, Key="k")
