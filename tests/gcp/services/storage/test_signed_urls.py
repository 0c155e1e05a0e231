"""Signed URLs and forms: when they end, and whether they are signed by whom they name."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from google.oauth2 import service_account

from fogbank.gcp.identity.state import ACCOUNT_KEYS, SIGNING, Key
from tests.gcp.services.storage.conftest import client_of, put
from tests.support.cloud import Cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

ROBOT = "robot@fog-project.iam.gserviceaccount.com"
HOUR = datetime.timedelta(hours=1)


def _pem() -> tuple[str, bytes]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(), public


def _credentials(pem: str, email: str = ROBOT) -> Any:
    info = {"private_key": pem, "client_email": email, "token_uri": "http://127.0.0.1/token"}
    return service_account.Credentials.from_service_account_info(info)


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One whose clock is the machine's: Google's client signs by that."""
    running = Cloud(tmp_path_factory.mktemp("moving") / "data", moving=True)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def signed(moving: Cloud) -> Any:
    return client_of(moving).create_bucket("signed")


@pytest.fixture(scope="module")
def robot(moving: Cloud) -> Any:
    """Credentials whose key this cloud knows."""
    pem, public = _pem()
    moving.run(moving.server.store.transact(ACCOUNT_KEYS.put, ROBOT, "1", row=Key("1", public, "")))
    return _credentials(pem)


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_a_signed_url_opens_what_it_was_made_for(signed: Any, robot: Any, version: str) -> None:
    blob = signed.blob("ü a/b+c.txt")
    write = blob.generate_signed_url(
        version=version, expiration=HOUR, method="PUT", credentials=robot, content_type="text/plain",
        headers={"x-goog-meta-colour": "blue"},
    )  # fmt: skip
    headers = {"Content-Type": "text/plain", "x-goog-meta-colour": "blue"}
    assert httpx.put(write, content=b"content", headers=headers).status_code == 200
    assert signed.get_blob(blob.name).metadata == {"colour": "blue"}
    read = blob.generate_signed_url(
        version=version, expiration=HOUR, credentials=robot, response_type="a/b", response_disposition="inline"
    )
    answer = httpx.get(read)
    assert (answer.status_code, answer.content) == (200, b"content")
    assert (answer.headers["content-type"], answer.headers["content-disposition"]) == ("a/b", "inline")


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_a_url_that_was_tampered_with_or_signed_by_another_is_refused(signed: Any, robot: Any, version: str) -> None:
    put(signed, "a")
    put(signed, "other")
    url = signed.blob("a").generate_signed_url(version=version, expiration=HOUR, credentials=robot)
    forged = signed.blob("a").generate_signed_url(version=version, expiration=HOUR, credentials=_credentials(_pem()[0]))
    assert httpx.get(url).status_code == 200
    for bad in (url.replace("/signed/a", "/signed/other"), forged):
        answer = httpx.get(bad)
        assert answer.status_code == 403 and "<Code>SignatureDoesNotMatch</Code>" in answer.text
    assert httpx.delete(url).status_code == 403


def test_what_this_cloud_signs_for_its_accounts_is_held_against_its_own_key(moving: Cloud, signed: Any) -> None:
    (pem, public), blob = _pem(), put(signed, "ours")
    moving.run(moving.server.store.transact(SIGNING.put, row=Key("2", public, "")))
    compute = "123456789012-compute@developer.gserviceaccount.com"
    stranger = "robot@a-real-project.iam.gserviceaccount.com"

    def status(email: str, key: str) -> int:
        credentials = _credentials(key, email)
        return httpx.get(blob.generate_signed_url(version="v4", expiration=HOUR, credentials=credentials)).status_code

    other, _ = _pem()
    assert (status(compute, pem), status(compute, other)) == (200, 403)
    assert status(stranger, other) == 200  # Google knows that key; nobody here can.


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_an_expired_url_is_refused_whoever_signed_it(tmp_path: Any, version: str) -> None:
    cloud = Cloud(tmp_path / "data", moving=True)
    try:
        bucket = client_of(cloud).create_bucket("expiring")
        put(bucket, "a")
        stranger = _credentials(_pem()[0])
        url = bucket.blob("a").generate_signed_url(version=version, expiration=HOUR, credentials=stranger)
        assert httpx.get(url).status_code == 200  # Nobody here knows the key: anybody's is taken.
        cloud.advance(seconds=3700)
        answer = httpx.get(url)
        assert answer.status_code == 400 and "<Code>ExpiredToken</Code>" in answer.text
    finally:
        cloud.stop()


def test_a_url_of_a_week_at_most_is_taken(signed: Any, robot: Any) -> None:
    url = signed.blob("a").generate_signed_url(version="v4", expiration=HOUR, credentials=robot)
    answer = httpx.get(url.replace("X-Goog-Expires=3600", "X-Goog-Expires=604801"))
    assert answer.status_code == 400 and "MalformedSecurityHeader" in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "X-Goog-Signature=00",
        "X-Goog-Signature=00&X-Goog-Algorithm=x&X-Goog-Credential=y&X-Goog-Date=z&X-Goog-Expires=1&X-Goog-SignedHeaders=host",
        "GoogleAccessId=a&Signature=b",
    ],
)
def test_a_signature_that_cannot_be_read_is_400(moving: Cloud, query: str) -> None:
    assert httpx.get(f"{moving.url}/signed/a?{query}").status_code == 400


def test_a_resumable_upload_is_begun_by_a_signed_url(signed: Any, robot: Any) -> None:
    blob = signed.blob("resumed")
    url = blob.generate_signed_url(version="v4", expiration=HOUR, method="RESUMABLE", credentials=robot)
    begun = httpx.post(url, headers={"x-goog-resumable": "start"})
    assert begun.status_code == 201
    assert httpx.put(begun.headers["location"], content=b"content").status_code == 200
    assert blob.download_as_bytes() == b"content"


def test_a_virtual_host_names_the_bucket(moving: Cloud, signed: Any, robot: Any) -> None:
    put(signed, "hosted", "content")
    url = signed.blob("hosted").generate_signed_url(
        version="v4", expiration=HOUR, credentials=robot, bucket_bound_hostname="http://signed.storage.googleapis.com"
    )
    parts = urlsplit(url)
    answer = httpx.get(f"{moving.url}{parts.path}?{parts.query}", headers={"Host": parts.netloc})
    assert (answer.status_code, answer.content) == (200, b"content")


def test_a_form_uploads_what_its_policy_allows(moving: Cloud, signed: Any, robot: Any) -> None:
    client = client_of(moving)
    policy = client.generate_signed_post_policy_v4(
        "signed", "form/a", HOUR, credentials=robot, fields={"x-goog-meta-a": "1", "content-type": "a/b"},
        conditions=[["content-length-range", 1, 10]],
    )  # fmt: skip
    url = policy["url"].replace("https://storage.googleapis.com", moving.url)
    answer = httpx.post(url, data=policy["fields"], files={"file": ("f.txt", b"content")})
    assert answer.status_code == 204, answer.text
    found = signed.get_blob("form/a")
    assert (found.metadata, found.content_type, found.size) == ({"a": "1"}, "a/b", 7)
    for fields, content in (
        (policy["fields"], b"x" * 11),
        (policy["fields"] | {"key": "form/other"}, b"x"),
        (policy["fields"] | {"x-goog-meta-b": "2"}, b"x"),
        (policy["fields"] | {"x-goog-signature": "00" * 256}, b"x"),
    ):
        assert httpx.post(url, data=fields, files={"file": content}).status_code in (400, 403)
    assert signed.get_blob("form/other") is None
