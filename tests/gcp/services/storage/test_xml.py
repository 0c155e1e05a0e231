"""The XML API, by path and by host, with S3's client where that can speak it; and S3's own buckets beside it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.gcp.services.storage.conftest import client_of, names, put
from tests.support.cloud import Cloud
from tests.support.google import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "storage.googleapis.com"
MIB = 1 << 20


@pytest.fixture
def xml(shared: Cloud) -> Iterator[httpx.Client]:
    headers = {"Host": HOST, "x-goog-project-id": PROJECT}
    with httpx.Client(base_url=shared.url, headers=headers, timeout=30) as client:
        yield client


def texts(answer: httpx.Response, tag: str) -> list[str]:
    return re.findall(f"<{tag}>([^<]*)</{tag}>", answer.text)


def test_objects_are_put_read_and_deleted(xml: httpx.Client, bucket: Any) -> None:
    headers = {"Content-Type": "a/b", "x-goog-meta-colour": "blue", "x-goog-storage-class": "NEARLINE"}
    made = xml.put(f"/{bucket.name}/a/b", content=b"123456789", headers=headers)
    assert (made.status_code, made.headers["etag"]) == (200, '"25f9e794323b453885f5181f1b624d0b"')
    assert made.headers["x-goog-hash"] == "crc32c=4waSgw==,md5=JfnnlDI7RTiF9RgfG2JNCw=="
    found = xml.get(f"/{bucket.name}/a/b", headers={"Range": "bytes=2-4"})
    assert (found.status_code, found.content, found.headers["x-goog-meta-colour"]) == (206, b"345", "blue")
    assert bucket.get_blob("a/b").storage_class == "NEARLINE"
    assert xml.delete(f"/{bucket.name}/a/b").status_code == 204
    gone = xml.get(f"/{bucket.name}/a/b")
    assert (gone.status_code, texts(gone, "Code")) == (404, ["NoSuchKey"])


def test_the_host_may_name_the_bucket(shared: Cloud, bucket: Any) -> None:
    headers = {"Host": f"{bucket.name}.{HOST}"}
    assert httpx.put(f"{shared.url}/a", content=b"content", headers=headers).status_code == 200
    assert names(bucket.list_blobs()) == ["a"]
    assert texts(httpx.get(f"{shared.url}/", headers=headers), "Key") == ["a"]


def test_buckets_are_made_listed_and_deleted(xml: httpx.Client) -> None:
    body = b"<CreateBucketConfiguration><LocationConstraint>EU</LocationConstraint></CreateBucketConfiguration>"
    assert xml.put("/made-by-xml", content=body).status_code == 200
    assert "made-by-xml" in texts(xml.get("/"), "Name")
    assert (
        "<LocationConstraint xmlns='http://doc.s3.amazonaws.com/2006-03-01'>EU<"
        in xml.get("/made-by-xml?location").text
    )
    taken = xml.put("/made-by-xml")
    assert (taken.status_code, texts(taken, "Code")) == (409, ["BucketAlreadyOwnedByYou"])
    assert xml.delete("/made-by-xml").status_code == 204
    assert texts(xml.get("/made-by-xml"), "Code") == ["NoSuchBucket"]


@pytest.mark.parametrize("second", [False, True])
def test_objects_are_listed_in_pages(xml: httpx.Client, bucket: Any, second: bool) -> None:
    for name in ("a/1", "a/2", "b", "c&<d>", "e/1", "f"):
        put(bucket, name)
    asked: dict[str, Any] = {"delimiter": "/", "max-keys": 2} | ({"list-type": "2"} if second else {})
    keys, prefixes = [], []
    while True:
        page = xml.get(f"/{bucket.name}", params=asked)
        keys += texts(page, "Key")
        prefixes += re.findall("<CommonPrefixes><Prefix>([^<]*)<", page.text)
        if texts(page, "IsTruncated") == ["false"]:
            break
        if second:
            asked["continuation-token"] = texts(page, "NextContinuationToken")[0]
        else:
            asked["marker"] = texts(page, "NextMarker")[0]
    assert (keys, prefixes) == (["b", "c&amp;&lt;d&gt;", "f"], ["a/", "e/"])


def test_conditions_are_headers(xml: httpx.Client, bucket: Any) -> None:
    where = f"/{bucket.name}/a"
    assert xml.put(where, content=b"1", headers={"x-goog-if-generation-match": "0"}).status_code == 200
    again = xml.put(where, content=b"2", headers={"x-goog-if-generation-match": "0"})
    assert (again.status_code, texts(again, "Code")) == (412, ["PreconditionFailed"])
    etag = xml.get(where).headers["etag"]
    assert xml.get(where, headers={"If-None-Match": etag}).status_code == 304
    assert xml.get(where, headers={"If-Match": '"other"'}).status_code == 412


def test_objects_are_copied_and_composed(xml: httpx.Client, bucket: Any) -> None:
    put(bucket, "ü a", "first ")
    put(bucket, "b", "second")
    copied = xml.put(f"/{bucket.name}/copy", headers={"x-goog-copy-source": f"/{bucket.name}/%C3%BC%20a"})
    assert copied.status_code == 200, copied.text
    body = (
        "<ComposeRequest><Component><Name>copy</Name></Component><Component><Name>b</Name></Component></ComposeRequest>"
    )
    assert xml.put(f"/{bucket.name}/whole?compose", content=body).status_code == 200
    assert bucket.blob("whole").download_as_bytes() == b"first second"


def test_a_bucket_says_which_pages_may_read_it(xml: httpx.Client, bucket: Any) -> None:
    bucket.cors = [{"origin": ["https://*.example"], "method": ["GET"], "responseHeader": ["Content-Type"],
                    "maxAgeSeconds": 60}]  # fmt: skip
    bucket.patch()
    put(bucket, "a")
    where, asked = f"/{bucket.name}/a", {"Access-Control-Request-Method": "GET"}
    told = xml.options(where, headers={"Origin": "https://a.example", **asked}).headers
    assert told["access-control-allow-origin"] == "https://a.example"
    assert (told["access-control-allow-methods"], told["access-control-max-age"]) == ("GET", "60")
    for origin, method in (("https://a.other", "GET"), ("https://a.example", "PUT")):
        refused = xml.options(where, headers={"Origin": origin, "Access-Control-Request-Method": method})
        assert "access-control-allow-origin" not in refused.headers
    assert (
        xml.get(where, headers={"Origin": "https://a.example"}).headers["access-control-expose-headers"]
        == "Content-Type"
    )


def test_documents_are_read_without_trust(xml: httpx.Client, bucket: Any) -> None:
    for body in (b"<a", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"\xff\xfe", b"<a/>" * 2, b"<a>" * 200_000):
        answer = xml.put(f"/{bucket.name}?versioning", content=body)
        assert (answer.status_code, texts(answer, "Code")) == (400, ["MalformedXML"])


def test_what_is_not_served_is_refused_by_name(xml: httpx.Client, bucket: Any) -> None:
    answer = xml.get(f"/{bucket.name}?billing")
    assert (answer.status_code, texts(answer, "Code")) == (501, ["NotImplemented"])
    assert "GET of billing" in answer.text


# -- S3's client --


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One whose clock is the machine's: boto3 signs by that."""
    running = Cloud(tmp_path_factory.mktemp("moving") / "data", moving=True)
    yield running
    running.stop()


