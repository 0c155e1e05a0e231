"""STS: GetCallerIdentity, and temporary keys that name the role they stand for until they expire."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.service import Call, KnownKey, Operations, ServiceError
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fogbank.kernel.store import Tx

_SESSION_NAME = re.compile(r"[\w+=,.@-]+")
_PACKED_BYTES_MAX = 8192
_KEY_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_SECRET_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@dataclass(frozen=True, slots=True)
class Session:
    account: str
    principal: str
    secret: str
    token: str
    expires_ms: int


SESSIONS = Records(Session, "sts", "session")  # (access key,)


class Sts(Operations):
    service: ClassVar = "sts"
    refused: ClassVar = {
        "*": {"SerialNumber": (), "TokenCode": (), "ProvidedContexts": ([],), "MinimumSessionTokenSize": ()},
    }
    without_effect: ClassVar = {"AssumeRole": {"ExternalId": "Only trust policies ask for it; they are not enforced."}}

    def key_registers(self) -> Iterable[Callable[[Tx, str], KnownKey | None]]:
        return (_find,)

    def get_caller_identity(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        user = call.account if call.principal.endswith(":root") else call.sender
        if ":assumed-role/" in call.principal:
            role, _, name = call.principal.partition(":assumed-role/")[2].partition("/")
            user = f"{_role_id(call.account, role)}:{name}"
        return {"UserId": user, "Account": call.account, "Arn": call.principal}

    def assume_role(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        arn, name = request["RoleArn"], request["RoleSessionName"]
        parts = arn.split(":")
        if len(parts) != 6 or not parts[5].startswith("role/"):
            raise ServiceError("ValidationError", f"{arn} is invalid")
        if not _SESSION_NAME.fullmatch(name):
            told = f"1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*"  # noqa: E501
            raise ServiceError("ValidationError", told)
        packed = _packed_percent(request)
        role = parts[5].rpartition("/")[2]
        principal = f"arn:aws:sts::{parts[4]}:assumed-role/{role}/{name}"
        key, session = self._session(call, parts[4], principal, request.get("DurationSeconds", 3600))
        SESSIONS.put(tx, key, row=session)
        return {
            "Credentials": _credentials(key, session),
            "AssumedRoleUser": {"AssumedRoleId": f"{_role_id(parts[4], role)}:{name}", "Arn": principal},
            **({"PackedPolicySize": packed} if packed else {}),
            **({"SourceIdentity": request["SourceIdentity"]} if "SourceIdentity" in request else {}),
        }

    def get_access_key_info(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Of a key that this cloud has issued; any other is the caller's own account's."""
        found = SESSIONS.get(tx, request["AccessKeyId"])
        return {"Account": found.account if found else call.account}

    def get_session_token(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        key, session = self._session(call, call.account, call.principal, request.get("DurationSeconds", 43_200))
        SESSIONS.put(tx, key, row=session)
        return {"Credentials": _credentials(key, session)}

    def _session(self, call: Call, account: str, principal: str, duration_s: int) -> tuple[str, Session]:
        token = self.house.ids.token
        key = "ASIA" + token(16, _KEY_LETTERS)
        expires_ms = call.now_ms + 1000 * duration_s
        return key, Session(account, principal, token(40, _SECRET_LETTERS), token(200, _SECRET_LETTERS), expires_ms)


def _find(tx: Tx, access_key: str) -> KnownKey | None:
    found = SESSIONS.get(tx, access_key)
    if found is None:
        return None
    return KnownKey(found.account, found.principal, found.secret, found.token, found.expires_ms)


def _role_id(account: str, role: str) -> str:
    """The same for a role wherever it is named: made of its name, as there may be no such role on record."""
    return f"AROA{sha256(f'{account}/{role}'.encode()).hexdigest()[:17].upper()}"


def _packed_percent(request: dict[str, Any]) -> int:
    """PackedPolicySize: how much of the room for session policies and tags is taken. Raises what is wrong with them."""
    policy = request.get("Policy", "")
    if policy:
        try:
            orjson.loads(policy)
        except orjson.JSONDecodeError as error:
            raise ServiceError("MalformedPolicyDocument", "Syntax errors in policy.") from error
    tags = request.get("Tags", [])
    arns = [one.get("arn", "") for one in request.get("PolicyArns", [])]
    keys = [tag["Key"].lower() for tag in tags]
    if len(set(keys)) < len(keys):
        raise ServiceError(
            "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    if not set(map(str.lower, request.get("TransitiveTagKeys", []))) <= set(keys):
        told = "Transitive tag keys must be among the session tags of the request."
        raise ServiceError("InvalidParameterValue", told)
    size = len(policy) + sum(map(len, arns)) + sum(len(tag["Key"]) + len(tag["Value"]) for tag in tags)
    percent = -(-100 * size // _PACKED_BYTES_MAX)
    if percent > 100:
        told = f"Packed size of session policies and session tags consumes {percent}% of allotted space."
        raise ServiceError("PackedPolicyTooLarge", told)
    return percent


def _credentials(key: str, session: Session) -> dict[str, Any]:
    return {
        "AccessKeyId": key,
        "SecretAccessKey": session.secret,
        "SessionToken": session.token,
        "Expiration": session.expires_ms / 1000,
    }
