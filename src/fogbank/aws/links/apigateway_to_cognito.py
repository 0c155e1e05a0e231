"""API Gateway → Cognito: whom a token of a user pool says the caller is, and whether it still says so.

API Gateway Developer Guide, "Control access to REST APIs using Amazon Cognito user pools as an authorizer".
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fogbank.aws.services.cognito_idp import state
from fogbank.primitives import web_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fogbank.aws.service import House

_KEPT_MAX = 1024


class Refused(Exception):
    """The token lets nobody in; `expired` if it once did."""

    def __init__(self, *, expired: bool = False) -> None:
        super().__init__("expired" if expired else "unauthorized")
        self.expired = expired


class _Verified:
    """Signatures are checked once for each token: that costs more than all the rest of a request."""

    def __init__(self, _house: House) -> None:
        self.claims: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def keep(self, token: str, claims: dict[str, Any]) -> None:
        self.claims[token] = claims
        if len(self.claims) > _KEPT_MAX:
            self.claims.popitem(last=False)


async def claims(house: House, pool_arns: Sequence[str], token: str, scopes: Sequence[str]) -> dict[str, Any]:
    """The claims as an event has them: all of them text. Without scopes an ID token is wanted, with them an access
    token. Raises `Refused`."""
    verified = house.share(_Verified)
    found = verified.claims.get(token)
    if found is None:
        found = await _verify(house, pool_arns, token)
        verified.keep(token, found)
    if not any(str(found.get("iss", "")).endswith("/" + arn.rpartition("/")[2]) for arn in pool_arns):
        raise Refused
    if found.get("exp", 0) * 1000 <= house.clock.now_ms():
        raise Refused(expired=True)
    if found.get("token_use") != ("access" if scopes else "id"):
        raise Refused
    if scopes and not set(scopes) & set(str(found.get("scope", "")).split()):
        raise Refused
    return {name: _text(name, value) for name, value in found.items()}


async def _verify(house: House, pool_arns: Sequence[str], token: str) -> dict[str, Any]:
    try:
        issuer = str(web_tokens.unverified_claims(token).get("iss", ""))
        for arn in pool_arns:
            pool_id = arn.rpartition("/")[2]
            if issuer.endswith("/" + pool_id):
                pool = await house.store.transact(state.pool_anywhere, pool_id)
                if pool is not None and pool.issuer == issuer:
                    return web_tokens.verify(token, pool.key_id, pool.public_key)
    except web_tokens.BadToken as error:
        raise Refused from error
    raise Refused


def _text(name: str, value: Any) -> str:
    """As API Gateway writes claims: times as dates, lists joined by commas, booleans in lower case."""
    if name in ("exp", "iat", "auth_time") and isinstance(value, int):
        if name == "auth_time":
            return str(value)
        return datetime.fromtimestamp(value, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value)
