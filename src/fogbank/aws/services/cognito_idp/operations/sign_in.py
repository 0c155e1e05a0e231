"""Signing in, step by step: with a password, by SRP, with a refresh token; and signing out.

Developer Guide, "Authentication flows"; API reference, InitiateAuth and RespondToAuthChallenge.
"""

from __future__ import annotations

import secrets
from base64 import b64decode
from dataclasses import replace
from hmac import compare_digest, digest
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.cognito_idp import accounts, attributes, passwords, seal, sessions, srp, state
from fogbank.aws.services.cognito_idp.operations.clients import allows
from fogbank.aws.services.cognito_idp.sessions import refused

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_WRONG = "Incorrect username or password."
_SESSION_MS = 180_000
_SRP_SECRET_BYTES = 128


class SignIn(Operations):
    service: ClassVar = "cognito-idp"

    def initiate_auth(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        client, pool = state.client_and_pool(tx, request["ClientId"])
        if request["AuthFlow"].startswith("ADMIN_"):
            raise ServiceError("InvalidParameterException", "Initiate Auth method not supported.")
        return self._initiate(tx, call, client, pool, request)

    def admin_initiate_auth(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        return self._initiate(tx, call, state.client(tx, request["ClientId"], pool.id), pool, request)

    def respond_to_auth_challenge(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        client, pool = state.client_and_pool(tx, request["ClientId"])
        return self._respond(tx, call, client, pool, request)

    def admin_respond_to_auth_challenge(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        return self._respond(tx, call, state.client(tx, request["ClientId"], pool.id), pool, request)

    def get_tokens_from_refresh_token(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        client, _ = state.client_and_pool(tx, request["ClientId"])
        if client.secret and request.get("ClientSecret") != client.secret:
            raise refused(f"Unable to verify secret for client {client.id}")
        return {"AuthenticationResult": sessions.renew(tx, call, client, request["RefreshToken"])}

    def global_sign_out(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        sessions.sign_out(tx, call, *sessions.by_access_token(tx, call, request["AccessToken"]))
        return {}

    def admin_user_global_sign_out(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        sessions.sign_out(tx, call, pool, state.user(tx, pool, request["Username"]))
        return {}

    def revoke_token(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        client, _ = state.client_and_pool(tx, request["ClientId"])
        if client.secret and request.get("ClientSecret") != client.secret:
            raise ServiceError("UnauthorizedException", f"Unable to verify secret for client {client.id}")
        sessions.revoke(tx, call, client, request["Token"])
        return {}

    # -- the first step --

    def _initiate(
        self, tx: Tx, call: Call, client: state.Client, pool: state.Pool, request: dict[str, Any]
    ) -> dict[str, Any]:
        flow, given = request["AuthFlow"], request.get("AuthParameters", {})
        flow = {"ADMIN_NO_SRP_AUTH": "ADMIN_USER_PASSWORD_AUTH", "REFRESH_TOKEN": "REFRESH_TOKEN_AUTH"}.get(flow, flow)
        if flow not in _FLOWS:
            raise ServiceError("InvalidParameterException", f"The authentication flow {flow} is not served here.")
        if not allows(client, flow):
            told = (
                f"{flow} flow not enabled for this client"
                if flow == "USER_PASSWORD_AUTH"
                else "Auth flow not enabled for this client"
            )
            raise ServiceError("InvalidParameterException", told)
        if flow == "REFRESH_TOKEN_AUTH":
            proof = given.get("SECRET_HASH") if client.secret else None
            if client.secret and not proof:
                raise refused(f"Client {client.id} is configured with secret but SECRET_HASH was not received")
            renewed = sessions.renew(tx, call, client, _need(given, "REFRESH_TOKEN"), secret_hash=proof)
            return {"ChallengeParameters": {}, "AuthenticationResult": renewed}
        name = _need(given, "USERNAME")
        accounts.check_secret_hash(client, name, given.get("SECRET_HASH"))
        user = self._known(tx, pool, client, name, admin=flow.startswith("ADMIN_"))
        if flow == "USER_SRP_AUTH":
            return self._srp(call, pool, name, user, _need(given, "SRP_A"))
        if user is None or not passwords.matches(pool, user, _need(given, "PASSWORD")):
            raise refused(_WRONG)
        return self._let_in(tx, call, client, pool, user)

    def _known(self, tx: Tx, pool: state.Pool, client: state.Client, name: str, *, admin: bool) -> state.User | None:
        """Nothing tells an unknown user from a wrong password, where the client is set so."""
        user = state.find_user(tx, pool, name)
        if user is None:
            if admin or accounts.tells_existence(client):
                raise ServiceError("UserNotFoundException", "User does not exist.")
            return None
        if not user.enabled:
            raise refused("User is disabled.")
        return user

    def _srp(self, call: Call, pool: state.Pool, name: str, user: state.User | None, given: str) -> dict[str, Any]:
        """Our half of SRP; somebody unknown gets one that no password fits."""
        salt = user.salt if user else digest(pool.seal_key, name.encode(), "sha256")[:16]  # The same each time.
        verifier = user.verifier if user else srp.verifier(pool.short_id, name, secrets.token_hex(16), salt)
        username = user.username if user else name
        try:
            a = int(given, 16)
        except ValueError as error:
            raise ServiceError("InvalidParameterException", "SRP_A must be a hexadecimal number") from error
        asked = srp.challenge(a, verifier, int.from_bytes(secrets.token_bytes(_SRP_SECRET_BYTES)))
        if asked is None:
            raise ServiceError("InvalidParameterException", "SRP_A must not be 0 modulo N")
        kept = {"srp": username, "a": f"{a:x}", "b": f"{asked.secret:x}", "B": f"{asked.public:x}", "v": verifier.hex()}
        block = seal.close(pool.seal_key, kept, call.now_ms + _SESSION_MS)
        return {
            "ChallengeName": "PASSWORD_VERIFIER",
            "ChallengeParameters": {
                "SALT": f"{int.from_bytes(salt):x}",
                "SECRET_BLOCK": block,
                "SRP_B": f"{asked.public:x}",
                "USERNAME": username,
                "USER_ID_FOR_SRP": username,
            },
        }

    # -- the second step --

    def _respond(
        self, tx: Tx, call: Call, client: state.Client, pool: state.Pool, request: dict[str, Any]
    ) -> dict[str, Any]:
        name, given = request["ChallengeName"], request.get("ChallengeResponses", {})
        username = _need(given, "USERNAME")
        accounts.check_secret_hash(client, username, given.get("SECRET_HASH"))
        if name == "PASSWORD_VERIFIER":
            return self._verify_password(tx, call, client, pool, given)
        if name == "NEW_PASSWORD_REQUIRED":
            return self._new_password(tx, call, client, pool, request.get("Session", ""), given)
        raise ServiceError("InvalidParameterException", f"The challenge {name} is not served here.")

    def _verify_password(
        self, tx: Tx, call: Call, client: state.Client, pool: state.Pool, given: dict[str, str]
    ) -> dict[str, Any]:
        block = _need(given, "PASSWORD_CLAIM_SECRET_BLOCK")
        try:
            kept = seal.open_(pool.seal_key, block, call.now_ms)
            claimed = b64decode(_need(given, "PASSWORD_CLAIM_SIGNATURE"), validate=True)
        except (seal.Broken, ValueError) as error:
            raise refused(_WRONG) from error
        asked = srp.Challenge(int(kept["a"], 16), int(kept["b"], 16), int(kept["B"], 16))
        verifier, username = bytes.fromhex(kept["v"]), kept["srp"]
        made = srp.signature(asked, verifier, pool.short_id, username, b64decode(block), _need(given, "TIMESTAMP"))
        user = state.find_user(tx, pool, username)
        if user is None or user.verifier != verifier or not compare_digest(made, claimed):
            raise refused(_WRONG)
        return self._let_in(tx, call, client, pool, user)

    def _new_password(
        self, tx: Tx, call: Call, client: state.Client, pool: state.Pool, session: str, given: dict[str, str]
    ) -> dict[str, Any]:
        try:
            kept = seal.open_(pool.seal_key, session, call.now_ms)
        except seal.Broken as error:
            raise refused("Invalid session for the user, session is expired.") from error
        user = state.find_user(tx, pool, str(kept.get("new_password", "")))
        if user is None or user.status != "FORCE_CHANGE_PASSWORD":
            raise refused("Invalid session for the user.")
        own = {
            key.removeprefix("userAttributes."): value
            for key, value in given.items()
            if key.startswith("userAttributes.")
        }
        attributes.check(pool, own)
        absent = attributes.missing(pool, user.attributes | own)
        if absent:
            told = f"Invalid attributes given, {', '.join(absent)} is missing"
            raise ServiceError("InvalidParameterException", told)
        changed = accounts.with_password(pool, user, _need(given, "NEW_PASSWORD"))
        changed = replace(
            changed,
            status="CONFIRMED",
            attributes=changed.attributes | own,
            modified_ms=call.now_ms,
            temporary_until_ms=0,
        )
        accounts.keep(tx, pool, changed, user)
        begun = sessions.begin(tx, self.house, call, pool, client, changed)
        return {"ChallengeParameters": {}, "AuthenticationResult": begun}

    def _let_in(self, tx: Tx, call: Call, client: state.Client, pool: state.Pool, user: state.User) -> dict[str, Any]:
        """The password was right; the user's status decides what comes next."""
        if user.status == "UNCONFIRMED":
            raise ServiceError("UserNotConfirmedException", "User is not confirmed.")
        if user.status == "RESET_REQUIRED":
            raise ServiceError("PasswordResetRequiredException", "Password reset required for the user")
        if user.status == "FORCE_CHANGE_PASSWORD":
            if user.temporary_until_ms < call.now_ms:
                raise refused("Temporary password has expired and must be reset by an administrator.")
            session = seal.close(pool.seal_key, {"new_password": user.username}, call.now_ms + _SESSION_MS)
            return {
                "ChallengeName": "NEW_PASSWORD_REQUIRED",
                "Session": session,
                "ChallengeParameters": {
                    "USER_ID_FOR_SRP": user.username,
                    "requiredAttributes": orjson.dumps(
                        [f"userAttributes.{name}" for name in attributes.missing(pool, user.attributes)]
                    ).decode(),
                    "userAttributes": orjson.dumps(user.attributes).decode(),
                },
            }
        return {
            "ChallengeParameters": {},
            "AuthenticationResult": sessions.begin(tx, self.house, call, pool, client, user),
        }


_FLOWS = ("USER_PASSWORD_AUTH", "ADMIN_USER_PASSWORD_AUTH", "USER_SRP_AUTH", "REFRESH_TOKEN_AUTH")


def _need(given: dict[str, str], name: str) -> str:
    if not given.get(name):
        raise ServiceError("InvalidParameterException", f"Missing required parameter {name}")
    return given[name]
