"""A function's zip: hostile until unpacked. Unpacked once, kept by what is in it, never written again."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import TYPE_CHECKING

from fogbank.aws.service import ServiceError
from fogbank.aws.services.lambda_ import unchanged
from fogbank.aws.services.lambda_.state import Code
from fogbank.primitives import archives

if TYPE_CHECKING:
    from pathlib import Path

ZIPPED_BYTES_MAX = 50 * 1024 * 1024  # Lambda quotas: "Deployment package (.zip file archive) size", direct upload.
UNZIPPED_BYTES_MAX = 250 * 1024 * 1024
_COULD_NOT = "Could not unzip uploaded file. Please check your file, then try to upload again."


def describe(content: bytes) -> Code:
    digest = hashlib.sha256(content)
    return Code(digest.hexdigest(), b64encode(digest.digest()).decode(), len(content))


def unpack(content: bytes, folder: Path, before: unchanged.Unpacked | None = None) -> None:
    """Into `folder`, whole or not at all. `before`: an earlier zip of the same function. Takes time: not for the loop.

    Raises InvalidParameterValueException, and `StoreError` where there is no room.
    """
    try:
        archives.unpack(
            content, folder, bytes_max=UNZIPPED_BYTES_MAX,
            same=lambda archive: unchanged.files(content, archive, before) if before else {},
        )  # fmt: skip
    except archives.TooLarge as error:
        raise ServiceError(
            "InvalidParameterValueException", f"Unzipped size must be smaller than {UNZIPPED_BYTES_MAX} bytes"
        ) from error
    except archives.BadArchive as error:
        raise ServiceError("InvalidParameterValueException", _COULD_NOT) from error
