"""Cognito user pools, told through boto3; SRP spoken by a client of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from fogbank.aws.services.cognito_idp import srp
from tests.support.cloud import Cloud
from tests.support.pools import FLOWS, PASSWORD, Pool


@pytest.fixture
def pool(cloud: Cloud) -> Pool:
    return Pool(cloud)


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_an_id_token_verifies_with_the_published_keys(cloud: Cloud, pool: Pool) -> None:
    pool.add()
    token = pool.sign_in()["AuthenticationResult"]["IdToken"]
    with urllib.request.urlopen(f"{cloud.url}/{pool.id}/.well-known/jwks.json") as answer:
        [key] = json.load(answer)["keys"]
    head, claims, signature = token.split(".")
    assert json.loads(decoded(head)) == {"kid": key["kid"], "alg": "RS256"}
    numbers = rsa.RSAPublicNumbers(int.from_bytes(decoded(key["e"])), int.from_bytes(decoded(key["n"])))
    numbers.public_key().verify(decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), SHA256())
    told = json.loads(decoded(claims))
    assert told["iss"] == f"https://cognito-idp.us-east-1.amazonaws.com/{pool.id}"
    assert (told["aud"], told["token_use"], told["email"]) == (pool.client_id, "id", "ann@example.com")
    assert told["exp"] - told["iat"] == 3600


def test_nobody_gets_in_with_a_wrong_password_or_before_being_confirmed(pool: Pool) -> None:
    pool.client.sign_up(ClientId=pool.client_id, Username="bob", Password=PASSWORD)
    for name, password, code in (("bob", "x", "NotAuthorizedException"), ("bob", PASSWORD, "UserNotConfirmedException"),
                                 ("eve", PASSWORD, "UserNotFoundException")):  # fmt: skip
        with pytest.raises(ClientError) as failure:
            pool.sign_in(name, password)
        assert failure.value.response["Error"]["Code"] == code


def test_a_client_that_prevents_it_does_not_tell_who_exists(pool: Pool) -> None:
    """CreateUserPoolClient, PreventUserExistenceErrors: "Defaults to LEGACY"."""
    pool.client.update_user_pool_client(
        UserPoolId=pool.id, ClientId=pool.client_id, ExplicitAuthFlows=FLOWS, PreventUserExistenceErrors="ENABLED"
    )
    with pytest.raises(ClientError, match="Incorrect username or password") as failure:
        pool.sign_in("eve")
    assert failure.value.response["Error"]["Code"] == "NotAuthorizedException"


def test_srp_lets_in_who_knows_the_password_and_nobody_else(pool: Pool) -> None:
    pool.add()
    assert "IdToken" in srp_sign_in(pool, PASSWORD)["AuthenticationResult"]
    with pytest.raises(ClientError, match="Incorrect username or password"):
        srp_sign_in(pool, "Wrong-horse-7")


def srp_sign_in(pool: Pool, password: str) -> Any:
    """The client's half, written from RFC 5054 and Cognito's published client, not from our server."""

    def padded(number: int) -> bytes:
        text = f"{number:x}"
        text = "0" + text if len(text) % 2 else text
        return bytes.fromhex("00" + text if text[0] in "89abcdef" else text)

    def digest(data: bytes) -> int:
        return int(hashlib.sha256(data).hexdigest(), 16)

    secret = int("1f" * 32, 16)
    public = pow(srp.G, secret, srp.N)
    given = {"USERNAME": "ann", "SRP_A": f"{public:x}"}
    asked = pool.client.initiate_auth(ClientId=pool.client_id, AuthFlow="USER_SRP_AUTH", AuthParameters=given)
    facts = asked["ChallengeParameters"]
    server, salt, user = int(facts["SRP_B"], 16), int(facts["SALT"], 16), facts["USER_ID_FOR_SRP"]
    short = pool.id.split("_")[1]
    inner = hashlib.sha256(f"{short}{user}:{password}".encode()).digest()
    x, u = digest(padded(salt) + inner), digest(padded(public) + padded(server))
    k = digest(padded(srp.N) + padded(srp.G))
    shared = pow((server - k * pow(srp.G, x, srp.N)) % srp.N, secret + u * x, srp.N)
    extracted = hmac.digest(padded(u), padded(shared), "sha256")
    key = hmac.digest(extracted, b"Caldera Derived Key\x01", "sha256")[:16]
    at = "Fri Jan 15 08:00:00 UTC 2027"
    block = base64.b64decode(facts["SECRET_BLOCK"])
    signature = hmac.digest(key, short.encode() + user.encode() + block + at.encode(), "sha256")
    return pool.client.respond_to_auth_challenge(
        ClientId=pool.client_id, ChallengeName="PASSWORD_VERIFIER",
        ChallengeResponses={"USERNAME": user, "PASSWORD_CLAIM_SECRET_BLOCK": facts["SECRET_BLOCK"], "TIMESTAMP": at,
                            "PASSWORD_CLAIM_SIGNATURE": base64.b64encode(signature).decode()},
    )  # fmt: skip


def test_a_refresh_token_gives_new_tokens_until_it_expires(cloud: Cloud, pool: Pool) -> None:
    pool.add()
    refresh = {"REFRESH_TOKEN": pool.sign_in()["AuthenticationResult"]["RefreshToken"]}

    def renew() -> Any:
        return cloud.client("cognito-idp").initiate_auth(
            ClientId=pool.client_id, AuthFlow="REFRESH_TOKEN_AUTH", AuthParameters=refresh
        )

    cloud.advance(seconds=29 * 86400)
    assert "AccessToken" in renew()["AuthenticationResult"]
    cloud.advance(seconds=2 * 86400)
    with pytest.raises(ClientError, match="Refresh Token has expired"):
        renew()


def test_users_and_keys_survive_a_restart(cloud: Cloud, pool: Pool) -> None:
    pool.add()
    access = pool.sign_in()["AuthenticationResult"]["AccessToken"]
    cloud.restart()
    assert cloud.client("cognito-idp").get_user(AccessToken=access)["Username"] == "ann"
    assert "IdToken" in pool.sign_in()["AuthenticationResult"]


def test_somebody_made_by_an_administrator_must_choose_a_password_first(pool: Pool) -> None:
    pool.client.admin_create_user(UserPoolId=pool.id, Username="kim", TemporaryPassword="Temporary-1")
    asked = pool.sign_in("kim", "Temporary-1")
    assert asked["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
    answer = pool.client.respond_to_auth_challenge(
        ClientId=pool.client_id, ChallengeName="NEW_PASSWORD_REQUIRED", Session=asked["Session"],
        ChallengeResponses={"USERNAME": "kim", "NEW_PASSWORD": PASSWORD},
    )  # fmt: skip
    assert "IdToken" in answer["AuthenticationResult"]
    assert "IdToken" in pool.sign_in("kim")["AuthenticationResult"]


def test_after_a_global_sign_out_no_older_token_is_good(cloud: Cloud, pool: Pool) -> None:
    pool.add()
    access = pool.sign_in()["AuthenticationResult"]["AccessToken"]
    pool.client.global_sign_out(AccessToken=access)
    with pytest.raises(ClientError, match="Access Token has been revoked"):
        pool.client.get_user(AccessToken=access)
    cloud.advance(seconds=1)
    assert pool.client.get_user(AccessToken=pool.sign_in()["AuthenticationResult"]["AccessToken"])


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("Aa1!", "Password not long enough"),
        ("lower-case-1", "Password must have uppercase characters"),
        ("UPPER-CASE-1", "Password must have lowercase characters"),
        ("No-numbers", "Password must have numeric characters"),
        ("NoSymbols1", "Password must have symbol characters"),
    ],
)
def test_a_password_that_breaks_the_policy_is_told_which_rule(pool: Pool, password: str, told: str) -> None:
    with pytest.raises(ClientError, match=f"Password did not conform with policy: {told}"):
        pool.client.sign_up(ClientId=pool.client_id, Username="x", Password=password)
