"""Signed requests: URLs and headers, by service accounts (RSA) or HMAC keys, of both versions.

"Signatures" and "V4 signing process with your own program" in the manual. When a request may be served is always
checked; the signature, where its key is known: then a wrong one is refused. Any other key is taken, as everywhere here.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

from fogbank.gcp.services.storage import signing_keys, times
from fogbank.gcp.services.storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.kernel.gateway.messages import Request
    from fogbank.kernel.store import Tx

_V4_LONGEST_S: Final = 604_800
_SKEW_MS: Final = 15 * 60_000
_CREDENTIAL: Final = re.compile(
    r"(?P<who>.+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/(?P<kind>goog4|aws4)_request"
)
_V4_HEADER: Final = re.compile(r"(?P<algorithm>GOOG4-RSA-SHA256|GOOG4-HMAC-SHA256|AWS4-HMAC-SHA256)\s+(?P<fields>.*)")
_V2_HEADER: Final = re.compile(r"(GOOG1|AWS) ([^:\s]+):(\S+)")
_OF_V2: Final = ("googleaccessid", "expires", "signature", "awsaccesskeyid")
_ALGORITHMS: Final = ("GOOG4-RSA-SHA256", "GOOG4-HMAC-SHA256", "AWS4-HMAC-SHA256")


@dataclass(frozen=True, slots=True)
class _V4:
    algorithm: str
    credential: re.Match[str]
    date: str
    signed: list[str]
    signature: str
    payload: str


def check(tx: Tx, request: Request, now_ms: int) -> None:
    """Of a request that is signed at all. Raises `StorageError`."""
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    lower = {name.lower(): text for name, text in query.items()}
    authorization = request.headers.get("authorization", "")
    for prefix in ("x-goog-", "x-amz-"):
        if f"{prefix}signature" in lower:
            _check_v4(tx, request, _v4_of_url(lower, prefix, now_ms), f"{prefix}signature")
            return
    if "googleaccessid" in lower or ("awsaccesskeyid" in lower and "signature" in lower):
        _check_v2_url(tx, request, lower, now_ms)
    elif (found := _V4_HEADER.fullmatch(authorization)) is not None:
        _check_v4(tx, request, _v4_of_header(request, found, now_ms), "")
    elif (older := _V2_HEADER.fullmatch(authorization)) is not None:
        _check_v2(tx, request, older[2], older[3], request.headers.get("date", ""))


# -- version 4 --


def _v4_of_url(lower: Mapping[str, str], prefix: str, now_ms: int) -> _V4:
    try:
        told = {name: lower[prefix + name] for name in ("algorithm", "credential", "date", "expires", "signedheaders")}
    except KeyError as missing:
        raise _malformed(f"The query parameter {prefix}{missing.args[0]} is missing.") from None
    began_ms, expires = _moment(told["date"]), told["expires"]
    if not expires.isdigit() or not 0 < int(expires[:12]) <= _V4_LONGEST_S:
        raise _malformed("X-Goog-Expires must be between 1 and 604800 seconds.")
    if now_ms > began_ms + int(expires) * 1000:
        raise expired(began_ms + int(expires) * 1000)
    if began_ms > now_ms + _SKEW_MS:
        raise StorageError(403, "forbidden", "The signature is not valid yet.", code="AccessDenied")
    return _v4(told["algorithm"], told["credential"], told["date"], told["signedheaders"],
               lower[f"{prefix}signature"], lower.get(f"{prefix}content-sha256", ""))  # fmt: skip


def _v4_of_header(request: Request, found: re.Match[str], now_ms: int) -> _V4:
    fields = dict(part.strip().partition("=")[::2] for part in found["fields"].split(","))
    date = request.headers.get("x-goog-date") or request.headers.get("x-amz-date", "")
    if abs(_moment(date) - now_ms) > _SKEW_MS:
        told = "The difference between the request time and the server's time is too large."
        raise StorageError(403, "forbidden", told, code="RequestTimeTooSkewed")
    try:
        return _v4(found["algorithm"], fields["Credential"], date, fields["SignedHeaders"], fields["Signature"], "")
    except KeyError as missing:
        raise _malformed(f"{missing.args[0]} is missing.") from None


def _v4(algorithm: str, credential: str, date: str, signed: str, signature: str, payload: str) -> _V4:
    found = _CREDENTIAL.fullmatch(credential)
    if algorithm not in _ALGORITHMS:
        raise _malformed(f"Invalid algorithm: {algorithm[:64]}")
    if found is None or not date.startswith(found["date"]):
        raise _malformed("Invalid credential scope.")
    names = signed.split(";")
    if "host" not in names:
        raise _malformed("The header host must be signed.")
    return _V4(algorithm, found, date, names, signature, payload)


def _check_v4(tx: Tx, request: Request, told: _V4, own: str) -> None:
    headers = request.headers
    missing = [name for name in told.signed if name not in headers]
    if missing:
        raise StorageError(
            400, "invalid", f"A signed header is missing: {missing[0][:64]}", code="MalformedSecurityHeader"
        )
    payload = headers.get("x-goog-content-sha256") or headers.get("x-amz-content-sha256") or told.payload
    canonical = "\n".join([
        request.method, request.path, _canonical_query(request.query, own),
        *(f"{name}:{' '.join(headers[name].split())}" for name in told.signed), "",
        ";".join(told.signed), payload or "UNSIGNED-PAYLOAD",
    ])  # fmt: skip
    found = told.credential
    scope = f"{found['date']}/{found['region']}/{found['service']}/{found['kind']}_request"
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    signed = f"{told.algorithm}\n{told.date}\n{scope}\n{digest}".encode()
    signing_keys.verify(tx, found["who"], told.algorithm, signed, told.signature, scope)


def _canonical_query(query: str, own: str) -> str:
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    again = ((_quoted(unquote(name)), _quoted(unquote(text.replace("+", " ")))) for name, _, text in pairs)
    return "&".join(f"{name}={text}" for name, text in sorted(again) if name.lower() != own)


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


# -- version 2 --


def _check_v2_url(tx: Tx, request: Request, lower: Mapping[str, str], now_ms: int) -> None:
    expires = lower.get("expires", "")
    if not expires.isdigit():
        raise _malformed("The query parameter Expires is missing.")
    if now_ms >= int(expires[:12]) * 1000:
        raise expired(int(expires[:12]) * 1000)
    who = lower.get("googleaccessid") or lower["awsaccesskeyid"]
    _check_v2(tx, request, who, lower.get("signature", ""), expires)


def _check_v2(tx: Tx, request: Request, who: str, signature: str, date: str) -> None:
    headers = request.headers
    extra = sorted(
        f"{name}:{' '.join(text.split())}\n" for name, text in headers.items()
        if name.startswith(("x-goog-", "x-amz-")) and not name.startswith("x-goog-encryption-key")
    )  # fmt: skip
    first = [request.method, headers.get("content-md5", ""), headers.get("content-type", ""), date]
    signed = [
        "\n".join([*first, "".join(extra) + resource]).encode("utf-8", "surrogateescape")
        for resource in _v2_resources(request)
    ]
    signing_keys.verify_older(tx, who, signed, signature)


def _v2_resources(request: Request) -> list[str]:
    """The path with the bucket, and what else of the query is signed: clients sign nothing that only shapes the answer,
    unless they were told to."""
    host = request.host
    bucket = host.removesuffix(".storage.googleapis.com") if host.endswith(".storage.googleapis.com") else ""
    path = (f"/{bucket}" if bucket else "") + request.path
    pairs = sorted((name.lower(), text) for name, text in parse_qsl(request.query, keep_blank_values=True))
    others = [pair for pair in pairs if pair[0] not in _OF_V2]
    signed = [pair for pair in others if pair[0] != "generation" and not pair[0].startswith("response-")]
    return [f"{path}?{urlencode(chosen)}" if chosen else path for chosen in (others, signed)]


def _moment(text: str) -> int:
    try:
        return round(datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        raise _malformed(f"Invalid date: {text[:32]}") from None


def expired(at_ms: int) -> StorageError:
    told = f"Request signature expired at: {times.told(at_ms)}"
    return StorageError(400, "invalid", "The provided token has expired.", code="ExpiredToken", details=told)


def _malformed(details: str) -> StorageError:
    return StorageError(
        400, "invalid", "Your request has a malformed header.", code="MalformedSecurityHeader", details=details
    )
