"""Service accounts, their keys, and the tokens that those give: over REST, and through google-auth."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from google.auth import crypt, jwt
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.oauth2 import id_token, service_account

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

EMAIL = "robot-1@fogbank.iam.gserviceaccount.com"


def _make(cloud: Cloud, name: str = "robot-1") -> dict[str, Any]:
    body = {"accountId": name, "serviceAccount": {"displayName": "A robot"}}
    made: dict[str, Any] = httpx.post(f"{cloud.url}/v1/projects/fogbank/serviceAccounts", json=body).json()
    return made


def _make_key(cloud: Cloud) -> dict[str, Any]:
    made = httpx.post(f"{cloud.url}/v1/projects/-/serviceAccounts/{EMAIL}/keys", json={}, timeout=60).json()
    credentials: dict[str, Any] = json.loads(base64.b64decode(made["privateKeyData"]))
    return credentials


def test_an_account_is_made_described_listed_and_deleted(cloud: Cloud) -> None:
    made = _make(cloud)
    assert made["name"] == f"projects/fogbank/serviceAccounts/{EMAIL}" and made["displayName"] == "A robot"
    url = f"{cloud.url}/v1/projects/-/serviceAccounts"
    assert httpx.get(f"{url}/{EMAIL}").json() == made == httpx.get(f"{url}/{made['uniqueId']}").json()
    listed = httpx.get(f"{cloud.url}/v1/projects/fogbank/serviceAccounts").json()["accounts"]
    assert [one["email"] for one in listed][-1] == EMAIL and len(listed) == 3  # With the two default ones.
    again = httpx.post(f"{cloud.url}/v1/projects/fogbank/serviceAccounts", json={"accountId": "robot-1"})
    assert again.status_code == 409 and "already exists within project projects/fogbank" in again.text
    assert httpx.delete(f"{url}/{EMAIL}").status_code == 200
    assert httpx.get(f"{url}/{EMAIL}").json()["error"]["status"] == "NOT_FOUND"


def test_an_account_has_a_policy(cloud: Cloud) -> None:
    _make(cloud)
    url = f"{cloud.url}/v1/projects/fogbank/serviceAccounts/{EMAIL}"
    binding = {"role": "roles/iam.serviceAccountUser", "members": ["user:marie@example.com"]}
    assert httpx.post(f"{url}:setIamPolicy", json={"policy": {"bindings": [binding]}}).status_code == 200
    assert httpx.post(f"{url}:getIamPolicy", json={}).json()["bindings"] == [binding]
    missing = httpx.post(f"{cloud.url}/v1/projects/fogbank/serviceAccounts/nobody@x.y:getIamPolicy", json={})
    assert missing.json()["error"]["status"] == "NOT_FOUND"


def test_a_key_gives_access_tokens_and_identity_tokens(today: Cloud) -> None:
    _make(today)
    info = _make_key(today)
    access = service_account.Credentials.from_service_account_info(info, scopes=["scope-a", "scope-b"])
    access.refresh(Request())
    house = today.server.google_services[0].house
    claims = today.run(house.identity.verify_access(access.token))
    assert (claims["email"], claims["scope"]) == (EMAIL, "scope-a scope-b")
    identity = service_account.IDTokenCredentials.from_service_account_info(info, target_audience="https://app.example")
    identity.refresh(Request())
    certificates = f"{today.url}/oauth2/v1/certs"
    told = id_token.verify_token(identity.token, Request(), audience="https://app.example", certs_url=certificates)
    assert told["email"] == EMAIL
    # What the key itself has signed can be verified by what is published for the account.
    signed = jwt.encode(crypt.RSASigner.from_service_account_info(info), {"iat": told["iat"], "exp": told["exp"]})
    published = httpx.get(info["client_x509_cert_url"]).json()
    assert jwt.decode(signed, certs=published)["exp"] == told["exp"]


def test_an_assertion_that_another_key_has_signed_under_a_known_name_is_refused(today: Cloud) -> None:
    _make(today)
    first, second = _make_key(today), _make_key(today)
    forged = {**first, "private_key": second["private_key"]}
    credentials = service_account.Credentials.from_service_account_info(forged, scopes=["scope"])
    with pytest.raises(RefreshError, match="Invalid JWT Signature"):
        credentials.refresh(Request())


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "x"}, "invalid_grant"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "W10.W10.é"}, "invalid_grant"),
    ],
)
def test_a_grant_that_is_none_is_refused_as_oauth_says(cloud: Cloud, form: dict[str, str], error: str) -> None:
    told = httpx.post(f"{cloud.url}/oauth2/v4/token", data=form)
    assert (told.status_code, told.json()["error"]) == (400, error)


def test_iam_credentials_mints_tokens_and_signs(today: Cloud) -> None:
    url = f"{today.url}/v1/projects/-/serviceAccounts/{EMAIL}"
    certificates = f"{today.url}/oauth2/v1/certs"
    minted = httpx.post(f"{url}:generateIdToken", json={"audience": "me", "includeEmail": True}, timeout=60).json()
    assert id_token.verify_token(minted["token"], Request(), "me", certs_url=certificates)["email"] == EMAIL
    plain = httpx.post(f"{url}:generateIdToken", json={"audience": "me"}).json()["token"]
    assert "email" not in id_token.verify_token(plain, Request(), "me", certs_url=certificates)
    signed = httpx.post(f"{url}:signBlob", json={"payload": base64.b64encode(b"hello").decode()}).json()
    certificate = httpx.get(f"{today.url}/robot/v1/metadata/x509/{EMAIL}").json()[signed["keyId"]]
    assert crypt.RSAVerifier.from_string(certificate).verify(b"hello", base64.b64decode(signed["signedBlob"]))
    claims = {"iat": 1, "sub": "me"}
    token = httpx.post(f"{url}:signJwt", json={"payload": json.dumps(claims)}).json()["signedJwt"]
    assert jwt.decode(token, verify=False) == claims
    late = httpx.post(f"{url}:signJwt", json={"payload": '{"exp": 1}'})
    assert late.json()["error"]["status"] == "INVALID_ARGUMENT"
    access = httpx.post(f"{url}:generateAccessToken", json={"scope": ["s"], "lifetime": "90000s"})
    assert access.json()["error"]["status"] == "INVALID_ARGUMENT"


def test_a_disabled_account_gets_no_tokens(today: Cloud) -> None:
    _make(today)
    info = _make_key(today)
    account = f"{today.url}/v1/projects/fogbank/serviceAccounts/{EMAIL}"
    assert httpx.post(f"{account}:disable", json={}).status_code == 200
    with pytest.raises(RefreshError, match="account not found"):
        service_account.Credentials.from_service_account_info(info, scopes=["s"]).refresh(Request())
    refused = httpx.post(f"{account}:generateIdToken", json={"audience": "me"})
    assert refused.json()["error"]["status"] == "FAILED_PRECONDITION"
