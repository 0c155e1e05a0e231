"""Customer-supplied encryption keys: of a key its hash is kept, and whoever reads must bring the same.

"Customer-supplied encryption keys" in the manual. Nothing here is encrypted on disk: what a reader is told is what it
would be told.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from fogbank.gcp.services.storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.gcp.services.storage.state import Object

_ALGORITHM = "AES256"
_KEY_BYTES = 32


def key_sha256(headers: Mapping[str, str], prefix: str = "x-goog-") -> str:
    """The hash of the key that a request brings; "" where it brings none. Raises `StorageError`."""
    prefix += "encryption-"
    algorithm, key, told = (headers.get(prefix + name) for name in ("algorithm", "key", "key-sha256"))
    if algorithm is None and key is None and told is None:
        return ""
    if algorithm != _ALGORITHM:
        raise _wrong(
            "customerEncryptionAlgorithmIsInvalid",
            'Missing an encryption algorithm, or the provided algorithm is not "AES256."',
        )
    raw = _decoded(key)
    if len(raw) != _KEY_BYTES:
        raise _wrong(
            "customerEncryptionKeyFormatIsInvalid",
            "Missing an encryption key, or it is not base64 encoded, or it does not meet the required length of the "
            "encryption algorithm.",
        )
    digest = hashlib.sha256(raw).digest()
    if _decoded(told) != digest:
        raise _wrong(
            "customerEncryptionKeySha256IsInvalid",
            "Missing a SHA256 hash of the encryption key, or it is not base64 encoded, or it does not match the "
            "encryption key.",
        )
    return b64encode(digest).decode()


def check(row: Object, headers: Mapping[str, str], prefix: str = "x-goog-") -> None:
    """Of whoever wants the content."""
    brought = key_sha256(headers, prefix)
    if row.key_sha256 == brought:
        return
    if not row.key_sha256:
        raise _wrong(
            "resourceNotEncryptedWithCustomerEncryptionKey",
            "The target object is not encrypted by a customer-supplied encryption key.",
        )
    if not brought:
        raise _wrong(
            "resourceIsEncryptedWithCustomerEncryptionKey",
            "The target object is encrypted by a customer-supplied encryption key.",
        )
    raise _wrong("customerEncryptionKeyIsIncorrect", "The provided encryption key is incorrect.")


def _wrong(reason: str, message: str) -> StorageError:
    return StorageError(400, reason, message)


def _decoded(text: str | None) -> bytes:
    try:
        return b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        return b""
