"""The issuer of tokens: identity tokens (OpenID Connect) and access tokens (OAuth 2.0) for service accounts.

One key signs them all. It is made when it is first needed and kept in the store, so a token outlives a restart and is
good on every node.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import orjson

from fogbank.gcp.identity import keys, state
from fogbank.primitives import web_tokens
from fogbank.primitives.web_tokens import BadToken

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from fogbank.gcp.identity.state import Key
    from fogbank.kernel.clock import Clock
    from fogbank.kernel.ids import Ids
    from fogbank.kernel.store import Store, Tx

ISSUER: Final = "https://accounts.google.com"
LIFETIME_S: Final = 3600
_ACCESS_PREFIX: Final = "ya29.c."  # How an access token of a service account begins.
_ACCESS_AUDIENCE: Final = "fogbank:access"  # An access token is not taken for an identity token, nor the other way.
_SKEW_S: Final = 300
_HEX: Final = "0123456789abcdef"
_KNOWN_MAX: Final = 1024


class Issuer:
    def __init__(self, store: Store, clock: Clock, ids: Ids) -> None:
        self._store, self._clock, self._ids = store, clock, ids
        self._key: Key | None = None
        self._making = asyncio.Lock()
        # Signatures are looked at once for each token: that costs more than all the rest of a request.
        self._known: OrderedDict[str, dict[str, Any]] = OrderedDict()

    async def mint(self, audience: str, email: str, *, lifetime_s: int = LIFETIME_S, with_email: bool = True) -> str:
        """An identity token that says: its bearer is `email`, and means to be let in by `audience`."""
        subject = unique_id(email)
        now_s = self._now_s()
        claims = {
            "aud": audience, "azp": subject, **({"email": email, "email_verified": True} if with_email else {}),
            "exp": now_s + lifetime_s, "iat": now_s, "iss": ISSUER, "sub": subject,
        }  # fmt: skip
        return await self.sign(orjson.dumps(claims))

    async def verify(self, token: str, audience: Collection[str] = ()) -> dict[str, Any]:
        """The claims of an identity token of ours that is in force, and for one of these audiences if any are named.
        Raises `BadToken`."""
        claims = await self._verified(token)
        aud = claims.get("aud")
        if aud == _ACCESS_AUDIENCE or claims.get("iss") != ISSUER or (audience and aud not in audience):
            raise BadToken("for another audience")
        return claims

    async def access_token(self, email: str, scopes: Sequence[str] = (), *, lifetime_s: int = LIFETIME_S) -> str:
        now_s = self._now_s()
        claims = {
            "aud": _ACCESS_AUDIENCE, "email": email, "scope": " ".join(scopes), "iat": now_s, "iss": ISSUER,
            "exp": now_s + lifetime_s, "sub": unique_id(email),
        }  # fmt: skip
        return _ACCESS_PREFIX + await self.sign(orjson.dumps(claims))

    async def verify_access(self, token: str) -> dict[str, Any]:
        """The claims of an access token of ours that is in force. Raises `BadToken`."""
        claims = await self._verified(token.removeprefix(_ACCESS_PREFIX))
        if not token.startswith(_ACCESS_PREFIX) or claims.get("aud") != _ACCESS_AUDIENCE:
            raise BadToken("no access token")
        return claims

    async def principal(self, authorization: str) -> str | None:
        """The account behind an Authorization header; None where it holds no token of ours that is in force."""
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer":
            return None
        try:
            claims = await (self.verify_access(token) if token.startswith(_ACCESS_PREFIX) else self.verify(token))
        except BadToken:
            return None
        return str(claims["email"]) if "email" in claims else None

    async def sign(self, claims: bytes) -> str:
        key = await self.key()
        header = {"alg": "RS256", "kid": key.id, "typ": "JWT"}
        return web_tokens.sign(key.private, header, claims)

    async def sign_blob(self, content: bytes) -> tuple[str, bytes]:
        """(the key's id, the signature)."""
        key = await self.key()
        return key.id, web_tokens.signature(key.private, content)

    async def key(self) -> Key:
        if self._key is None:
            async with self._making:
                self._key = await self._store.transact(state.SIGNING.get) or await self._make()
        return self._key

    async def _make(self) -> Key:
        key_id = self._ids.token(40, _HEX)
        key = await asyncio.to_thread(
            keys.new_key, key_id, "federated-signon.system.gserviceaccount.com", self._now_ms()
        )
        return await self._store.transact(_keep, key)

    async def _verified(self, token: str) -> dict[str, Any]:
        claims = self._known.get(token)
        if claims is None:
            key = await self.key()
            claims = web_tokens.verify(token, key.id, key.public)
            self._remember(token, claims)
        now_s = self._now_s()
        if not _is_time(claims.get("exp")) or not _is_time(claims.get("iat")):
            raise BadToken("without times")
        if claims["exp"] <= now_s:
            raise BadToken("expired")
        if claims["iat"] > now_s + _SKEW_S:
            raise BadToken("used too early")
        return claims

    def _remember(self, token: str, claims: dict[str, Any]) -> None:
        self._known[token] = claims
        if len(self._known) > _KNOWN_MAX:
            self._known.popitem(last=False)

    def _now_ms(self) -> int:
        return self._clock.now_ms()

    def _now_s(self) -> int:
        return self._clock.now_ms() // 1000


def _keep(tx: Tx, key: Key) -> Key:
    """The first one made stays: another node may have been sooner."""
    there = state.SIGNING.get(tx, lock=True)
    if there is None:
        state.SIGNING.put(tx, row=key)
    return there or key


def _is_time(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def unique_id(email: str) -> str:
    """21 digits: an account's id, which follows from its address."""
    return str(10**20 + int.from_bytes(hashlib.sha256(email.encode()).digest()[:8]) % 10**20)
