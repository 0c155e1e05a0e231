"""What is in objects: measured and kept as it arrives, joined, shared; and held against what its sender says of it.

"Data validation" in the manual: CRC32C of every object, MD5 of those that are not composed.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fogbank.gcp.services.storage.errors import invalid, no_such_object
from fogbank.gcp.services.storage.state import IN_ROW_BYTES_MAX, Object, Part
from fogbank.primitives import blobs, checksums

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fogbank.primitives.blobs import Blobs


@dataclass(frozen=True, slots=True)
class Content:
    size: int
    md5: bytes
    crc32c: int
    body: bytes = b""
    blob: str = ""


class _Digests:
    def __init__(self) -> None:
        self.size, self.crc32c, self._md5 = 0, 0, hashlib.md5(usedforsecurity=False)

    def update(self, piece: bytes | memoryview) -> None:
        self.size += len(piece)
        self.crc32c = checksums.crc32c(piece, self.crc32c)
        self._md5.update(piece)

    def content(self, *, body: bytes = b"", blob: str = "") -> Content:
        return Content(self.size, self._md5.digest(), self.crc32c, body, blob)


def is_small(body: bytes | memoryview) -> bool:
    return len(body) <= IN_ROW_BYTES_MAX


def small(body: bytes | memoryview) -> Content:
    """One that lies in the object's row."""
    digests = _Digests()
    digests.update(body)
    return digests.content(body=bytes(body))


async def kept(house_blobs: Blobs, body: bytes | memoryview, owner: str) -> Content:
    """One of any size, on disk or to be in the row."""
    if is_small(body):
        return small(body)
    return await as_blob(house_blobs, blobs.slices(body), owner)


async def as_blob(house_blobs: Blobs, pieces: Iterator[bytes | memoryview], owner: str) -> Content:
    digests = _Digests()
    blob = await house_blobs.put(blobs.digesting(pieces, digests), owner=owner)
    return digests.content(blob=blob)


async def joined_parts(house_blobs: Blobs, parts: Sequence[Part], owner: str) -> Content:
    """Raises `FileNotFoundError` where another request has ended the upload."""
    if len(parts) == 1:  # What came in one piece is there already.
        blob = await house_blobs.link(parts[0].blob, owner=owner)
        return Content(parts[0].size, parts[0].md5, parts[0].crc32c, blob=blob)
    files = ((house_blobs.path(part.blob), part.size) for part in parts)
    return await as_blob(house_blobs, (piece for path, size in files for piece in blobs.pieces(path, 0, size)), owner)


async def joined(house_blobs: Blobs, rows: Sequence[Object], bucket: str, owner: str) -> Content:
    try:
        return await as_blob(house_blobs, (piece for row in rows for piece in _pieces(house_blobs, row)), owner)
    except FileNotFoundError as error:  # Deleted while it was read.
        raise no_such_object(bucket, rows[0].name) from error


async def shared(house_blobs: Blobs, row: Object, bucket: str, owner: str) -> Content:
    """The same content for another object: no byte is copied."""
    if not row.blob:
        return Content(row.size, row.md5, row.crc32c, row.body)
    try:
        blob = await house_blobs.link(row.blob, owner=owner)
    except FileNotFoundError as error:
        raise no_such_object(bucket, row.name) from error
    return Content(row.size, row.md5, row.crc32c, blob=blob)


def _pieces(house_blobs: Blobs, row: Object) -> Iterator[bytes]:
    if row.blob:
        yield from blobs.pieces(house_blobs.path(row.blob), 0, row.size)
    else:
        yield row.body


def check(content: Content, told: Mapping[str, Any]) -> None:
    """Against `md5Hash` and `crc32c` of a resource, where they stand in it. Raises `StorageError`."""
    md5, crc32c = b64encode(content.md5).decode(), b64encode(content.crc32c.to_bytes(4)).decode()
    for name, label, made in (("md5Hash", "MD5 hash", md5), ("crc32c", "CRC32C", crc32c)):
        given = told.get(name)
        if given is None or given == made:
            continue
        _check_form(str(given), len(made), label)
        raise invalid(f'Provided {label} "{given}" doesn\'t match calculated {label} "{made}".', code="BadDigest")


def _check_form(given: str, length: int, label: str) -> None:
    try:
        b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raise invalid(f'Invalid {label} "{given[:64]}": it is not base64.', code="InvalidDigest") from None
    if len(given) != length:
        raise invalid(f'Invalid {label} "{given[:64]}".', code="InvalidDigest")


def hashes_told(headers: Mapping[str, str]) -> dict[str, str]:
    """`x-goog-hash: crc32c=…,md5=…` and `Content-MD5`, as the resource calls them."""
    told = {}
    if "content-md5" in headers:
        told["md5Hash"] = headers["content-md5"]
    for one in headers.get("x-goog-hash", "").split(","):
        name, _, value = one.strip().partition("=")
        if name in ("crc32c", "md5"):
            told["md5Hash" if name == "md5" else name] = value
    return told
