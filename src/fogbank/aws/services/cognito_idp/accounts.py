"""What the operations on users share: making one, sending a code, checking a client's secret hash."""

from __future__ import annotations

import hmac
from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import Call, ServiceError
from fogbank.aws.services.cognito_idp import attributes, passwords, state

if TYPE_CHECKING:
    from fogbank.aws.service import House
    from fogbank.kernel.store import Tx

_CODE_MS = {"sign-up": 86_400_000, "password": 3_600_000}
_CODE_DEFAULT_MS = 86_400_000


def check_secret_hash(client: state.Client, username: str, given: str | None) -> None:
    """A client with a secret proves it with an HMAC over the user's name and its own id."""
    if not client.secret:
        return
    if not given:
        raise ServiceError(
            "NotAuthorizedException", f"Client {client.id} is configured with secret but SECRET_HASH was not received"
        )
    made = b64encode(hmac.digest(client.secret.encode(), (username + client.id).encode(), "sha256")).decode()
    if not hmac.compare_digest(made, given):
        raise ServiceError("NotAuthorizedException", f"Unable to verify secret hash for client {client.id}")


def new_user(
    tx: Tx, call: Call, pool: state.Pool, username: str, given: dict[str, str], status: str, *, exists: str
) -> state.User:
    """Checked and not yet stored. Where the pool's users are known by e-mail or phone, their name is their `sub`."""
    attributes.check(pool, given)
    by = pool.settings.get("UsernameAttributes", [])
    sub = call.new_id()
    if by:
        kind = "phone_number" if username.startswith("+") else "email"
        if kind not in by:
            wanted = " or a ".join("phone number" if name == "phone_number" else "email" for name in by)
            raise ServiceError("InvalidParameterException", f"Username should be an {wanted}.")
        given = {**given, kind: username}
        if state.alias_owner(tx, pool, kind, username) is not None:
            raise ServiceError("UsernameExistsException", exists)
        username = sub
    elif state.USERS.get(tx, pool.id, state.compared(pool, username)) is not None:
        raise ServiceError("UsernameExistsException", exists)
    attributes.check_required(pool, given)
    return state.User(username, sub, given, status, call.now_ms, call.now_ms)


def send_code(house: House, pool: state.Pool, user: state.User, purpose: str, now_ms: int) -> tuple[state.User, Any]:
    """A code for `purpose`. Nothing is mailed from here: it is said in fogbank's log, where its developer reads it."""
    code = house.ids.token(6, "0123456789")
    expires_ms = now_ms + _CODE_MS.get(purpose, _CODE_DEFAULT_MS)
    house.telemetry.info("cognito code", pool=pool.id, user=user.username, purpose=purpose, code=code)
    details = _delivery(user, purpose)
    return replace(user, codes=user.with_code(state.Code(purpose, code, expires_ms))), details


def _delivery(user: state.User, purpose: str) -> dict[str, str] | None:
    for name, medium in (("email", "EMAIL"), ("phone_number", "SMS")):
        value = user.attributes.get(name)
        if value and purpose in ("sign-up", "password", name):
            return {"Destination": _masked(value), "DeliveryMedium": medium, "AttributeName": name}
    return None


def _masked(value: str) -> str:
    """As Cognito hides where it sent a code: `a***@e***`, `+*******1234`."""
    local, at, domain = value.partition("@")
    return f"{local[:1]}***@{domain[:1]}***" if at else "+" + "*" * 7 + value[-4:]


def check_code(user: state.User, purpose: str, given: str, now_ms: int) -> state.User:
    """The user without the code, if it is the right one. Raises CodeMismatch- or ExpiredCodeException."""
    sent = next((code for code in user.codes if code.purpose == purpose), None)
    if sent is None or sent.expires_ms < now_ms:
        raise ServiceError("ExpiredCodeException", "Invalid code provided, please request a code again.")
    if not hmac.compare_digest(sent.code, given):
        raise ServiceError("CodeMismatchException", "Invalid verification code provided, please try again.")
    return replace(user, codes=[code for code in user.codes if code.purpose != purpose], modified_ms=now_ms)


def confirmed(pool: state.Pool, user: state.User) -> state.User:
    """After the right code: what the code was sent to is verified too, where the pool verifies it."""
    verified = {
        f"{name}_verified": "true"
        for name in pool.settings.get("AutoVerifiedAttributes", [])
        if name in user.attributes
    }
    return replace(user, status="CONFIRMED", attributes=user.attributes | verified)


def with_password(pool: state.Pool, user: state.User, password: str) -> state.User:
    passwords.check(pool, password)
    return passwords.set_on(pool, user, password)
