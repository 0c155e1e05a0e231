"""Lists in pages: a token is the last name of the page before."""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, TypeVar

from fogbank.gcp.service import Code, RpcError

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx
    from fogbank.kernel.store.records import Records

T = TypeVar("T")


def page(
    tx: Tx, records: Records[T], *prefix: str, size: int, token: str, largest: int
) -> tuple[list[tuple[str, T]], str]:
    """Rows with the last part of their keys, which is text, and the token of the next page ("" where there is none)."""
    if size < 0:
        raise RpcError(Code.INVALID_ARGUMENT, "The value for page_size is negative.")
    after = records.key(*prefix, decoded(token)) if token else None
    limit = min(size or largest, largest)
    found = [(str(key[-1]), row) for key, row in records.scan(tx, *prefix, after=after, limit=limit + 1)]
    kept = found[:limit]
    return kept, encoded(kept[-1][0]) if len(found) > limit else ""


def encoded(name: str) -> str:
    return urlsafe_b64encode(name.encode()).decode()


def decoded(token: str) -> str:
    try:
        return b64decode(token, b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise RpcError(Code.INVALID_ARGUMENT, f"Invalid page token given (page_token={token[:256]}).") from None
