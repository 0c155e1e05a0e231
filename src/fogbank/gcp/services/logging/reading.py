"""Entries listed: of several owners, in the order of time, those that match, a page at a time.

What is read at once is bounded. A page may then be empty and still have a token: "the search found no log entries so
far but it did not have time to search all the possible log entries".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from fogbank.gcp.protocol import filters
from fogbank.gcp.protocol.filters import bounds
from fogbank.gcp.protocol.paging import decoded, encoded
from fogbank.gcp.services.logging import entries, names
from fogbank.gcp.services.logging.entries import LOGGING
from fogbank.primitives import logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fogbank.kernel.store import Tx

_LINES_MAX = 2_000  # Read in one transaction.
_NAMES_MAX, _PAGE_USUAL, _PAGE_MAX = 100, 50, 1000
_AHEAD_MS = 86_400_000
_NEWEST = re.compile(r"timestamp\s+desc", re.IGNORECASE)
_OLDEST = re.compile(r"(timestamp(\s+asc)?)?", re.IGNORECASE)


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Behind which entry a page goes on."""

    at_ms: int
    timestamp_ns: int
    insert_id: str


@dataclass(frozen=True, slots=True)
class Search:
    parents: tuple[str, ...]
    matches: Callable[[Any], bool]
    from_ms: int
    to_ms: int
    size: int
    newest_first: bool
    after: Place | None


def search(request: Any, now_ms: int) -> Search:
    """Of a ListLogEntriesRequest. Raises `RpcError`."""
    parents = tuple(dict.fromkeys(request.resource_names))
    if not 1 <= len(parents) <= _NAMES_MAX:
        raise names.invalid("ListLogEntriesRequest.resource_names must have between 1 and 100 names.")
    newest = _NEWEST.fullmatch(request.order_by.strip()) is not None
    if not newest and not _OLDEST.fullmatch(request.order_by.strip()):
        raise names.invalid('order_by must be "timestamp asc" or "timestamp desc".')
    if not 0 <= request.page_size <= _PAGE_MAX:
        raise names.invalid("page_size must be between 0 and 1000.")
    matches = filters.compiled(request.filter, LOGGING.LogEntry.DESCRIPTOR)
    least, most = bounds(request.filter, "timestamp")
    return Search(
        parents, matches, max(least, now_ms - entries.KEPT_MS), min(most + 1, now_ms + _AHEAD_MS + 1),
        request.page_size or _PAGE_USUAL, newest, _place(request.page_token),
    )  # fmt: skip


def _place(token: str) -> Place | None:
    if not token:
        return None
    try:
        return msgspec.json.decode(decoded(token), type=Place)
    except msgspec.DecodeError:
        raise names.invalid("page_token is not valid.") from None


def page(tx: Tx, wanted: Search) -> tuple[list[Any], str]:
    """Entries, and the token of the next page ("" where there is none)."""
    found: list[Any] = []
    last: Place | None = None
    read = 0
    for same in _by_moment(tx, wanted):
        for place, entry in _in_order(same, newest_first=wanted.newest_first):
            if wanted.after is not None and not _is_behind(place, wanted.after, newest_first=wanted.newest_first):
                continue
            if wanted.matches(entry):
                if len(found) == wanted.size:
                    return found, _token(last)
                found.append(entry)
            last = place
        read += len(same)
        if read >= _LINES_MAX:
            return found, _token(last or wanted.after)
    return found, ""


def _token(place: Place | None) -> str:
    return encoded(msgspec.json.encode(place).decode()) if place is not None else ""


def _by_moment(tx: Tx, wanted: Search) -> Iterator[list[tuple[int, Any]]]:
    """Entries of one millisecond, which need not be in order."""
    from_ms, to_ms = wanted.from_ms, wanted.to_ms
    if wanted.after is not None and wanted.newest_first:
        to_ms = min(to_ms, wanted.after.at_ms + 1)
    elif wanted.after is not None:
        from_ms = max(from_ms, wanted.after.at_ms)
    same: list[tuple[int, Any]] = []
    for at_ms, entry in _entries(tx, wanted, from_ms, to_ms):
        if same and same[0][0] != at_ms:
            yield same
            same = []
        same.append((at_ms, entry))
    if same:
        yield same


def _entries(tx: Tx, wanted: Search, from_ms: int, to_ms: int) -> Iterator[tuple[int, Any]]:
    owners = list(dict.fromkeys(names.owner(tx, parent) for parent in wanted.parents))
    if len(owners) == 1:
        yield from of_owner(tx, owners[0], from_ms, to_ms, newest_first=wanted.newest_first)
        return
    several = [of_owner(tx, owner, from_ms, to_ms, newest_first=wanted.newest_first) for owner in owners]
    yield from _merged(several, newest_first=wanted.newest_first)


def _merged(several: list[Iterator[tuple[int, Any]]], *, newest_first: bool) -> Iterator[tuple[int, Any]]:
    heads = {at: head for at, rows in enumerate(several) if (head := next(rows, None)) is not None}
    while heads:
        at = (max if newest_first else min)(heads, key=lambda at: heads[at][0])
        yield heads[at]
        following = next(several[at], None)
        if following is None:
            del heads[at]
        else:
            heads[at] = following


def of_owner(
    tx: Tx, owner: str, from_ms: int, to_ms: int, *, newest_first: bool = False
) -> Iterator[tuple[int, Any]]:  # fmt: skip
    streams = [row.name for row in logs.STREAMS.all(tx, owner, names.GROUP) if row.first_ms is not None]
    lines = logs.merged(tx, owner, names.GROUP, streams, from_ms=from_ms, to_ms=to_ms, reverse=newest_first)
    for at_ms, line_name, taken_ms, stream, text in lines:
        yield at_ms, entries.read(owner, at_ms, line_name, taken_ms, stream, text)


def _in_order(same: list[tuple[int, Any]], *, newest_first: bool) -> list[tuple[Place, Any]]:
    """ "Entries with equal timestamps are returned in order of their insert_id values"; those with the same one too are
    "duplicates which are removed"."""
    placed: dict[tuple[str, Place], Any] = {}
    for at_ms, entry in same:
        moment = entry.timestamp.seconds * 1_000_000_000 + entry.timestamp.nanos
        parent = entry.log_name.partition("/logs/")[0]
        placed.setdefault((parent, Place(at_ms, moment, entry.insert_id)), entry)
    ordered = sorted(placed.items(), key=lambda item: (item[0][1].timestamp_ns, item[0][1].insert_id, item[0][0]))
    if newest_first:
        ordered.reverse()
    return [(place, entry) for (_, place), entry in ordered]


def _is_behind(place: Place, after: Place, *, newest_first: bool) -> bool:
    here, there = ((one.at_ms, one.timestamp_ns, one.insert_id) for one in (place, after))
    return here < there if newest_first else here > there
