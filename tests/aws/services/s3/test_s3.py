"""S3, told through boto3."""

from __future__ import annotations

import os
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.cloud import Cloud


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    client = cloud.client("s3")
    client.create_bucket(Bucket="shelf")
    return client


def code(failure: pytest.ExceptionInfo[ClientError]) -> str:
    return str(failure.value.response["Error"]["Code"])


def test_an_object_comes_back_as_it_was_put(s3: Any) -> None:
    put = s3.put_object(Bucket="shelf", Key="a b/ä", Body=b"hello", ContentType="text/plain", Metadata={"who": "ann"})
    got = s3.get_object(Bucket="shelf", Key="a b/ä")
    assert got["Body"].read() == b"hello"
    assert (got["ContentType"], got["Metadata"], got["ETag"]) == ("text/plain", {"who": "ann"}, put["ETag"])


def test_a_large_object_survives_a_restart_and_is_read_in_part(cloud: Cloud, s3: Any) -> None:
    body = os.urandom(3_000_000)
    s3.put_object(Bucket="shelf", Key="large", Body=body)
    cloud.restart()
    client = cloud.client("s3")
    assert client.get_object(Bucket="shelf", Key="large")["Body"].read() == body
    part = client.get_object(Bucket="shelf", Key="large", Range="bytes=1000000-1000009")
    assert part["Body"].read() == body[1_000_000:1_000_010]
    assert part["ContentRange"] == "bytes 1000000-1000009/3000000"
    with pytest.raises(ClientError) as failure:
        client.get_object(Bucket="shelf", Key="large", Range="bytes=3000000-")
    assert code(failure) == "InvalidRange"


def test_keys_are_listed_in_order_in_pages_and_by_folder(s3: Any) -> None:
    for key in ("b/2", "a", "b/1", "c"):
        s3.put_object(Bucket="shelf", Key=key, Body=b"")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="shelf", PaginationConfig={"PageSize": 2})
    assert [item["Key"] for page in pages for item in page["Contents"]] == ["a", "b/1", "b/2", "c"]
    listed = s3.list_objects_v2(Bucket="shelf", Delimiter="/")
    assert [item["Key"] for item in listed["Contents"]] == ["a", "c"]
    assert listed["CommonPrefixes"] == [{"Prefix": "b/"}]
    assert [i["Key"] for i in s3.list_objects_v2(Bucket="shelf", Prefix="b/")["Contents"]] == ["b/1", "b/2"]


def test_a_body_that_does_not_fit_its_checksum_is_refused(s3: Any) -> None:
    with pytest.raises(ClientError) as failure:
        s3.put_object(Bucket="shelf", Key="k", Body=b"hello", ChecksumCRC32="AAAAAA==")
    assert code(failure) == "BadDigest"


def test_two_objects_with_one_content_do_not_take_it_from_each_other(s3: Any) -> None:
    body = os.urandom(100_000)
    for key in ("one", "two"):
        s3.put_object(Bucket="shelf", Key=key, Body=body)
    s3.delete_object(Bucket="shelf", Key="one")
    assert s3.get_object(Bucket="shelf", Key="two")["Body"].read() == body


def test_a_copy_stays_when_what_it_was_made_of_goes(s3: Any) -> None:
    body = os.urandom(100_000)
    s3.put_object(Bucket="shelf", Key="one", Body=body)
    s3.copy_object(Bucket="shelf", Key="two", CopySource={"Bucket": "shelf", "Key": "one"})
    s3.put_object(Bucket="shelf", Key="one", Body=b"other")
    assert s3.get_object(Bucket="shelf", Key="two")["Body"].read() == body


def test_what_is_deleted_leaves_no_file_behind(cloud: Cloud, s3: Any) -> None:
    for _ in range(2):
        s3.put_object(Bucket="shelf", Key="k", Body=os.urandom(100_000))
    s3.delete_object(Bucket="shelf", Key="k")
    assert [path for path in cloud.config.blobs_dir.rglob("*") if path.is_file()] == []


def test_what_is_missing_is_told_in_s3s_words(s3: Any) -> None:
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="shelf", Key="nothing")
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.list_objects_v2(Bucket="nowhere")
    s3.put_object(Bucket="shelf", Key="k", Body=b"")
    with pytest.raises(ClientError) as failure:
        s3.delete_bucket(Bucket="shelf")
    assert code(failure) == "BucketNotEmpty"


def test_only_the_first_wins_who_puts_if_nothing_is_there(s3: Any) -> None:
    s3.put_object(Bucket="shelf", Key="lock", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError) as failure:
        s3.put_object(Bucket="shelf", Key="lock", Body=b"2", IfNoneMatch="*")
    assert code(failure) == "PreconditionFailed"
