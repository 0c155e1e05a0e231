"""Digests that S3's requests carry of their bodies, and XML bodies held against them.

S3 User Guide, "Checking object integrity in Amazon S3". What an object's body is held against is S3's own affair.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

from fogbank.aws.service import ServiceError
from fogbank.primitives import checksums

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fogbank.aws.protocol.models import Shape

_HEADER = "x-amz-checksum-"


class Digest(Protocol):
    def update(self, piece: bytes | memoryview, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    def __init__(self, step: Callable[[bytes | memoryview, int], int], size: int) -> None:
        self._step, self._size, self._value = step, size, 0

    def update(self, piece: bytes | memoryview, /) -> None:
        self._value = self._step(piece, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size)


DIGESTS: dict[str, Callable[[], Digest]] = {
    "CRC32": lambda: _Crc(crc32, 4),
    "CRC32C": lambda: _Crc(checksums.crc32c, 4),
    "CRC64NVME": lambda: _Crc(checksums.crc64nvme, 8),
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA256": hashlib.sha256,
    "SHA512": hashlib.sha512,
    "MD5": lambda: hashlib.md5(usedforsecurity=False),
}


def check_md5(given: str, body: bytes | memoryview) -> None:
    """Raises InvalidDigest, BadDigest."""
    try:
        wanted = b64decode(given, validate=True)
    except ValueError as error:
        raise ServiceError("InvalidDigest", "The Content-MD5 you specified was invalid.") from error
    if hashlib.md5(body, usedforsecurity=False).digest() != wanted:
        raise ServiceError("BadDigest", "The Content-MD5 you specified did not match what we received.")


def check_document(shape: Shape, headers: Mapping[str, str], body: bytes) -> None:
    """An XML body, by whichever digest its request brings. Raises BadDigest.

    Where the model has a member for a checksum, that is of something else: of the object that parts become.
    """
    if "content-md5" in headers:
        check_md5(headers["content-md5"], body)
    of_object = {member.wire_name.lower() for member in shape.members.values() if member.location == "header"}
    for algorithm, make in DIGESTS.items():
        if _HEADER + algorithm.lower() in of_object:
            continue
        given = headers.get(_HEADER + algorithm.lower())
        if given is None:
            continue
        digest = make()
        digest.update(body)
        if b64encode(digest.digest()).decode() != given:
            told = f"The {algorithm} you specified did not match the calculated checksum."
            raise ServiceError("BadDigest", told)
