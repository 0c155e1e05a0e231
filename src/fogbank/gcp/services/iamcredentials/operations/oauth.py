"""The OAuth 2.0 token endpoint for service accounts, and the public keys of all tokens.

"Using OAuth 2.0 for Server to Server Applications": a service account's key signs an assertion, which is given for a
token. By Google's own hosts, and here at `/oauth2/…`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote

import orjson

from fogbank.gcp.identity import state
from fogbank.gcp.identity.issuer import ISSUER, LIFETIME_S
from fogbank.gcp.service import Service
from fogbank.kernel.gateway.messages import Response, Route
from fogbank.primitives import web_tokens
from fogbank.primitives.web_tokens import BadToken

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fogbank.gcp.identity.state import Account, Key
    from fogbank.kernel.gateway.messages import Request
    from fogbank.kernel.store import Tx

_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_LIFETIME_MAX_S: Final = 3600
_SKEW_S: Final = 300
_BODY_MAX: Final = 65_536
_KEYS: Final = re.compile(r"/(?:service_accounts|robot)/v1/metadata/(x509|jwk|raw)/([^/]+)")


class Refused(Exception):
    """OAuth's error code, and what it says of it (RFC 6749, section 5.2)."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code, self.description = code, description


class OAuth(Service):
    service = "google.iam.credentials.v1.IAMCredentials"

    def routes(self) -> Iterable[Route]:
        apis = re.compile(r"www\.googleapis\.com")
        accounts = re.compile(r"accounts\.google\.com")
        yield Route(self._token, host=re.compile(r"oauth2\.googleapis\.com"), path=re.compile(r"/token$"))
        yield Route(self._token, host=apis, path=re.compile(r"/oauth2/v[34]/token$"))
        yield Route(self._keys, host=apis, path=re.compile(r"/oauth2/v[123]/certs$"))
        yield Route(self._keys_of_account, host=apis, path=_KEYS)
        yield Route(self._discovery, host=accounts, path=re.compile(r"/\.well-known/openid-configuration$"))
        yield Route(self._token, path=re.compile(r"/oauth2/v[34]/token$"))
        yield Route(self._keys, path=re.compile(r"/oauth2/v[123]/certs$"))
        yield Route(self._keys_of_account, path=_KEYS)

    async def _token(self, request: Request) -> Response:
        try:
            return _json(await self._granted(request))
        except Refused as refused:
            return _json({"error": refused.code, "error_description": refused.description}, 400)

    async def _granted(self, request: Request) -> dict[str, Any]:
        asked = _form(request)
        grant = asked.get("grant_type", "")
        if not grant:
            raise Refused("invalid_request", "Required parameter is missing: grant_type")
        if grant != _BEARER:
            raise Refused("unsupported_grant_type", f"Invalid grant_type: {grant[:256]}")
        claims = await self._asserted(asked.get("assertion", ""))
        email = str(claims["iss"])
        if claims.get("target_audience"):
            return {"id_token": await self.house.identity.mint(str(claims["target_audience"]), email)}
        scope = str(claims.get("scope") or "")
        if not scope:
            raise Refused("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        token = await self.house.identity.access_token(str(claims.get("sub") or email), scope.split())
        return {"access_token": token, "expires_in": LIFETIME_S - 1, "token_type": "Bearer"}

    async def _asserted(self, assertion: str) -> dict[str, Any]:
        """The claims. A key that was made here must have signed them; one that we have never seen is taken as it is, as
        long as nobody asks for signatures to be verified."""
        try:
            header, claims = web_tokens.unverified_header(assertion), web_tokens.unverified_claims(assertion)
            key_id, email = str(header.get("kid", "")), claims.get("iss")
            if not isinstance(email, str) or not email:
                raise Refused("invalid_grant", "Invalid issuer: Not a valid email or user ID.")
            account, key = await self.house.store.transact(_account_and_key, email, key_id)
            if key is not None:
                claims = web_tokens.verify(assertion, key_id, key.public)
            elif self.house.config.verify_signatures:
                raise BadToken("signed by another key")
        except BadToken as error:
            raise Refused("invalid_grant", "Invalid JWT Signature.") from error
        if account is not None and account.disabled:
            raise Refused("invalid_grant", "Invalid grant: account not found")
        self._check_times(claims)
        return claims

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now_s = self.house.clock.now_ms() // 1000
        iat, exp = claims.get("iat"), claims.get("exp")
        if not (
            isinstance(iat, int | float) and isinstance(exp, int | float)
            and iat <= now_s + _SKEW_S and now_s < exp + _SKEW_S and 0 < exp - iat <= _ASSERTION_LIFETIME_MAX_S
        ):  # fmt: skip
            text = (
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                "Check your iat and exp values in the JWT claim."
            )
            raise Refused("invalid_grant", text)

    async def _keys(self, request: Request) -> Response:
        """v1: certificates by the keys' ids; v3: a JSON Web Key Set."""
        return _published([await self.house.identity.key()], "x509" if "/v1/" in request.path else "jwk")

    async def _keys_of_account(self, request: Request) -> Response:
        found = _KEYS.match(request.path)
        assert found is not None
        email = unquote(found[2])
        ours = await self.house.identity.key()
        return _published([ours, *await self.house.store.transact(state.ACCOUNT_KEYS.all, email)], found[1])

    async def _discovery(self, request: Request) -> Response:
        content = {
            "issuer": ISSUER, "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs",
            "token_endpoint": "https://oauth2.googleapis.com/token", "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
        }  # fmt: skip
        return _json(content)


def _form(request: Request) -> dict[str, str]:
    if request.method != "POST" or len(request.body) > _BODY_MAX:
        raise Refused("invalid_request", "The token endpoint takes a POST of at most 64 KiB.")
    try:
        text = bytes(request.body).decode()
        if request.headers.get("content-type", "").startswith("application/json"):
            told = orjson.loads(text)
            return {str(name): str(value) for name, value in told.items()} if isinstance(told, dict) else {}
        return {name: values[0] for name, values in parse_qs(text, max_num_fields=64).items()}
    except ValueError as error:
        raise Refused("invalid_request", "The request's body is malformed.") from error


def _account_and_key(tx: Tx, email: str, key_id: str) -> tuple[Account | None, Key | None]:
    return state.account(tx, email), state.ACCOUNT_KEYS.get(tx, email, key_id)


def _published(keys: list[Key], form: str) -> Response:
    if form == "jwk":
        return _json({"keys": [web_tokens.json_web_key(key.id, key.public) for key in keys]})
    return _json({key.id: key.certificate for key in keys})


def _json(content: Any, status: int = 200) -> Response:
    headers = [("content-type", "application/json; charset=UTF-8"), ("cache-control", "no-store")]
    return Response(status, headers, orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
