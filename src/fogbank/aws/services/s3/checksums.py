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


def composed(algorithm: str, kind: str, parts: list[dict[str, str]], request: Mapping[str, Any]) -> dict[str, str]:
    """Of an object in parts: the checksum of the parts' ones and their number, or what the caller tells of the whole.

    User Guide, "Checking object integrity", "Composite and full-object checksums".
    """
    if not algorithm:
        return {}
    member = f"Checksum{algorithm}"
    if kind == "FULL_OBJECT":
        return {member: request[member]} if member in request else {}
    make = _COMPOSERS.get(member)
    if make is None or not all(member in part for part in parts):
        return {}
    whole = make(b"".join(b64decode(part[member]) for part in parts))
    return {member: f"{b64encode(whole).decode()}-{len(parts)}"}


def _table(polynomial: int) -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ polynomial if value & 1 else value >> 1
        table.append(value)
    return table


_CRC32C = _table(0x82F63B78)  # Castagnoli, reflected (RFC 3720, appendix B.4).


def _crc32c(body: bytes | memoryview) -> bytes:
    value = 0xFFFFFFFF
    for byte in body:
        value = _CRC32C[(value ^ byte) & 0xFF] ^ (value >> 8)
    return (value ^ 0xFFFFFFFF).to_bytes(4)


_COMPOSERS = {**_MAKERS, "ChecksumCRC32C": _crc32c}
