"""Uploads of every kind: in one, with metadata, piece by piece, broken off and taken up again."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.gcp.services.storage.conftest import client_of, put, reason

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

GRANULE = 256 * 1024


def begin(http: httpx.Client, bucket: Any, name: str = "a", headers: dict[str, str] | None = None, **told: Any) -> str:
    """A resumable upload; the answer is its address."""
    where = f"/upload/storage/v1/b/{bucket.name}/o"
    answer = http.post(where, params={"uploadType": "resumable", "name": name}, json=told, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.headers["location"]


def send(http: httpx.Client, session: str, content: bytes, told: str, **headers: str) -> httpx.Response:
    return http.put(session, content=content, headers={"Content-Range": told, **headers})


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, 3_000_000])
def test_an_upload_in_one_of_any_size_is_read_as_it_was(bucket: Any, size: int) -> None:
    content = os.urandom(size)
    put(bucket, "a", content)
    assert bucket.blob("a").download_as_bytes() == content
    assert bucket.get_blob("a").size == size


def test_a_media_upload_has_only_the_content_and_its_type(http: httpx.Client, bucket: Any) -> None:
    where = f"/upload/storage/v1/b/{bucket.name}/o"
    answer = http.post(
        where, params={"uploadType": "media", "name": "a"}, content=b"hi", headers={"Content-Type": "a/b"}
    )
    assert answer.json()["contentType"] == "a/b"
    assert bucket.blob("a").download_as_bytes() == b"hi"


def test_an_upload_needs_a_type_and_the_right_address(http: httpx.Client, bucket: Any) -> None:
    answer = http.post(f"/storage/v1/b/{bucket.name}/o", params={"name": "a"}, json={})
    assert reason(answer)[:2] == (400, "wrongUrlForUpload")


def test_metadata_goes_with_the_content(bucket: Any) -> None:
    blob = bucket.blob("a")
    blob.metadata, blob.storage_class, blob.content_disposition = {"x": "1"}, "COLDLINE", "inline"
    blob.upload_from_string("content", content_type="text/x")
    found = bucket.get_blob("a")
    assert (found.metadata, found.storage_class, found.content_disposition) == ({"x": "1"}, "COLDLINE", "inline")
    assert found.content_type == "text/x"


def test_content_that_looks_like_the_end_of_a_multipart_body_is_content(http: httpx.Client, bucket: Any) -> None:
    content = b"\r\n--other--\r\n--edge-not\r\n" * 500
    body = (
        b'--edge\r\nContent-Type: application/json\r\n\r\n{"name": "a"}\r\n--edge\r\nContent-Type: x/y\r\n\r\n'
        + content
        + b"\r\n--edge--\r\n"
    )
    headers = {"Content-Type": 'multipart/related; boundary="edge"'}
    where = f"/upload/storage/v1/b/{bucket.name}/o"
    answer = http.post(where, params={"uploadType": "multipart"}, content=body, headers=headers)
    assert answer.json()["contentType"] == "x/y"
    assert bucket.blob("a").download_as_bytes() == content


@pytest.mark.parametrize(
    "body", [b"", b"--edge", b"--edge--", b"--edge\r\n\r\n{}\r\n--edge\r\n", b"--edge\r\n\r\n{}\r\n--edge--"]
)
def test_a_multipart_body_that_cannot_be_read_is_refused(http: httpx.Client, bucket: Any, body: bytes) -> None:
    headers = {"Content-Type": "multipart/related; boundary=edge"}
    where = f"/upload/storage/v1/b/{bucket.name}/o"
    answer = http.post(where, params={"uploadType": "multipart", "name": "a"}, content=body, headers=headers)
    assert reason(answer)[:2] == (400, "invalid")


@pytest.mark.parametrize("checksum", ["md5", "crc32c"])
def test_content_that_is_not_what_its_sender_meant_is_not_kept(http: httpx.Client, bucket: Any, checksum: str) -> None:
    told = {"md5": {"md5Hash": "AAAAAAAAAAAAAAAAAAAAAA=="}, "crc32c": {"crc32c": "AAAAAA=="}}[checksum]
    answer = http.put(begin(http, bucket, **told), content=b"content")
    assert reason(answer)[:2] == (400, "invalid") and "doesn't match calculated" in answer.text
    assert bucket.get_blob("a") is None
    where = f"/upload/storage/v1/b/{bucket.name}/o"
    wrong = {"x-goog-hash": f"{checksum}={next(iter(told.values()))}"}
    answer = http.post(where, params={"uploadType": "media", "name": "a"}, content=b"x" * 100_000, headers=wrong)
    assert answer.status_code == 400 and bucket.get_blob("a") is None


@pytest.mark.parametrize("known", [True, False])
def test_the_client_uploads_in_pieces_whether_it_knows_the_size_or_not(bucket: Any, known: bool) -> None:
    content = os.urandom(3 * GRANULE + 1000)
    blob = bucket.blob("a", chunk_size=GRANULE)
    blob.upload_from_file(io.BytesIO(content), size=len(content) if known else None)
    assert bucket.blob("a").download_as_bytes() == content


def test_an_upload_whose_size_is_a_multiple_of_the_pieces_ends_without_one_more(bucket: Any) -> None:
    content = os.urandom(2 * GRANULE)
    with bucket.blob("a").open("wb", chunk_size=GRANULE) as file:
        file.write(content)
    assert bucket.blob("a").download_as_bytes() == content


def test_a_piece_is_acknowledged_by_308_and_its_range(http: httpx.Client, bucket: Any) -> None:
    session, content = begin(http, bucket), os.urandom(2 * GRANULE + 5)
    asked = send(http, session, b"", "bytes */*")
    assert (asked.status_code, asked.headers.get("range")) == (308, None)
    first = send(http, session, content[:GRANULE], f"bytes 0-{GRANULE - 1}/*")
    assert (first.status_code, first.headers["range"]) == (308, f"bytes=0-{GRANULE - 1}")
    again = send(http, session, content[: 2 * GRANULE], f"bytes 0-{2 * GRANULE - 1}/{len(content)}")
    assert again.headers["range"] == f"bytes=0-{2 * GRANULE - 1}"  # What was there already is passed over.
    last = send(http, session, content[2 * GRANULE :], f"bytes {2 * GRANULE}-{len(content) - 1}/{len(content)}")
    assert (last.status_code, last.json()["size"]) == (200, str(len(content)))
    after = send(http, session, b"", f"bytes */{len(content)}")
    assert (after.status_code, after.json()["generation"]) == (200, last.json()["generation"])
    assert bucket.blob("a").download_as_bytes() == content


def test_of_a_piece_as_much_is_kept_as_makes_whole_granules(http: httpx.Client, bucket: Any) -> None:
    session = begin(http, bucket)
    answer = send(http, session, b"x" * (GRANULE + 100), f"bytes 0-{GRANULE + 99}/*")
    assert (answer.status_code, answer.headers["range"]) == (308, f"bytes=0-{GRANULE - 1}")


def test_pieces_that_do_not_fit_are_refused_and_harm_nothing(http: httpx.Client, bucket: Any) -> None:
    session, content = begin(http, bucket), os.urandom(GRANULE + 1)
    small = send(http, session, b"x", "bytes 0-0/*")
    assert small.status_code == 400 and f"equal or greater than {GRANULE}" in small.text
    gap = send(http, session, content[:GRANULE], f"bytes {GRANULE}-{2 * GRANULE - 1}/*")
    assert gap.status_code == 503 and "exceeds already uploaded size of 0 byte(s)" in gap.text
    short = send(http, session, b"xyz", "bytes 0-9/10")
    assert short.status_code == 400 and "There should have been 10 byte(s)" in short.text
    assert send(http, session, b"xyz", "bytes 0-nonsense/3").status_code == 400
    assert send(http, session, content[:GRANULE], f"bytes 0-{GRANULE - 1}/{len(content)}").status_code == 308
    done = send(http, session, content[GRANULE:], f"bytes {GRANULE}-{GRANULE}/{len(content)}")
    assert done.status_code == 200
    assert bucket.blob("a").download_as_bytes() == content


def test_a_client_that_cannot_take_308_gets_200_and_a_header(http: httpx.Client, bucket: Any) -> None:
    answer = send(http, begin(http, bucket), b"", "bytes */*", **{"X-GUploader-No-308": "yes"})
    assert (answer.status_code, answer.headers["x-http-status-code-override"]) == (200, "308")


def test_a_cancelled_upload_is_499_and_gone(http: httpx.Client, bucket: Any) -> None:
    session = begin(http, bucket)
    send(http, session, b"x" * GRANULE, f"bytes 0-{GRANULE - 1}/*")
    assert http.delete(session).status_code == 499
    assert send(http, session, b"", "bytes */*").status_code == 404


def test_preconditions_count_when_the_upload_ends(http: httpx.Client, bucket: Any) -> None:
    where = f"/upload/storage/v1/b/{bucket.name}/o"
    asked = {"uploadType": "resumable", "name": "a", "ifGenerationMatch": "0"}
    session = http.post(where, params=asked, json={}).headers["location"]
    put(bucket, "a", "meanwhile")
    assert reason(http.put(session, content=b"late"))[:2] == (412, "conditionNotMet")
    assert bucket.blob("a").download_as_bytes() == b"meanwhile"


def test_a_session_ends_after_a_week_with_its_files(cloud: Cloud) -> None:
    bucket = client_of(cloud).create_bucket("weekly")
    with httpx.Client(base_url=cloud.url) as http:
        session = begin(http, bucket)
        send(http, session, b"x" * GRANULE, f"bytes 0-{GRANULE - 1}/*")
        cloud.advance(seconds=6 * 86_400)
        assert send(http, session, b"", "bytes */*").status_code == 308
        cloud.advance(seconds=86_400 + 7_200)
        assert send(http, session, b"", "bytes */*").status_code == 404
    assert [path for path in cloud.config.blobs_dir.rglob("*") if path.is_file()] == []


def test_a_session_goes_on_after_a_restart(cloud: Cloud) -> None:
    bucket, content = client_of(cloud).create_bucket("going-on"), os.urandom(2 * GRANULE)
    with httpx.Client() as http:
        answer = http.post(
            f"{cloud.url}/upload/storage/v1/b/going-on/o", params={"uploadType": "resumable", "name": "a"}, json={}
        )
        path = answer.headers["location"].removeprefix(cloud.url)
        send(http, cloud.url + path, content[:GRANULE], f"bytes 0-{GRANULE - 1}/{len(content)}")
        cloud.restart()
        stands = send(http, cloud.url + path, b"", f"bytes */{len(content)}")
        assert (stands.status_code, stands.headers["range"]) == (308, f"bytes=0-{GRANULE - 1}")
        told = f"bytes {GRANULE}-{len(content) - 1}/{len(content)}"
        assert send(http, cloud.url + path, content[GRANULE:], told).status_code == 200
    assert client_of(cloud).bucket(bucket.name).blob("a").download_as_bytes() == content
