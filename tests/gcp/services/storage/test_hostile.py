"""Whatever is sent, the answer is an error of Cloud Storage's, and the server goes on."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gcp.services.storage.conftest import put

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 1 << 62) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
OF_A_BUCKET = (
    "acl", "billing", "cors", "defaultEventBasedHold", "defaultObjectAcl", "encryption", "iamConfiguration", "labels",
    "lifecycle", "location", "logging", "objectRetention", "retentionPolicy", "rpo", "softDeletePolicy", "storageClass",
    "versioning", "website", "autoclass", "customPlacementConfig",
)  # fmt: skip
OF_AN_OBJECT = (
    "acl", "cacheControl", "contentType", "customTime", "eventBasedHold", "metadata", "retention", "storageClass",
    "temporaryHold", "contexts", "name", "md5Hash", "crc32c", "kmsKeyName",
)  # fmt: skip
OF_THE_QUERY = (
    "ifGenerationMatch", "ifMetagenerationNotMatch", "generation", "projection", "fields", "alt", "maxResults",
    "pageToken", "delimiter", "prefix", "startOffset", "matchGlob", "versions", "softDeleted", "predefinedAcl",
    "uploadType", "upload_id", "rewriteToken", "maxBytesRewrittenPerCall", "name",
)  # fmt: skip
FEW = settings(max_examples=100, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def here(shared: Cloud, gcs: Any) -> Any:
    put(gcs.create_bucket("hostile"), "a")
    return httpx.Client(base_url=shared.url, timeout=30)


def check(shared: Cloud, answer: httpx.Response) -> None:
    assert answer.status_code < 500 or answer.status_code in (501, 503), answer.text
    assert "failed" not in shared.log.getvalue(), shared.log.getvalue()[-3000:]


@FEW
@given(st.dictionaries(st.sampled_from(OF_A_BUCKET), JSON, max_size=3), st.sampled_from(["PATCH", "PUT"]))
def test_any_settings_of_a_bucket(shared: Cloud, here: httpx.Client, told: dict[str, Any], verb: str) -> None:
    check(shared, here.request(verb, "/storage/v1/b/hostile", json=told))
    assert here.get("/storage/v1/b/hostile", params={"projection": "full"}).status_code == 200
    assert here.get("/storage/v1/b/hostile/o/a", params={"projection": "full"}).status_code in (200, 404)


@FEW
@given(st.dictionaries(st.sampled_from(OF_AN_OBJECT), JSON, max_size=3), st.sampled_from(["PATCH", "PUT"]))
def test_any_metadata_of_an_object(shared: Cloud, here: httpx.Client, told: dict[str, Any], verb: str) -> None:
    check(shared, here.request(verb, "/storage/v1/b/hostile/o/a", json=told))
    begun = here.post("/upload/storage/v1/b/hostile/o", params={"uploadType": "resumable", "name": "b"}, json=told)
    check(shared, begun)
    if begun.status_code == 200:
        check(shared, here.put(begun.headers["location"], content=b"content"))
    for name in ("a", "b"):
        assert here.get(f"/storage/v1/b/hostile/o/{name}", params={"alt": "media"}).status_code in (200, 404)


@FEW
@given(
    st.dictionaries(st.sampled_from(OF_THE_QUERY), st.text(max_size=6) | st.integers(-2, 9).map(str), max_size=4),
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]),
    st.sampled_from(["", "/o", "/o/a", "/o/none", "/acl", "/iam", "/o/a/acl", "/o/a/rewriteTo/b/hostile/o/c",
                     "/o/c/compose", "/notificationConfigs", "/o/a/moveTo/o/d", "/o/a/restore",
                     "/iam/testPermissions"]),
    JSON,
)  # fmt: skip
def test_any_query(shared: Cloud, here: httpx.Client, query: dict[str, str], verb: str, path: str, told: Any) -> None:
    check(shared, here.request(verb, f"/storage/v1/b/hostile{path}", params=query, json=told))
    check(shared, here.post("/upload/storage/v1/b/hostile/o", params=query, json=told))


@FEW
@given(
    st.binary(max_size=60), st.sampled_from(["multipart/related; boundary=b", "multipart/mixed; boundary=b", "x", ""])
)
def test_any_body(shared: Cloud, here: httpx.Client, body: bytes, kind: str) -> None:
    for content in (body, b"--b\r\n" + body, b"--b\r\n\r\n" + body + b"\r\n--b\r\n\r\n" + body + b"\r\n--b--"):
        headers = {"Content-Type": kind}
        for kind_of_upload in ("multipart", "media", "resumable"):
            asked = {"uploadType": kind_of_upload, "name": "c"}
            check(shared, here.post("/upload/storage/v1/b/hostile/o", params=asked, content=content, headers=headers))
        check(shared, here.post("/batch/storage/v1", content=content, headers=headers))
        check(shared, here.put("/hostile?versioning", content=content, headers={"Host": "storage.googleapis.com"}))


@FEW
@given(
    st.dictionaries(
        st.sampled_from(["Range", "If-Match", "If-None-Match", "x-goog-encryption-key", "x-goog-encryption-algorithm",
                         "x-goog-hash", "Content-MD5", "x-goog-copy-source", "x-goog-acl", "x-goog-if-generation-match",
                         "x-goog-meta-a", "Authorization", "x-goog-date", "x-goog-storage-class", "x-goog-custom-time",
                         "Origin", "Content-Range", "x-goog-metadata-directive"]),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
        | st.sampled_from(["bytes=0-1", "GOOG4-HMAC-SHA256 Credential=a,SignedHeaders=b,Signature=c", "AES256", "*",
                           "GOOG1 a:b", "/hostile/a", "public-read"]),
        max_size=4,
    ),
    st.sampled_from(["GET", "PUT", "DELETE", "POST", "HEAD", "OPTIONS"]),
)  # fmt: skip
def test_any_headers(shared: Cloud, here: httpx.Client, headers: dict[str, str], verb: str) -> None:
    told = {name: value.strip() for name, value in headers.items()} | {"Host": "storage.googleapis.com"}
    for path in ("/hostile/a", "/hostile/b?uploadId=x&partNumber=y", "/hostile", "/", "/hostile/c?upload_id=z"):
        check(shared, here.request(verb, path, headers=told))


@pytest.mark.parametrize("path", ["/storage/v1/b/%ff/o/%fe", "/storage/v1/b/hostile/o/%00", "/b/hostile/o/%2e%2e"])
def test_any_name(shared: Cloud, here: httpx.Client, path: str) -> None:
    for verb in ("GET", "DELETE", "PATCH"):
        answer = here.request(verb, path)
        check(shared, answer)
        assert answer.status_code == 404


@pytest.mark.parametrize("where", ["path", "query", "header"])
@pytest.mark.parametrize("host", ["127.0.0.1", "storage.googleapis.com"])
def test_bytes_that_are_no_utf8_are_told_as_what_stands_for_such(shared: Cloud, host: str, where: str) -> None:
    odd = b"\xff\xfe"
    path = {
        "127.0.0.1": b"/upload/storage/v1/b/hostile/o?uploadType=media&name=odd",
        "storage.googleapis.com": b"/hostile/odd",
    }[host]
    target = path + (b"-" + odd if where in ("path", "query") else b"")
    kind = b"text/" + odd if where == "header" else b"text/x"
    verb = b"POST" if host == "127.0.0.1" else b"PUT"
    with socket.create_connection(("127.0.0.1", shared.server.port), timeout=20) as line:
        line.sendall(
            verb + b" " + target + b" HTTP/1.1\r\nHost: " + host.encode() + b"\r\nContent-Type: " + kind
            + b"\r\nx-goog-meta-a: " + odd + b"\r\nContent-Length: 1\r\n\r\nx"
        )  # fmt: skip
        status = line.recv(4096).split(b" ")[1]
    assert status in (b"200", b"400")
    assert "failed" not in shared.log.getvalue()
