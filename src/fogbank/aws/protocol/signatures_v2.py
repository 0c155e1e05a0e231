"""S3's older signatures, which boto3 still puts into presigned URLs unless it is told otherwise.

S3 User Guide, "Signing and authenticating REST requests (AWS signature version 2)". Such a URL tells when it ends and
not when it was made.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from fogbank.aws.protocol.signatures import Mismatch

if TYPE_CHECKING:
    from fogbank.kernel.gateway.messages import Request

# Parameters that name a part of what is asked for, and so are signed.
_RESPONSE = ("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires")
_PARTS = (
    "acl", "accelerate", "analytics", "cors", "delete", "encryption", "inventory", "lifecycle", "location", "logging",
    "metrics", "notification", "object-lock", "partNumber", "policy", "replication", "requestPayment", "restore",
    "select", "select-type", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions",
    "website",
)  # fmt: skip
_NAMED = frozenset((*_PARTS, *(f"response-{name}" for name in _RESPONSE)))


@dataclass(frozen=True, slots=True)
class ClaimV2:
    access_key: str
    signature: str
    token: str
    expires_s: int | None  # Seconds since the epoch; none where the signature is in the header.


def claim(request: Request) -> ClaimV2 | None:
    """What the request says of such a signature; none where it says nothing."""
    text = request.headers.get("authorization", "")
    if text.startswith("AWS ") and ":" in text:
        access_key, _, signature = text[4:].partition(":")
        return ClaimV2(access_key, signature, request.headers.get("x-amz-security-token", ""), None)
    if "AWSAccessKeyId=" not in request.query:
        return None
    given = dict(parse_qsl(request.query, keep_blank_values=True))
    expires = given.get("Expires", "")
    if not (expires.isdecimal() and len(expires) < 12 and given.get("Signature")):
        return None
    token = given.get("x-amz-security-token", "")
    return ClaimV2(given["AWSAccessKeyId"], given["Signature"], token, int(expires))


def verify(request: Request, told: ClaimV2, secret: str, path: str) -> None:
    """Raises `Mismatch` unless it was signed with the secret. `path`: with the bucket, wherever the request has it."""
    headers = request.headers
    date = str(told.expires_s) if told.expires_s is not None else headers.get("date", "")
    if told.expires_s is None and "x-amz-date" in headers:
        date = ""
    own = sorted((name, value) for name, value in headers.items() if name.startswith("x-amz-"))
    lines = [request.method, headers.get("content-md5", ""), headers.get("content-type", ""), date]
    lines += [f"{name}:{' '.join(value.split())}" for name, value in own]
    for resource in (path, path + "/"):  # A bucket may be named either way.
        text = "\n".join([*lines, resource + _named(request)])
        found = b64encode(hmac.digest(secret.encode(), text.encode(), "sha1")).decode()
        if hmac.compare_digest(found.encode(), told.signature.encode()):
            return
    raise Mismatch


def _named(request: Request) -> str:
    pairs = sorted(pair for pair in parse_qsl(request.query, keep_blank_values=True) if pair[0] in _NAMED)
    return "?" + "&".join(f"{name}={value}" if value else name for name, value in pairs) if pairs else ""
