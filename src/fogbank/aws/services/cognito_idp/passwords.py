"""Passwords: what a pool's policy asks of one, and how one is kept and checked."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import ServiceError
from fogbank.aws.services.cognito_idp import srp

if TYPE_CHECKING:
    from fogbank.aws.services.cognito_idp.state import Pool, User

_SALT_BYTES = 16
# Cognito Developer Guide, "Adding user pool password requirements": the special characters, and space inside.
_SYMBOLS = set("^$*.[]{}()?\"!@#%&/\\,><':;|_~`=+- ")
DEFAULT_POLICY: dict[str, Any] = {
    "MinimumLength": 8,
    "RequireUppercase": True,
    "RequireLowercase": True,
    "RequireNumbers": True,
    "RequireSymbols": True,
    "TemporaryPasswordValidityDays": 7,
}


def policy(pool: Pool) -> dict[str, Any]:
    return {**DEFAULT_POLICY, **pool.settings.get("Policies", {}).get("PasswordPolicy", {})}


def check(pool: Pool, password: str) -> None:
    """Raises InvalidPasswordException with the first rule that it breaks."""
    wanted = policy(pool)
    held = {"upper": str.isupper, "lower": str.islower, "digit": str.isdigit}
    has = {kind: any(map(test, password)) for kind, test in held.items()}
    rules = [
        (len(password) >= wanted["MinimumLength"], "Password not long enough"),
        (not wanted["RequireUppercase"] or has["upper"], "Password must have uppercase characters"),
        (not wanted["RequireLowercase"] or has["lower"], "Password must have lowercase characters"),
        (not wanted["RequireNumbers"] or has["digit"], "Password must have numeric characters"),
        (not wanted["RequireSymbols"] or bool(_SYMBOLS & set(password)), "Password must have symbol characters"),
    ]
    for kept, problem in rules:
        if not kept:
            raise ServiceError("InvalidPasswordException", f"Password did not conform with policy: {problem}")


def set_on(pool: Pool, user: User, password: str, *, temporary_until_ms: int = 0) -> User:
    salt = secrets.token_bytes(_SALT_BYTES)
    verifier = srp.verifier(pool.short_id, user.username, password, salt)
    return replace(user, salt=salt, verifier=verifier, temporary_until_ms=temporary_until_ms)


def matches(pool: Pool, user: User, password: str) -> bool:
    made = srp.verifier(pool.short_id, user.username, password, user.salt)
    return bool(user.verifier) and hmac.compare_digest(made, user.verifier)


def random_temporary() -> str:
    """One that satisfies every policy that can be set, of twelve characters or more."""
    return secrets.token_urlsafe(9) + "aA1!"
