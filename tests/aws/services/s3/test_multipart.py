"""Uploads in parts, by boto3 and the AWS CLI. S3 User Guide, "Uploading and copying objects using multipart upload"."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tests.support.command import awscli

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cloud import Cloud

MB = 1024 * 1024
BUCKET = "uploads"


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    client = cloud.client("s3")
    client.create_bucket(Bucket=BUCKET)
    return client


def begin(s3: Any, key: str = "k", **more: Any) -> dict[str, str]:
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key, **more)
    return {"Bucket": BUCKET, "Key": key, "UploadId": upload["UploadId"]}


def put_parts(s3: Any, upload: dict[str, str], *parts: bytes) -> dict[str, Any]:
    etags = [s3.upload_part(**upload, PartNumber=n, Body=body)["ETag"] for n, body in enumerate(parts, 1)]
    return {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]}


def code(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return str(caught.value.response["Error"]["Code"])


def files(cloud: Cloud) -> int:
    return sum(1 for path in cloud.config.blobs_dir.rglob("*") if path.is_file())


def test_parts_become_one_object_that_survives_a_restart(cloud: Cloud, s3: Any) -> None:
    upload = begin(s3, ContentType="text/x", Metadata={"colour": "blue"})
    parts = put_parts(s3, upload, b"a" * 5 * MB, b"b" * 5 * MB, b"c")
    cloud.restart()
    s3 = cloud.client("s3")
    done = s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    digests = b"".join(hashlib.md5(body).digest() for body in (b"a" * 5 * MB, b"b" * 5 * MB, b"c"))
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
    found = s3.get_object(Bucket=BUCKET, Key="k")
    assert found["Body"].read() == b"a" * 5 * MB + b"b" * 5 * MB + b"c"
    assert (found["ContentType"], found["Metadata"]) == ("text/x", {"colour": "blue"})
    last = s3.get_object(Bucket=BUCKET, Key="k", PartNumber=3)
    assert (last["Body"].read(), last["PartsCount"]) == (b"c", 3)
    assert last["ContentRange"] == f"bytes {10 * MB}-{10 * MB}/{10 * MB + 1}"
    assert files(cloud) == 1, "the parts' own files are gone"
    assert code(s3.complete_multipart_upload, **upload, MultipartUpload=parts) == "NoSuchUpload"


def test_a_part_may_be_sent_again_and_the_last_one_counts(s3: Any) -> None:
    upload = begin(s3)
    put_parts(s3, upload, b"first")
    parts = put_parts(s3, upload, b"second")
    s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    assert s3.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"second"


def test_what_is_completed_must_be_what_was_sent(s3: Any) -> None:
    upload = begin(s3)
    parts = put_parts(s3, upload, b"small", b"last")["Parts"]
    complete = s3.complete_multipart_upload
    assert code(complete, **upload, MultipartUpload={"Parts": parts}) == "EntityTooSmall"
    assert code(complete, **upload, MultipartUpload={"Parts": parts[::-1]}) == "InvalidPartOrder"
    assert code(complete, **upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": '"0"'}]}) == "InvalidPart"
    assert code(complete, **upload, MultipartUpload={"Parts": [{"PartNumber": 9, "ETag": '"0"'}]}) == "InvalidPart"
    assert code(complete, **upload) == "MalformedXML"
    assert code(s3.upload_part, **upload, PartNumber=10_001, Body=b"") == "InvalidArgument"
    assert code(s3.head_object, Bucket=BUCKET, Key="k") == "404"


def test_an_upload_that_is_aborted_leaves_nothing(cloud: Cloud, s3: Any) -> None:
    upload = begin(s3)
    put_parts(s3, upload, b"x" * 100_000, b"y")
    s3.abort_multipart_upload(**upload)
    assert files(cloud) == 0
    assert code(s3.upload_part, **upload, PartNumber=1, Body=b"") == "NoSuchUpload"
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)


def test_a_part_may_be_copied_out_of_an_object(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="source", Body=b"0123456789" * 20_000)
    upload = begin(s3)
    source = {"Bucket": BUCKET, "Key": "source"}
    copied = s3.upload_part_copy(**upload, PartNumber=1, CopySource=source, CopySourceRange="bytes=10-13")
    etag = copied["CopyPartResult"]["ETag"]
    assert etag == f'"{hashlib.md5(b"0123").hexdigest()}"'
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert s3.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"0123"


def test_parts_and_uploads_are_listed_in_pages(s3: Any) -> None:
    upload = begin(s3, "a/1")
    put_parts(s3, upload, b"1", b"22", b"333")
    begin(s3, "a/2")
    begin(s3, "b")
    first = s3.list_parts(**upload, MaxParts=2)
    assert [part["Size"] for part in first["Parts"]] == [1, 2] and first["IsTruncated"]
    rest = s3.list_parts(**upload, PartNumberMarker=first["NextPartNumberMarker"])
    assert [part["PartNumber"] for part in rest["Parts"]] == [3] and not rest["IsTruncated"]
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=BUCKET, MaxUploads=1)
    assert [one["Key"] for page in pages for one in page.get("Uploads", [])] == ["a/1", "a/2", "b"]
    rolled = s3.list_multipart_uploads(Bucket=BUCKET, Delimiter="/")
    assert [one["Prefix"] for one in rolled["CommonPrefixes"]] == ["a/"]
    assert [one["Key"] for one in rolled["Uploads"]] == ["b"]


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256", "CRC32C"])
def test_the_checksum_of_the_whole_is_made_of_those_of_the_parts(s3: Any, algorithm: str) -> None:
    if algorithm == "CRC32C":
        pytest.importorskip("awscrt", reason="botocore computes CRC32C with awscrt")
    upload = begin(s3, ChecksumAlgorithm=algorithm)
    sent = s3.upload_part(**upload, PartNumber=1, Body=b"abc", ChecksumAlgorithm=algorithm)
    member = f"Checksum{algorithm}"
    part = {"PartNumber": 1, "ETag": sent["ETag"], member: sent[member]}
    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [part]})
    assert done[member].endswith("-1")
    assert s3.head_object(Bucket=BUCKET, Key="k", ChecksumMode="ENABLED")[member] == done[member]


def test_boto3_moves_large_files_in_parts(s3: Any) -> None:
    body = bytes(range(256)) * 4096 * 13  # 13 MB
    s3.upload_fileobj(
        io.BytesIO(body), BUCKET, "large", Config=TransferConfig(multipart_threshold=5 * MB, multipart_chunksize=5 * MB)
    )
    assert s3.head_object(Bucket=BUCKET, Key="large")["ETag"].endswith('-3"')
    back = io.BytesIO()
    s3.download_fileobj(BUCKET, "large", back)
    assert back.getvalue() == body


def test_the_aws_cli_copies_a_large_file_there_and_back(cloud: Cloud, s3: Any, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(range(256)) * 4096 * 20)  # 20 MB: over the CLI's threshold of 8.
    awscli(cloud.url, "s3", "cp", str(tmp_path / "large"), f"s3://{BUCKET}/large")
    awscli(cloud.url, "s3", "cp", f"s3://{BUCKET}/large", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "large").read_bytes()
    assert s3.head_object(Bucket=BUCKET, Key="large")["ETag"].endswith('-3"')
