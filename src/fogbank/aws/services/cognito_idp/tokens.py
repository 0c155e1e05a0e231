"""Tokens of a user pool: JSON Web Tokens signed RS256, and the public keys that verify them.

Cognito Developer Guide, "Understanding user pool JSON web tokens (JWTs)" and "Verifying JSON web tokens".
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.aws.services.cognito_idp.state import Client, Group, Pool, User

_KEY_BITS = 2048
_UNITS_S = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
# CreateUserPoolClient: what holds where the client was made without it.
_DEFAULTS_S = {"AccessTokenValidity": 3600, "IdTokenValidity": 3600, "RefreshTokenValidity": 30 * 86400}
_DEFAULT_UNITS = {"AccessTokenValidity": "hours", "IdTokenValidity": "hours", "RefreshTokenValidity": "days"}
_UNIT_NAMES = {
    "AccessTokenValidity": "AccessToken",
    "IdTokenValidity": "IdToken",
    "RefreshTokenValidity": "RefreshToken",
}


class BadToken(Exception):
    """Not a token of this pool: malformed, wrongly signed, or signed by another key."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """One act of signing in, which all its tokens share."""

    auth_time_s: int
    origin: str
    now_s: int
    new_id: tuple[str, str, str]  # jti of the ID token, of the access token, and the event's id.


def new_key_pair() -> tuple[bytes, bytes]:
    """Private and public key as DER. Takes a tenth of a second: not for the event loop's thread."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def lifetime_s(client: Client, setting: str) -> int:
    given = client.settings.get(setting)
    if not given:
        return _DEFAULTS_S[setting]
    unit = client.settings.get("TokenValidityUnits", {}).get(_UNIT_NAMES[setting], _DEFAULT_UNITS[setting])
    return int(given) * _UNITS_S[unit]


def id_token(pool: Pool, client: Client, user: User, groups: list[Group], sign_in: SignIn) -> str:
    readable = client.settings.get("ReadAttributes")
    attributes = {
        name: value == "true" if name.endswith("_verified") else value
        for name, value in user.attributes.items()
        if readable is None or name in readable
    }
    claims = {
        **attributes,
        "sub": user.sub,
        **_group_claims(groups),
        "iss": pool.issuer,
        "cognito:username": user.username,
        "origin_jti": sign_in.origin,
        "aud": client.id,
        "event_id": sign_in.new_id[2],
        "token_use": "id",
        "auth_time": sign_in.auth_time_s,
        "exp": sign_in.now_s + lifetime_s(client, "IdTokenValidity"),
        "iat": sign_in.now_s,
        "jti": sign_in.new_id[0],
    }
    return _sign(pool, claims)


def _group_claims(groups: list[Group]) -> dict[str, Any]:
    """ "Adding groups to a user pool": the role of the group that comes first is preferred, if it comes first alone."""
    if not groups:
        return {}
    roles = [group.role_arn for group in groups if group.role_arn]
    claims: dict[str, Any] = {"cognito:groups": [group.name for group in groups]}
    if roles:
        claims["cognito:roles"] = roles
        first = {group.role_arn for group in groups if group.precedence == groups[0].precedence}
        if groups[0].precedence is not None and len(first) == 1 and groups[0].role_arn:
            claims["cognito:preferred_role"] = groups[0].role_arn
    return claims


def access_token(pool: Pool, client: Client, user: User, groups: list[Group], sign_in: SignIn) -> str:
    claims = {
        "sub": user.sub,
        **({"cognito:groups": [group.name for group in groups]} if groups else {}),
        "iss": pool.issuer,
        "client_id": client.id,
        "origin_jti": sign_in.origin,
        "event_id": sign_in.new_id[2],
        "token_use": "access",
        "scope": "aws.cognito.signin.user.admin",
        "auth_time": sign_in.auth_time_s,
        "exp": sign_in.now_s + lifetime_s(client, "AccessTokenValidity"),
        "iat": sign_in.now_s,
        "jti": sign_in.new_id[1],
        "username": user.username,
    }
    return _sign(pool, claims)


def key_set(pool: Pool) -> dict[str, Any]:
    """The pool's JSON Web Key Set (RFC 7517)."""
    numbers = _public(pool.public_key).public_numbers()
    modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)
    exponent = numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8)
    key = {"alg": "RS256", "kid": pool.key_id, "kty": "RSA", "use": "sig"}
    return {"keys": [{**key, "e": _encode(exponent), "n": _encode(modulus)}]}


def unverified_claims(token: str) -> dict[str, Any]:
    """What a token says of itself, to find the pool that must have signed it."""
    try:
        return dict(orjson.loads(_decode(token.split(".")[1])))
    except (ValueError, IndexError, TypeError) as error:
        raise BadToken("malformed") from error


def verify(token: str, key_id: str, public_key: bytes) -> dict[str, Any]:
    """The claims of a token signed by this key. Times are for the caller to check."""
    try:
        head, claims, signature = token.split(".")
        header = orjson.loads(_decode(head))
        if header.get("alg") != "RS256" or header.get("kid") != key_id:  # `none` and HMAC are refused here.
            raise BadToken("signed by another key")
        _public(public_key).verify(_decode(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), SHA256())
        return dict(orjson.loads(_decode(claims)))
    except (ValueError, TypeError, AttributeError) as error:
        raise BadToken("malformed") from error
    except InvalidSignature as error:
        raise BadToken("wrongly signed") from error


def hashed(refresh_token: str) -> str:
    return hashlib.sha256(refresh_token.encode()).hexdigest()


def _sign(pool: Pool, claims: Mapping[str, Any]) -> str:
    header = _encode(orjson.dumps({"kid": pool.key_id, "alg": "RS256"}))
    signed = f"{header}.{_encode(orjson.dumps(claims))}"
    return f"{signed}.{_encode(_private(pool.private_key).sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"


@lru_cache(maxsize=64)
def _private(der: bytes) -> rsa.RSAPrivateKey:
    key = load_der_private_key(der, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@lru_cache(maxsize=64)
def _public(der: bytes) -> rsa.RSAPublicKey:
    key = load_der_public_key(der)
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
