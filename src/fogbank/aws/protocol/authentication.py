"""Who asks. Any key pair is welcome unless the server was started to verify signatures; then each error is AWS's own.

A presigned URL's time and a temporary key's end count either way: apps rely on them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from fogbank.aws.protocol import signatures, signatures_v2
from fogbank.aws.service import KnownKey, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.aws.protocol.models import Operation
    from fogbank.aws.protocol.routing import Destination
    from fogbank.aws.protocol.signatures import Claim
    from fogbank.aws.protocol.signatures_v2 import ClaimV2
    from fogbank.kernel.clock import Clock
    from fogbank.kernel.config import Config
    from fogbank.kernel.gateway.messages import Request
    from fogbank.kernel.store import Store, Tx

PUBLIC_SECRET = "test"  # Of the keys that nobody issued: "test", or an account's twelve digits.
_SKEW_S, _SKEW_S3_S = 300, 900
_REMEMBERED_MAX = 10_000
_S3_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


class Authentication:
    def __init__(self, config: Config, clock: Clock, store: Store) -> None:
        self._config, self._clock, self._store = config, clock, store
        self._ends_s: dict[str, float] = {}  # Of presigned URLs that were used.
        self.registers: list[Callable[[Tx, str], KnownKey | None]] = []  # Of the services that issue keys.

    def known(self, tx: Tx, access_key: str) -> KnownKey | None:
        """A key that was issued here, as its register has it."""
        return next((found for find in self.registers if (found := find(tx, access_key)) is not None), None)

    def identify(
        self, request: Request, where: Destination, operation: Operation, protocol: str, known: KnownKey | None
    ) -> KnownKey:
        """The caller, if its key is what is `known`. Raises the `ServiceError` of the service's family where the
        request may not come in."""
        access_key = where.access_key
        if known is not None:
            self._check_life(known, protocol)
        if protocol == "rest-xml" and (older := signatures_v2.claim(request)) is not None:
            self._judge_older(request, where, older, known)
            return known or self._public(access_key)
        if not self._config.verify_signatures and "X-Amz-" not in request.query:
            return known or self._public(access_key)  # Nearly every request: nothing in its signature matters.
        told = self._claim(request, protocol)
        if told is not None:
            self._check(request, told, known, protocol)
        elif self._config.verify_signatures and not _is_public(where.service, operation):
            raise _unsigned(protocol)
        return known or self._public(access_key)

    async def signer(self, request: Request, protocol: str) -> KnownKey | None:
        """Who signed a request to an address beside the API; none where nobody did. Raises as `identify` does."""
        told = self._claim(request, protocol)
        if told is None:
            return None
        known = await self._store.transact(self.known, told.access_key) if is_issued(told.access_key) else None
        if known is not None:
            self._check_life(known, protocol)
        self._check(request, told, known, protocol)
        return known or self._public(told.access_key)

    def _check_life(self, known: KnownKey, protocol: str) -> None:
        if known.expires_ms and known.expires_ms <= self._clock.now_ms():
            raise _expired_token(protocol)

    def _public(self, access_key: str) -> KnownKey:
        """Twelve digits are an account; anything else is the default account."""
        return _root_of(access_key if _is_account(access_key) else self._config.account)

    def _claim(self, request: Request, protocol: str) -> Claim | None:
        try:
            return signatures.claim(request)
        except signatures.Incomplete as error:
            if not self._config.verify_signatures:
                return None
            raise _incomplete(protocol, str(error)) from error

    def _left_s(self, url: str, left_s: float) -> float:
        """What is left of a URL's time: `left_s` at its first use, and from then on by the cloud's clock."""
        now_s = self._clock.now_ms() / 1000
        end_s = self._ends_s.get(url)
        if end_s is None:
            if len(self._ends_s) >= _REMEMBERED_MAX:
                del self._ends_s[next(iter(self._ends_s))]
            end_s = self._ends_s[url] = now_s + left_s
        return end_s - now_s

    def _check_presigned(self, told: Claim, protocol: str) -> None:
        """Time passes as the cloud's clock tells it: moving that one ahead ends a URL that was signed before."""
        wall_ms = round(told.signed_at.timestamp() * 1000) + 999  # Somewhere in that second.
        allowed_s = _SKEW_S3_S if told.expires_s is None else told.expires_s
        passed_s = (self._clock.now_ms() - self._clock.then_ms(wall_ms)) / 1000
        passed_s = allowed_s - self._left_s(f"{told.signature} {told.stamp} {allowed_s}", allowed_s - passed_s)
        if passed_s <= allowed_s:
            return
        end = told.signed_at + timedelta(seconds=allowed_s)
        now = told.signed_at + timedelta(seconds=passed_s)
        if protocol == "rest-xml":
            fields = {"X-Amz-Expires": allowed_s, "Expires": _iso(end.timestamp())}
            fields["ServerTime"] = _iso(now.timestamp())
            raise ServiceError("AccessDenied", "Request has expired", status=403, fields=fields)
        raise _mismatch(protocol, f"Signature expired: {told.stamp} is now earlier than {now:%Y%m%dT%H%M%SZ}")

    def _check(self, request: Request, told: Claim, known: KnownKey | None, protocol: str) -> None:
        """Its time in any case; whether it is true if that was asked for."""
        if told.presigned:
            self._check_presigned(told, protocol)
        if not self._config.verify_signatures:
            return
        secret = _secret(known, told.access_key, told.token, protocol)
        self._check_scope(told, protocol)
        if not told.presigned:
            self._check_skew(told, protocol)
        try:
            signatures.verify(request, told, secret)
        except signatures.BodyMismatch as error:
            if protocol != "rest-xml":
                raise _mismatch(protocol, _MISMATCH) from error
            text = "The provided 'x-amz-content-sha256' header does not match what was computed."
            raise ServiceError("XAmzContentSHA256Mismatch", text) from error
        except signatures.Mismatch as error:
            raise _mismatch(protocol, _S3_MISMATCH if protocol == "rest-xml" else _MISMATCH) from error

    def _judge_older(self, request: Request, where: Destination, told: ClaimV2, known: KnownKey | None) -> None:
        now_s = self._clock.wall_ms() // 1000
        if (
            told.expires_s is not None
            and self._left_s(f"{told.signature} {told.expires_s}", told.expires_s - now_s) < 0
        ):
            fields = {"Expires": _iso(told.expires_s), "ServerTime": _iso(now_s)}
            raise ServiceError("AccessDenied", "Request has expired", status=403, fields=fields)
        if self._config.verify_signatures:
            secret = _secret(known, told.access_key, told.token, "rest-xml")
            try:
                signatures_v2.verify(request, told, secret, where.path)
            except signatures.Mismatch as error:
                raise _mismatch("rest-xml", _S3_MISMATCH) from error

    def _check_scope(self, told: Claim, protocol: str) -> None:
        if told.date != told.stamp[:8]:
            text = (
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                f"'{told.date}' != '{told.stamp[:8]}', from '{told.stamp}'."
            )
            raise _mismatch(protocol, text)

    def _check_skew(self, told: Claim, protocol: str) -> None:
        """By the machine's own clock, as callers' clocks are: the cloud's may have been moved."""
        now = datetime.fromtimestamp(self._clock.wall_ms() / 1000, UTC)
        skew_s = (now - told.signed_at).total_seconds()
        if protocol == "rest-xml":
            if abs(skew_s) > _SKEW_S3_S:
                text = "The difference between the request time and the current time is too large."
                fields = {"RequestTime": told.stamp, "ServerTime": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
                fields["MaxAllowedSkewMilliseconds"] = str(_SKEW_S3_S * 1000)
                raise ServiceError("RequestTimeTooSkewed", text, status=403, fields=fields)
            return
        limit = timedelta(seconds=_SKEW_S)
        if skew_s > _SKEW_S:
            end = f"{now - limit:%Y%m%dT%H%M%SZ} ({now:%Y%m%dT%H%M%SZ} - 5 min.)"
            raise _mismatch(protocol, f"Signature expired: {told.stamp} is now earlier than {end}")
        if skew_s < -_SKEW_S:
            end = f"{now + limit:%Y%m%dT%H%M%SZ} ({now:%Y%m%dT%H%M%SZ} + 5 min.)"
            raise _mismatch(protocol, f"Signature not yet current: {told.stamp} is still later than {end}")


def is_issued(access_key: str) -> bool:
    """Whether it looks like one that a service has given out."""
    return access_key.startswith(("AKIA", "ASIA"))


@lru_cache(1024)
def _root_of(account: str) -> KnownKey:
    return KnownKey(account, f"arn:aws:iam::{account}:root", PUBLIC_SECRET)


def _secret(known: KnownKey | None, access_key: str, token: str, protocol: str) -> str:
    if known is None:
        if access_key != "test" and not _is_account(access_key):
            raise _unknown_key(protocol, access_key)
        return PUBLIC_SECRET
    if known.token != token:
        raise _bad_token(protocol)
    return known.secret


def _iso(epoch_s: float) -> str:
    return f"{datetime.fromtimestamp(epoch_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _is_public(service: str, operation: Operation) -> bool:
    """Who signs in, for one, cannot sign yet."""
    return (
        operation.facts.get("authtype") == "none"
        or operation.facts.get("auth") == ["smithy.api#noAuth"]
        or (service, operation.name) in _VISITED
    )


# What the URLs in SNS' messages lead to: ConfirmSubscription "requires an AWS signature only when the
# AuthenticateOnUnsubscribe flag is set". The model does not say so.
_VISITED = frozenset([("sns", "ConfirmSubscription"), ("sns", "Unsubscribe")])


def _is_account(access_key: str) -> bool:
    return len(access_key) == 12 and access_key.isdigit()


# Three families say the same in their own words: the query services' "Common Errors", the DynamoDB Developer Guide's
# "Error handling", the S3 API Reference's "Error responses".


def _by_family(
    protocol: str, s3: tuple[str, str, int], query: tuple[str, str, int], other: tuple[str, str, int]
) -> ServiceError:
    code, message, status = {"rest-xml": s3, "query": query}.get(protocol, other)
    if protocol == "json" and status == 403:
        status = 400  # The JSON services tell of it with 400; the REST ones with 403.
    return ServiceError(code, message, status=status)


def _unsigned(protocol: str) -> ServiceError:
    return _by_family(
        protocol,
        ("AccessDenied", "Access Denied", 403),
        ("MissingAuthenticationToken", "Request is missing Authentication Token", 403),
        ("MissingAuthenticationTokenException", "Missing Authentication Token", 403),
    )


def _incomplete(protocol: str, text: str) -> ServiceError:
    return _by_family(
        protocol,
        ("AuthorizationHeaderMalformed", f"The authorization header is malformed; {text}", 400),
        ("IncompleteSignature", text, 400),
        ("IncompleteSignatureException", text, 403),
    )


def _unknown_key(protocol: str, access_key: str) -> ServiceError:
    text = "The security token included in the request is invalid."
    told = _by_family(
        protocol,
        ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403),
        ("InvalidClientTokenId", text, 403),
        ("UnrecognizedClientException", text, 403),
    )
    if protocol == "rest-xml":
        told.fields["AWSAccessKeyId"] = access_key
    return told


def _bad_token(protocol: str) -> ServiceError:
    text = "The security token included in the request is invalid."
    return _by_family(
        protocol,
        ("InvalidToken", "The provided token is malformed or otherwise invalid.", 400),
        ("InvalidClientTokenId", text, 403),
        ("UnrecognizedClientException", text, 403),
    )


def _expired_token(protocol: str) -> ServiceError:
    text = "The security token included in the request is expired"
    return _by_family(
        protocol,
        ("ExpiredToken", "The provided token has expired.", 400),
        ("ExpiredToken", text, 403),
        ("ExpiredTokenException", text, 403),
    )


def _mismatch(protocol: str, text: str) -> ServiceError:
    return _by_family(
        protocol,
        ("SignatureDoesNotMatch", text, 403),
        ("SignatureDoesNotMatch", text, 403),
        ("InvalidSignatureException", text, 403),
    )
