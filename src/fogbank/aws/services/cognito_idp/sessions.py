"""Signing in: what a successful one gives, what keeps it alive, and what ends it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import Call, ServiceError
from fogbank.aws.services.cognito_idp import accounts, state, tokens
from fogbank.primitives import web_tokens

if TYPE_CHECKING:
    from fogbank.aws.service import House
    from fogbank.kernel.store import Tx

_REFRESH_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_REFRESH_LENGTH = 128


def refused(message: str) -> ServiceError:
    return ServiceError("NotAuthorizedException", message)


def begin(tx: Tx, house: House, call: Call, pool: state.Pool, client: state.Client, user: state.User) -> dict[str, Any]:
    """AuthenticationResultType of a new sign-in."""
    now_s = call.now_ms // 1000
    refresh = house.ids.token(_REFRESH_LENGTH, _REFRESH_LETTERS)
    lives_ms = 1000 * tokens.lifetime_s(client, "RefreshTokenValidity")
    kept = state.Refresh(pool.id, client.id, user.username, call.new_id(), now_s, call.now_ms + lives_ms)
    state.REFRESHES.put(tx, tokens.hashed(refresh), row=kept)
    return {**_tokens(tx, call, pool, client, user, kept), "RefreshToken": refresh}


def renew(tx: Tx, call: Call, client: state.Client, refresh: str, *, secret_hash: str | None = None) -> dict[str, Any]:
    """New ID and access tokens for a refresh token; `secret_hash` where the client proves its secret by one."""
    kept = state.REFRESHES.get(tx, tokens.hashed(refresh))
    if kept is None or kept.client_id != client.id:
        raise refused("Invalid Refresh Token")
    if kept.expires_ms <= call.now_ms:
        raise refused("Refresh Token has expired")
    pool = state.POOLS.get(tx, kept.pool_id)
    user = state.find_user(tx, pool, kept.username) if pool else None
    if pool is None or user is None:
        raise refused("Invalid Refresh Token")
    if not user.enabled:
        raise refused("User is disabled.")
    _check_secret_hash(client, user, secret_hash)
    if state.REVOKED.get(tx, kept.origin) is not None or _is_over(user, kept.origin, kept.auth_time_s):
        raise refused("Refresh Token has been revoked")
    return _tokens(tx, call, pool, client, user, kept)


def _check_secret_hash(client: state.Client, user: state.User, given: str | None) -> None:
    """InitiateAuth, REFRESH_TOKEN_AUTH: made with the user's name, or with `sub` where people sign in by an alias."""
    if given is None:
        return
    if not any(accounts.secret_hash(client, name) == given for name in (user.username, user.sub)):
        raise refused(f"SecretHash does not match for the client: {client.id}")


def _is_over(user: state.User, origin: str, auth_time_s: int) -> bool:
    return origin < user.signed_out or auth_time_s * 1000 < user.signed_out_ms


def _tokens(
    tx: Tx, call: Call, pool: state.Pool, client: state.Client, user: state.User, kept: state.Refresh
) -> dict[str, Any]:
    names = (call.new_id(), call.new_id(), call.new_id())
    signed = tokens.SignIn(kept.auth_time_s, kept.origin, call.now_ms // 1000, names)
    groups = state.groups(tx, pool.id, user.username)
    return {
        "AccessToken": tokens.access_token(pool, client, user, groups, signed),
        "IdToken": tokens.id_token(pool, client, user, groups, signed),
        "ExpiresIn": tokens.lifetime_s(client, "AccessTokenValidity"),
        "TokenType": "Bearer",
    }


def by_access_token(tx: Tx, call: Call, token: str) -> tuple[state.Pool, state.User]:
    """Whose token it is. Raises NotAuthorizedException."""
    pool, user, _ = by_whose_app(tx, call, token)
    return pool, user


def by_whose_app(tx: Tx, call: Call, token: str) -> tuple[state.Pool, state.User, str]:
    """The same, and the client that signed the user in."""
    try:
        claims = web_tokens.unverified_claims(token)
        pool = state.POOLS.get(tx, str(claims.get("iss", "")).rpartition("/")[2])
        if pool is None:
            raise refused("Invalid Access Token")
        claims = web_tokens.verify(token, pool.key_id, pool.public_key)
    except web_tokens.BadToken as error:
        raise refused("Invalid Access Token") from error
    if claims.get("token_use") != "access":
        raise refused("Invalid Access Token")
    if claims["exp"] * 1000 <= call.now_ms:
        raise refused("Access Token has expired")
    user = state.find_user(tx, pool, claims["username"])
    if user is None:
        raise ServiceError("UserNotFoundException", "User does not exist.")
    if state.REVOKED.get(tx, claims["origin_jti"]) is not None or _is_over(
        user, claims["origin_jti"], claims["auth_time"]
    ):
        raise refused("Access Token has been revoked")
    if not user.enabled:
        raise refused("User is disabled.")
    return pool, user, str(claims["client_id"])


def sign_out(tx: Tx, call: Call, pool: state.Pool, user: state.User) -> None:
    """Everywhere: all tokens given until now are no longer good."""
    state.put_user(tx, pool, replace(user, signed_out=call.new_id()), user)


def revoke(tx: Tx, call: Call, client: state.Client, refresh: str) -> None:
    """RevokeToken: a token that is unknown is no error."""
    if refresh.count(".") == 2:  # An access or ID token.
        raise ServiceError("UnsupportedTokenTypeException", "Unsupported token type")
    kept = state.REFRESHES.get(tx, tokens.hashed(refresh))
    if kept is not None and kept.client_id == client.id:
        state.REVOKED.put(tx, kept.origin, row=call.now_ms)
        state.REFRESHES.delete(tx, tokens.hashed(refresh))
