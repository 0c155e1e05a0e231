"""google.iam.credentials.v1.IAMCredentials: short-lived credentials of a service account."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import orjson

from fogbank.gcp.identity import state
from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.protocol.times import milliseconds
from fogbank.gcp.service import Code, RpcError, Service

if TYPE_CHECKING:
    from fogbank.gcp.service import Call

_CREDENTIALS = Package("google.iam.credentials.v1")
_NAME: Final = re.compile(r"projects/([^/]+)/serviceAccounts/([^/]{1,320})")
_EMAIL: Final = re.compile(r"[a-z0-9][a-z0-9._:-]*@[a-z0-9][a-z0-9.:-]*\.gserviceaccount\.com", re.IGNORECASE)
_USUAL_LIFETIME_MS: Final = 3_600_000
# "Maximum allowed value … 12 hours", for accounts that an organisation's policy allows it; it is allowed here.
_LIFETIME_MAX_MS: Final = 43_200_000
_JWT_LIFETIME_MAX_S: Final = 43_200


class Credentials(Service):
    service = "google.iam.credentials.v1.IAMCredentials"

    async def generate_access_token(self, call: Call, request: Any) -> Any:
        email = await self._account(request.name)
        if not request.scope:
            raise _invalid("Scope required.")
        lifetime_ms = milliseconds(request.lifetime) if request.HasField("lifetime") else _USUAL_LIFETIME_MS
        if not 0 < lifetime_ms <= _LIFETIME_MAX_MS:
            raise _invalid("The lifetime must be greater than 0 and at most 43200 seconds.")
        lifetime_s = lifetime_ms // 1000
        token = await self.house.identity.access_token(email, list(request.scope), lifetime_s=lifetime_s)
        answer = _CREDENTIALS.GenerateAccessTokenResponse(access_token=token)
        answer.expire_time.seconds = call.now_ms // 1000 + lifetime_s
        return answer

    async def generate_id_token(self, call: Call, request: Any) -> Any:
        email = await self._account(request.name)
        if not request.audience:
            raise _invalid("Audience required.")
        token = await self.house.identity.mint(request.audience, email, with_email=request.include_email)
        return _CREDENTIALS.GenerateIdTokenResponse(token=token)

    async def sign_blob(self, call: Call, request: Any) -> Any:
        await self._account(request.name)
        key_id, signed = await self.house.identity.sign_blob(request.payload)
        return _CREDENTIALS.SignBlobResponse(key_id=key_id, signed_blob=signed)

    async def sign_jwt(self, call: Call, request: Any) -> Any:
        await self._account(request.name)
        _check_claims(request.payload, call.now_ms // 1000)
        key = await self.house.identity.key()
        signed = await self.house.identity.sign(request.payload.encode())
        return _CREDENTIALS.SignJwtResponse(key_id=key.id, signed_jwt=signed)

    async def _account(self, name: str) -> str:
        """The address in "projects/-/serviceAccounts/ADDRESS". An account that nobody has made is there as well: apps
        name those of their cloud's project. Raises `RpcError`."""
        found = _NAME.fullmatch(name)
        if found is None or not _EMAIL.fullmatch(found[2]):
            raise _invalid(
                f"Invalid form of account ID {name[:256]}. Should be [Gaia ID |Email |Unique ID |] of the account"
            )
        kept = await self.house.store.transact(state.account, found[2])
        if kept is not None and kept.disabled:
            raise RpcError(Code.FAILED_PRECONDITION, "Service account is disabled.")
        return found[2]


def _check_claims(payload: str, now_s: int) -> None:
    """SignJwtRequest: an `exp` is "an integer timestamp that is not in the past and no more than 12 hours in the
    future"."""
    try:
        claims = orjson.loads(payload)
    except orjson.JSONDecodeError:
        claims = None
    if not isinstance(claims, dict):
        raise _invalid("The payload is not a JSON object.")
    exp = claims.get("exp")
    if "exp" in claims and (not isinstance(exp, int) or not now_s <= exp <= now_s + _JWT_LIFETIME_MAX_S):
        raise _invalid("The exp claim must be an integer that is not in the past and at most 12 hours in the future.")


def _invalid(text: str) -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, text)
