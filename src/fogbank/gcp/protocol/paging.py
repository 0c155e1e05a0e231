"""Lists in pages: a token is the last name of the page before."""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any, TypeVar

from fogbank.gcp.service import Code, RpcError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fogbank.kernel.store import Key, Tx
    from fogbank.kernel.store.records import Records

T = TypeVar("T")
_BATCH = 500


def page(
    tx: Tx, records: Records[T], *prefix: str, size: int, token: str, largest: int
) -> tuple[list[tuple[str, T]], str]:
    """Rows with the last part of their keys, which is text, and the token of the next page ("" where there is none)."""
    after = records.key(*prefix, decoded(token)) if token else None
    limit = _limit(size, largest)
    found = [(str(key[-1]), row) for key, row in records.scan(tx, *prefix, after=after, limit=limit + 1)]
    kept = found[:limit]
    return kept, encoded(kept[-1][0]) if len(found) > limit else ""


def filtered(
    tx: Tx, records: Records[T], *prefix: str, size: int, token: str, largest: int,
    told: Callable[[Any, T], Any], matches: Callable[[Any], bool], reverse: bool = False,
) -> tuple[list[Any], str]:  # fmt: skip
    """What `told` makes of the last part of a row's key and the row, of those that match; None is passed over."""
    limit = _limit(size, largest)
    found: list[tuple[Key, Any]] = []
    for key, row in _rows(tx, records, prefix, token, reverse=reverse):
        message = told(key[-1], row)
        if message is not None and matches(message):
            found.append((key, message))
            if len(found) > limit:
                break
    kept = found[:limit]
    token = _named(kept[-1][0][-1]) if len(found) > limit else ""
    return [message for _, message in kept], token


def _rows(
    tx: Tx, records: Records[T], prefix: tuple[str, ...], token: str, *, reverse: bool
) -> Iterator[tuple[Key, T]]:  # fmt: skip
    """All of them, some at a time: most pages end long before the rows do."""
    after = records.key(*prefix, _part(token)) if token else None
    while True:
        some = list(records.scan(tx, *prefix, after=after, limit=_BATCH, reverse=reverse))
        yield from some
        if len(some) < _BATCH:
            return
        after = some[-1][0]


def _limit(size: int, largest: int) -> int:
    if size < 0:
        raise RpcError(Code.INVALID_ARGUMENT, "The value for page_size is negative.")
    return min(size or largest, largest)


def _named(part: Any) -> str:
    return encoded(f"#{part}" if isinstance(part, int) else f".{part}")


def _part(token: str) -> str | int:
    name = decoded(token)
    if name[:1] == "#" and name[1:].isascii() and name[1:].isdigit():
        return int(name[1:19])
    return name[1:]


def encoded(name: str) -> str:
    return urlsafe_b64encode(name.encode()).decode()


def decoded(token: str) -> str:
    """Raises `RpcError`."""
    try:
        return b64decode(token, b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise RpcError(Code.INVALID_ARGUMENT, f"Invalid page token given (page_token={token[:256]}).") from None
