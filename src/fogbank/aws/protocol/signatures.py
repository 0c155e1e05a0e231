"""Signature Version 4: what a request claims of its signature, and whether that is true.

IAM User Guide, "Create a signed AWS API request" and "Troubleshoot Signature Version 4 signing"; for S3, API Reference,
"Authenticating Requests (AWS Signature Version 4)". S3 takes a path as it was sent and lets a body go unsigned or be
signed chunk by chunk; every other service encodes the path once more and signs the whole body.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote

from fogbank.aws.protocol import chunked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.kernel.gateway.messages import Request

ALGORITHM = "AWS4-HMAC-SHA256"
EXPIRES_MAX_S = 604_800
_HEADER_PART = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]*)")
_EMPTY = sha256(b"").hexdigest()
_UNSIGNED = ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
_STAMP = "%Y%m%dT%H%M%SZ"


class Incomplete(Exception):
    """Something is missing in the claim, or is not in its form; the text says what."""


class Mismatch(Exception):
    """The claim is not true."""


class BodyMismatch(Mismatch):
    """The body is not the one that was signed."""


@dataclass(frozen=True, slots=True)
class Claim:
    access_key: str
    scope: str  # "20261124/us-east-1/s3/aws4_request"
    signed_headers: tuple[str, ...]
    signature: str
    signed_at: datetime
    token: str
    presigned: bool
    expires_s: int | None  # Of a presigned one.

    @property
    def stamp(self) -> str:
        return self.signed_at.strftime(_STAMP)

    @property
    def date(self) -> str:
        return self.scope.split("/")[0]

    @property
    def region(self) -> str:
        return self.scope.split("/")[1]

    @property
    def service(self) -> str:
        return self.scope.split("/")[2]


def claim(request: Request) -> Claim | None:
    """What the request says of its signature; none where it says nothing. Raises `Incomplete`."""
    if request.headers.get("authorization", "").startswith(ALGORITHM):
        return _from_header(request)
    if "X-Amz-Algorithm=" in request.query or "X-Amz-Signature=" in request.query:
        return _from_query(request)
    return None


def _from_header(request: Request) -> Claim:
    text = request.headers["authorization"]
    parts = dict(_HEADER_PART.findall(text))
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not parts.get(name)]
    stamp = request.headers.get("x-amz-date", "") or _http_date(request.headers.get("date", ""))
    told = "".join(f" Authorization header requires '{name}' parameter." for name in missing)
    if not stamp:
        told += " Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
    if told:
        raise Incomplete(f"{told.strip()} Authorization={text}")
    return _claim(parts, stamp, request.headers.get("x-amz-security-token", ""), presigned=False, expires_s=None)


def _from_query(request: Request) -> Claim:
    given = dict(parse_qsl(request.query, keep_blank_values=True))
    names = ("X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date")
    missing = [name for name in names if not given.get(name)]
    if missing:
        raise Incomplete(" ".join(f"AWS query-string parameters must include '{name}'." for name in missing))
    expires = given.get("X-Amz-Expires")
    if expires is not None and not (expires.isdecimal() and len(expires) < 10):
        raise Incomplete("X-Amz-Expires should be a number")
    if expires is not None and int(expires) > EXPIRES_MAX_S:
        raise Incomplete("X-Amz-Expires must be less than a week (in seconds) (604800)")
    parts = {name.removeprefix("X-Amz-"): value for name, value in given.items()}
    token = given.get("X-Amz-Security-Token", "")
    return _claim(parts, given["X-Amz-Date"], token, presigned=True, expires_s=int(expires) if expires else None)


def _claim(parts: dict[str, str], stamp: str, token: str, *, presigned: bool, expires_s: int | None) -> Claim:
    access_key, _, scope = parts["Credential"].partition("/")
    if not access_key or scope.count("/") != 3 or not scope.endswith("/aws4_request"):
        raise Incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got "
            f"'{parts['Credential']}'"
        )
    try:
        signed_at = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError as error:
        raise Incomplete(f"Date must be in ISO-8601 'basic format'. Got '{stamp}'.") from error
    names = tuple(parts["SignedHeaders"].lower().split(";"))
    return Claim(access_key, scope, names, parts["Signature"], signed_at, token, presigned, expires_s)


def _http_date(text: str) -> str:
    for form in ("%a, %d %b %Y %H:%M:%S GMT", _STAMP):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).strftime(_STAMP)
        except ValueError:
            continue
    return ""


def verify(request: Request, told: Claim, secret: str) -> None:
    """Raises `Mismatch` unless somebody who knows the secret signed exactly this request."""
    payload = _payload(request, told)
    key = _signing_key(secret, told)
    for query in _queries(request):
        document = "\n".join(
            (
                request.method,
                _path(request, told),
                query,
                _headers(request, told),
                ";".join(told.signed_headers),
                payload,
            )
        )
        text = "\n".join((ALGORITHM, told.stamp, told.scope, sha256(document.encode()).hexdigest()))
        if _equal(_sign(key, text), told.signature):
            _verify_chunks(request, told, key, payload)
            return
    raise Mismatch


def _payload(request: Request, told: Claim) -> str:
    """The hash that stands for the body in what was signed."""
    given = request.headers.get("x-amz-content-sha256", "")
    if told.service == "s3":
        if told.presigned and "x-amz-content-sha256" not in told.signed_headers:
            return "UNSIGNED-PAYLOAD"
        if given in _UNSIGNED or given.startswith("STREAMING-"):
            return given
    if told.presigned and told.service != "s3" and not len(request.body):
        return _EMPTY
    found = sha256(request.body).hexdigest()
    if given and given != found:
        raise BodyMismatch(found)
    return found


def _path(request: Request, told: Claim) -> str:
    if told.service == "s3":
        return request.path
    kept: list[str] = []
    for part in request.path.split("/"):
        if part == "..":
            kept[-1:] = []
        elif part not in ("", "."):
            kept.append(part)
    end = "/" if kept and request.path.endswith("/") else ""
    return quote("/" + "/".join(kept) + end, safe="/~")


def _queries(request: Request) -> Iterator[str]:
    """The query in order, as it was sent; and encoded as the documentation has it, should a proxy have changed that."""
    pairs = [part.partition("=")[::2] for part in request.query.split("&") if part]
    pairs = [(name, value) for name, value in pairs if name != "X-Amz-Signature"]
    yield "&".join(f"{name}={value}" for name, value in sorted(pairs))
    encoded = sorted((quote(unquote(name), safe="~"), quote(unquote(value), safe="~")) for name, value in pairs)
    yield "&".join(f"{name}={value}" for name, value in encoded)


def _headers(request: Request, told: Claim) -> str:
    values: dict[str, list[str]] = {}
    for name, value in request.raw_headers:
        values.setdefault(name.lower(), []).append(" ".join(value.split()))
    return "".join(f"{name}:{','.join(values.get(name, ['']))}\n" for name in told.signed_headers)


def _signing_key(secret: str, told: Claim) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (told.date, told.region, told.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _sign(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()


def _equal(ours: str, theirs: str) -> bool:
    return hmac.compare_digest(ours.encode(), theirs.encode())


def _verify_chunks(request: Request, told: Claim, key: bytes, payload: str) -> None:
    """S3, "Transferring Payload in Multiple Chunks": each signature goes into the next one's text."""
    if not payload.startswith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"):
        return
    before = told.signature
    try:
        for signature, content in chunked.chunks(request.body):
            words = (f"{ALGORITHM}-PAYLOAD", told.stamp, told.scope, before, _EMPTY, sha256(content).hexdigest())
            if not _equal(_sign(key, "\n".join(words)), signature):
                raise Mismatch
            before = signature
        if not payload.endswith("-TRAILER"):
            return
        trailers = chunked.decode(request.body)[1]
    except chunked.BadChunks as error:
        raise Mismatch from error
    signature = trailers.pop("x-amz-trailer-signature", "")
    text = "".join(f"{name}:{value}\n" for name, value in sorted(trailers.items()))
    last = (f"{ALGORITHM}-TRAILER", told.stamp, told.scope, before, sha256(text.encode()).hexdigest())
    if not _equal(_sign(key, "\n".join(last)), signature):
        raise Mismatch