def _s3(cloud: Cloud, access_id: str, secret: str) -> Any:
    """boto3 for `storage.googleapis.com`, by way of a proxy as far as it knows: this server."""
    config = Config(
        proxies={"http": cloud.url}, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1},
        request_checksum_calculation="when_required", response_checksum_validation="when_required",
    )  # fmt: skip
    return boto3.client(
        "s3", endpoint_url=f"http://{HOST}", region_name="auto", aws_access_key_id=access_id,
        aws_secret_access_key=secret, config=config,
    )  # fmt: skip


def test_s3s_client_uploads_in_parts_with_a_key_of_ours(moving: Cloud) -> None:
    gcs = client_of(moving)
    key, secret = gcs.create_hmac_key("robot@example.com", project_id=PROJECT)
    bucket, s3, content = gcs.create_bucket("interoperable"), _s3(moving, key.access_id, secret), os.urandom(6 * MIB)
    upload = s3.create_multipart_upload(Bucket=bucket.name, Key="a", ContentType="a/b")["UploadId"]
    parts = []
    for number, piece in enumerate((content[: 5 * MIB], content[5 * MIB :]), 1):
        told = s3.upload_part(Bucket=bucket.name, Key="a", UploadId=upload, PartNumber=number, Body=piece)
        parts.append({"PartNumber": number, "ETag": told["ETag"]})
    assert [part["Size"] for part in s3.list_parts(Bucket=bucket.name, Key="a", UploadId=upload)["Parts"]] == [
        5 * MIB, MIB,
    ]  # fmt: skip
    for wrong in ([parts[1], parts[0]], [{"PartNumber": 1, "ETag": "other"}], [{"PartNumber": 9, "ETag": "x"}]):
        with pytest.raises(ClientError, match="InvalidPart"):
            s3.complete_multipart_upload(Bucket=bucket.name, Key="a", UploadId=upload, MultipartUpload={"Parts": wrong})
    s3.complete_multipart_upload(Bucket=bucket.name, Key="a", UploadId=upload, MultipartUpload={"Parts": parts})
    assert bucket.blob("a").download_as_bytes() == content
    assert bucket.get_blob("a").content_type == "a/b"
    assert s3.get_object(Bucket=bucket.name, Key="a")["Body"].read() == content


def test_an_upload_in_parts_is_listed_and_given_up(moving: Cloud) -> None:
    bucket = client_of(moving).create_bucket("given-up")
    s3 = _s3(moving, "GOOGUNKNOWN", "any")
    upload = s3.create_multipart_upload(Bucket=bucket.name, Key="a")["UploadId"]
    s3.upload_part(Bucket=bucket.name, Key="a", UploadId=upload, PartNumber=1, Body=b"x" * 100_000)
    assert [one["Key"] for one in s3.list_multipart_uploads(Bucket=bucket.name)["Uploads"]] == ["a"]
    s3.abort_multipart_upload(Bucket=bucket.name, Key="a", UploadId=upload)
    with pytest.raises(ClientError, match="NoSuchUpload"):
        s3.list_parts(Bucket=bucket.name, Key="a", UploadId=upload)


def test_a_wrong_secret_of_a_known_key_is_refused(moving: Cloud) -> None:
    gcs = client_of(moving)
    key, _ = gcs.create_hmac_key("robot@example.com", project_id=PROJECT)
    gcs.create_bucket("guarded")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        _s3(moving, key.access_id, "wrong").list_objects_v2(Bucket="guarded")


@pytest.mark.parametrize("name", ["storage", "upload", "download", "batch", "resumable"])
def test_buckets_of_s3_are_its_own_whatever_they_are_called(moving: Cloud, name: str) -> None:
    s3 = moving.client("s3", config=Config(s3={"addressing_style": "path"}))
    s3.create_bucket(Bucket=name)
    for key in ("v1/b/some/o/a", "storage/v1/b/x", "storage/v1"):
        s3.put_object(Bucket=name, Key=key, Body=b"of s3")
        assert s3.get_object(Bucket=name, Key=key)["Body"].read() == b"of s3"
        url = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": key})
        assert httpx.get(url).content == b"of s3"
