"""Tokens: whose they are, for how long, and that the key that signs them outlives the server."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from fogbank.primitives import web_tokens
from fogbank.primitives.web_tokens import BadToken

if TYPE_CHECKING:
    from fogbank.gcp.identity.issuer import Issuer
    from tests.support.cloud import Cloud

EMAIL = "robot-1@fogbank.iam.gserviceaccount.com"


def _issuer(cloud: Cloud) -> Issuer:
    found: Issuer = cloud.server.google_services[0].house.identity
    return found


def test_a_token_is_good_for_its_audience_until_it_expires(cloud: Cloud) -> None:
    token = cloud.run(_issuer(cloud).mint("https://app.example", EMAIL))
    assert cloud.run(_issuer(cloud).verify(token, ["https://app.example"]))["email"] == EMAIL
    with pytest.raises(BadToken, match="another audience"):
        cloud.run(_issuer(cloud).verify(token, ["https://other.example"]))
    cloud.advance(seconds=3599)
    assert cloud.run(_issuer(cloud).principal(f"Bearer {token}")) == EMAIL
    cloud.advance(seconds=1)
    with pytest.raises(BadToken, match="expired"):
        cloud.run(_issuer(cloud).verify(token))
    assert cloud.run(_issuer(cloud).principal(f"Bearer {token}")) is None


def test_a_token_outlives_a_restart(cloud: Cloud) -> None:
    token = cloud.run(_issuer(cloud).mint("a", EMAIL))
    cloud.restart()
    assert cloud.run(_issuer(cloud).verify(token, ["a"]))["email"] == EMAIL


def test_an_access_token_is_no_identity_token_nor_the_other_way(cloud: Cloud) -> None:
    issuer = _issuer(cloud)
    access, identity = cloud.run(issuer.access_token(EMAIL, ["s"])), cloud.run(issuer.mint("a", EMAIL))
    assert access.startswith("ya29.")
    for wrong, verify in (
        (access, issuer.verify),
        (access[len("ya29.c.") :], issuer.verify),
        (identity, issuer.verify_access),
    ):
        with pytest.raises(BadToken):
            cloud.run(verify(wrong))
    assert cloud.run(issuer.principal(f"bearer {access}")) == EMAIL


def test_the_published_key_set_verifies_a_token(cloud: Cloud) -> None:
    token: str = cloud.run(_issuer(cloud).mint("a", EMAIL))
    (key,) = httpx.get(f"{cloud.url}/oauth2/v3/certs").json()["keys"]
    numbers = [int.from_bytes(urlsafe_b64decode(key[name] + "==")) for name in ("e", "n")]
    public = rsa.RSAPublicNumbers(*numbers).public_key()
    signed, _, signature = token.rpartition(".")
    public.verify(urlsafe_b64decode(signature + "=="), signed.encode(), padding.PKCS1v15(), SHA256())
    assert web_tokens.unverified_header(token)["kid"] == key["kid"]


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "W10.W10.W10", "eyJhbGciOiJub25lIn0.e30.", "é.é.é", "....."])
def test_what_is_no_token_is_refused(cloud: Cloud, token: str) -> None:
    with pytest.raises(BadToken):
        cloud.run(_issuer(cloud).verify(token))
    assert cloud.run(_issuer(cloud).principal(f"Bearer {token}")) is None


def test_a_token_that_was_changed_is_refused(cloud: Cloud) -> None:
    token: Any = cloud.run(_issuer(cloud).mint("a", EMAIL))
    head, claims, signature = token.split(".")
    for changed in (f"{head}.{claims[:-4]}AAAA.{signature}", f"{head}.{claims}.{'A' * len(signature)}"):
        with pytest.raises(BadToken):
            cloud.run(_issuer(cloud).verify(changed))
