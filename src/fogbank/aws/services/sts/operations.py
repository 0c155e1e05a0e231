"""STS: GetCallerIdentity, and temporary keys that name the role they stand for until they expire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Call, KnownKey, Operations, ServiceError
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fogbank.kernel.store import Tx

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

    def key_registers(self) -> Iterable[Callable[[Tx, str], KnownKey | None]]:
        return (_find,)

    def get_caller_identity(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        user = call.account if call.principal.endswith(":root") else call.sender
        return {"UserId": user, "Account": call.account, "Arn": call.principal}

    def assume_role(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        arn, name = request["RoleArn"], request["RoleSessionName"]
        parts = arn.split(":")
        if len(parts) != 6 or not parts[5].startswith("role/"):
            raise ServiceError("ValidationError", f"{arn} is invalid")
        role = parts[5].rpartition("/")[2]
        principal = f"arn:aws:sts::{parts[4]}:assumed-role/{role}/{name}"
        key, session = self._session(call, parts[4], principal, request.get("DurationSeconds", 3600))
        SESSIONS.put(tx, key, row=session)
        return {
            "Credentials": _credentials(key, session),
            "AssumedRoleUser": {"AssumedRoleId": f"{call.sender.replace('AIDA', 'AROA')}:{name}", "Arn": principal},
        }

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


def _credentials(key: str, session: Session) -> dict[str, Any]:
    return {
        "AccessKeyId": key,
        "SecretAccessKey": session.secret,
        "SessionToken": session.token,
        "Expiration": session.expires_ms / 1000,
    }
