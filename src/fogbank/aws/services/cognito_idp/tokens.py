"""Tokens of a user pool: JSON Web Tokens signed RS256, and the public keys that verify them.

Cognito Developer Guide, "Understanding user pool JSON web tokens (JWTs)" and "Verifying JSON web tokens".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.primitives import web_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.aws.services.cognito_idp.state import Client, Group, Pool, User

_UNITS_S = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
# CreateUserPoolClient: what holds where the client was made without it.
_DEFAULTS_S = {"AccessTokenValidity": 3600, "IdTokenValidity": 3600, "RefreshTokenValidity": 30 * 86400}
_DEFAULT_UNITS = {"AccessTokenValidity": "hours", "IdTokenValidity": "hours", "RefreshTokenValidity": "days"}
_UNIT_NAMES = {
    "AccessTokenValidity": "AccessToken",
    "IdTokenValidity": "IdToken",
    "RefreshTokenValidity": "RefreshToken",
}


@dataclass(frozen=True, slots=True)
class SignIn:
    """One act of signing in, which all its tokens share."""

    auth_time_s: int
    origin: str
    now_s: int
    new_id: tuple[str, str, str]  # jti of the ID token, of the access token, and the event's id.


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
    return {"keys": [web_tokens.json_web_key(pool.key_id, pool.public_key)]}


def hashed(refresh_token: str) -> str:
    return hashlib.sha256(refresh_token.encode()).hexdigest()


def _sign(pool: Pool, claims: Mapping[str, Any]) -> str:
    return web_tokens.sign(pool.private_key, {"kid": pool.key_id, "alg": "RS256"}, orjson.dumps(claims))
