"""Reading content: ranges, headers, and gzip that is taken off."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, Any

import pytest

from tests.gcp.services.storage.conftest import put

if TYPE_CHECKING:
    import httpx

SIZES = (10, 200_000)  # In the row, and in a file.


def media(http: httpx.Client, bucket: Any, name: str, **headers: str) -> httpx.Response:
    return http.get(f"/download/storage/v1/b/{bucket.name}/o/{name}", params={"alt": "media"}, headers=headers)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-4", 0, 5), ("bytes=5-", 5, None), ("bytes=-3", -3, None), ("bytes=0-", 0, None),
     ("bytes=2-999999999", 2, None)],
)  # fmt: skip
def test_a_range_is_206(http: httpx.Client, bucket: Any, size: int, asked: str, start: int, end: int | None) -> None:
    content = bytes(range(10)) * (size // 10)
    put(bucket, "a", content)
    answer = media(http, bucket, "a", Range=asked)
    wanted = content[start:end]
    first = len(content) + start if start < 0 else start
    assert (answer.status_code, answer.content) == (206, wanted)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(wanted) - 1}/{len(content)}"


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=50-60", "bytes=-0"])
def test_a_range_outside_is_416_with_the_size(http: httpx.Client, bucket: Any, asked: str) -> None:
    put(bucket, "a", b"0123456789")
    answer = media(http, bucket, "a", Range=asked)
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */10")


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b", "bytes=-"])
def test_a_range_that_is_none_is_passed_over(http: httpx.Client, bucket: Any, asked: str) -> None:
    put(bucket, "a", b"0123456789")
    answer = media(http, bucket, "a", Range=asked)
    assert (answer.status_code, answer.content) == (200, b"0123456789")


def test_the_headers_tell_all_of_the_content(http: httpx.Client, bucket: Any) -> None:
    blob = bucket.blob("a")
    blob.cache_control, blob.content_disposition, blob.content_language = "max-age=5", 'attachment; filename="ü"', "de"
    blob.upload_from_string("123456789", content_type="text/plain")
    told = media(http, bucket, "a").headers
    assert told["x-goog-hash"] == "crc32c=4waSgw==,md5=JfnnlDI7RTiF9RgfG2JNCw=="
    assert (told["x-goog-generation"], told["x-goog-metageneration"]) == (str(blob.generation), "1")
    assert (told["cache-control"], told["content-language"], told["content-type"]) == ("max-age=5", "de", "text/plain")
    assert (told["x-goog-stored-content-length"], told["x-goog-stored-content-encoding"]) == ("9", "identity")


@pytest.mark.parametrize("size", SIZES)
def test_gzip_is_taken_off_for_those_who_do_not_take_it(http: httpx.Client, bucket: Any, size: int) -> None:
    content = bytes(range(256)) * (size * 20 // 256)
    packed = gzip.compress(content) + gzip.compress(b"a second member")
    blob = bucket.blob("a")
    blob.content_encoding = "gzip"
    blob.upload_from_file(io.BytesIO(packed))
    plain = media(http, bucket, "a", **{"Accept-Encoding": "identity"})
    assert plain.content == content + b"a second member"
    assert "content-encoding" not in plain.headers
    assert plain.headers["x-guploader-response-body-transformations"] == "gunzipped"
    whole = media(http, bucket, "a", **{"Accept-Encoding": "gzip"})
    assert (whole.headers["content-encoding"], int(whole.headers["content-length"])) == ("gzip", len(packed))
    assert bucket.blob("a").download_as_bytes() == content + b"a second member"
    assert bucket.blob("a").download_as_bytes(raw_download=True) == packed


def test_gzip_stays_where_the_object_forbids_its_transformation(http: httpx.Client, bucket: Any) -> None:
    blob = bucket.blob("a")
    blob.content_encoding, blob.cache_control = "gzip", "no-transform"
    blob.upload_from_string(gzip.compress(b"content"))
    assert media(http, bucket, "a", **{"Accept-Encoding": "identity"}).headers["content-encoding"] == "gzip"


def test_what_only_says_that_it_is_gzip_ends_the_answer_and_not_the_server(http: httpx.Client, bucket: Any) -> None:
    import httpx

    blob = bucket.blob("a")
    blob.content_encoding = "gzip"
    blob.upload_from_string(b"no gzip at all")
    with pytest.raises(httpx.RemoteProtocolError):
        media(http, bucket, "a", **{"Accept-Encoding": "identity"})
    assert bucket.exists()


def test_a_head_has_the_length_and_no_content(http: httpx.Client, bucket: Any) -> None:
    put(bucket, "a", b"0123456789")
    answer = http.head(f"/download/storage/v1/b/{bucket.name}/o/a", params={"alt": "media"})
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "10", b"")
