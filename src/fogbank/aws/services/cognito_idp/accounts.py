"""What the operations on users share: making one, sending a code, checking a client's secret hash."""

from __future__ import annotations

import hmac
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
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
    if not hmac.compare_digest(secret_hash(client, username), given):
        raise ServiceError("NotAuthorizedException", f"Unable to verify secret hash for client {client.id}")


def secret_hash(client: state.Client, username: str) -> str:
    return b64encode(hmac.digest(client.secret.encode(), (username + client.id).encode(), "sha256")).decode()


def new_user(
    tx: Tx, call: Call, pool: state.Pool, username: str, given: dict[str, str], status: str, *, exists: str
) -> state.User:
    """Checked and not yet stored. Where the pool's users are known by e-mail or phone, their name is their `sub`."""
    attributes.check(pool, given)
    by = pool.settings.get("UsernameAttributes", [])
    sub = call.new_id()
    if by:
        kind = "phone_number" if username.startswith("+") else "email"
        if kind not in by or (kind == "email" and "@" not in username):
            wanted = {("email",): "an email", ("phone_number",): "a phone number"}
            told = wanted.get(tuple(by), "either an email or a phone number")
            raise ServiceError("InvalidParameterException", f"Username should be {told}.")
        given = {**given, kind: username}
        if state.alias_owner(tx, pool, kind, username) is not None:
            raise ServiceError("UsernameExistsException", f"An account with the given {kind} already exists.")
        username = sub
    elif state.USERS.get(tx, pool.id, state.compared(pool, username)) is not None:
        raise ServiceError("UsernameExistsException", exists)
    elif "@" in username and "email" in pool.settings.get("AliasAttributes", []):
        told = "Username cannot be of email format, since user pool is configured for email alias."
        raise ServiceError("InvalidParameterException", told)
    attributes.check_required(pool, given)
    return state.User(username, sub, given, status, call.now_ms, call.now_ms)


def keep(tx: Tx, pool: state.Pool, changed: state.User, before: state.User | None, *, force: bool = False) -> None:
    """Store a user whose aliases may be new. Raises AliasExistsException where one is somebody else's; with `force` it
    passes over to this user (AdminCreateUser, ForceAliasCreation)."""
    while (taken := state.taken_alias(tx, pool, changed)) is not None:
        attribute, owner = taken
        other = state.USERS.get(tx, pool.id, state.compared(pool, owner))
        passes = (
            force and attribute in ("email", "phone_number") and attribute in pool.settings.get("AliasAttributes", [])
        )
        if not passes or other is None:
            raise ServiceError("AliasExistsException", f"An account with the {attribute} already exists.")
        left = {name: value for name, value in other.attributes.items() if name != f"{attribute}_verified"}
        state.put_user(tx, pool, replace(other, attributes=left), other)
    state.put_user(tx, pool, changed, before)


def check_writable(client: state.Client, given: dict[str, str]) -> None:
    """CreateUserPoolClient, WriteAttributes: what an app may write; that something is verified no user says himself."""
    allowed = client.settings.get("WriteAttributes")
    for name in given:
        if name.endswith("_verified") or (allowed is not None and name not in allowed):
            raise ServiceError("NotAuthorizedException", "A client attempted to write unauthorized attribute")


def tells_existence(client: state.Client) -> bool:
    """CreateUserPoolClient, PreventUserExistenceErrors."""
    return client.settings.get("PreventUserExistenceErrors") != "ENABLED"


def unknown() -> ServiceError:
    return ServiceError("UserNotFoundException", "Username/client id combination not found.")


def simulated_delivery(pool: state.Pool, name: str) -> dict[str, str]:
    """What somebody is told who asks for a code for a user that there is not ("Managing user existence errors")."""
    letter = sha256(pool.seal_key + name.encode()).hexdigest().lstrip("0123456789")[:1] or "a"
    return {"Destination": f"{letter}***@{letter}***", "DeliveryMedium": "EMAIL", "AttributeName": "email"}


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
