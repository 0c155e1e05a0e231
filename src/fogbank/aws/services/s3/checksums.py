"""What a body is held against: digests that the request names, in S3's forms."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any
from zlib import crc32

from fogbank.aws.service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MAKERS: dict[str, Callable[[bytes | memoryview], bytes]] = {
    "ChecksumCRC32": lambda body: crc32(body).to_bytes(4),
    "ChecksumSHA1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "ChecksumSHA256": lambda body: hashlib.sha256(body).digest(),
}
MEMBERS = ("ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumSHA1", "ChecksumSHA256")


def check(request: Mapping[str, Any], body: bytes | memoryview) -> dict[str, str]:
    """The checksums to keep. Raises BadDigest, InvalidDigest; CRC-32C and CRC-64/NVME are kept as they are given."""
    given = request.get("ContentMD5")
    if given is not None:
        try:
            wanted = b64decode(given, validate=True)
        except ValueError as error:
            raise ServiceError("InvalidDigest", "The Content-MD5 you specified was invalid.") from error
        if hashlib.md5(body, usedforsecurity=False).digest() != wanted:
            raise ServiceError("BadDigest", "The Content-MD5 you specified did not match what we received.")
    kept: dict[str, str] = {}
    for member in MEMBERS:
        value = request.get(member)
        if value is None:
            continue
        make = _MAKERS.get(member)
        if make is not None and b64encode(make(body)).decode() != value:
            name = member.removeprefix("Checksum")
            raise ServiceError("BadDigest", f"The {name} you specified did not match the calculated checksum.")
        kept[member] = value
    return kept
