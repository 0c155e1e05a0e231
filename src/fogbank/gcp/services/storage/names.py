"""What buckets and objects may be called.

"Bucket naming requirements" and "Object naming requirements" ("About Cloud Storage buckets", "… objects").
"""

from __future__ import annotations

import re
from typing import Final

from fogbank.gcp.services.storage.errors import StorageError, invalid

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]*[a-z0-9]")
_ADDRESS: Final = re.compile(r"\d+\.\d+\.\d+\.\d+")
_FORBIDDEN: Final = re.compile("^goog|google|g00gle")
_OBJECT_BYTES_MAX, _BUCKET_MAX, _DOTTED_MAX, _PART_MAX = 1024, 63, 222, 63


def check_bucket(name: str) -> None:
    """ "can only contain lowercase letters, numeric characters, dashes, underscores, and dots"; "3-63 characters";
    "Names containing dots can contain up to 222 characters, but each dot-separated component can be no longer than
    63"."""
    dotted = "." in name
    fits = 3 <= len(name) <= (_DOTTED_MAX if dotted else _BUCKET_MAX)
    parts = name.split(".")
    whole = all(part and len(part) <= _PART_MAX for part in parts) if dotted else True
    if not fits or not whole or not _BUCKET.fullmatch(name) or _ADDRESS.fullmatch(name) or _FORBIDDEN.search(name):
        raise invalid(f"Invalid bucket name: '{name[:256]}'", code="InvalidBucketName")


def check_object(name: str) -> None:
    """ "can contain any sequence of valid Unicode characters, of length 1-1024 bytes when UTF-8 encoded"; "cannot
    contain Carriage Return or Line Feed characters"; "cannot start with .well-known/acme-challenge/"; "cannot be named
    . or .."."""
    if not name:
        raise StorageError(400, "required", "Required", place=("parameter", "name"), code="InvalidObjectName")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:  # Bytes that are no UTF-8.
        raise invalid("Invalid object name: it is not valid UTF-8.", code="InvalidObjectName") from None
    if size > _OBJECT_BYTES_MAX:
        told = "The specified object name is not valid: it is longer than 1024 bytes."
        raise invalid(told, code="KeyTooLong")
    if name in (".", "..") or name.startswith(".well-known/acme-challenge/") or "\r" in name or "\n" in name:
        raise invalid(f"Disallowed unicode characters present in object name '{name}'", code="InvalidObjectName")
