"""What a bucket holds, in pages: names in order, and what shares a prefix up to the delimiter as one.

"Objects: list" in the reference.
"""

from __future__ import annotations

import binascii
import heapq
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fogbank.gcp.services.storage import globs
from fogbank.gcp.services.storage.errors import invalid, not_served
from fogbank.gcp.services.storage.state import LIVE, NONCURRENT, SOFT_DELETED, Bucket, Object
from fogbank.kernel.store import END

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Mapping

    from fogbank.kernel.store import Tx
    from fogbank.kernel.store.records import Records

PAGE_MAX = 1000
GENERATION_MAX = (1 << 63) - 1
_LOOKED_AT_MAX = 20_000  # By one request: a glob may pass over nearly all.
_LAST = 0x10FFFF  # Of all characters.


@dataclass(frozen=True, slots=True)
class Query:
    prefix: str = ""
    delimiter: str = ""
    start: str = ""  # Names from here on,
    end: str = ""  # and before here.
    low: str = ""  # Where the page before ended: from this name on,
    passed: int = -1  # but for those of its generations that are not later than this one.
    limit: int = PAGE_MAX
    versions: bool = False
    soft_deleted: bool = False
    trailing: bool = False  # Names that end with the delimiter are items too.
    glob: re.Pattern[str] | None = None


@dataclass
class Page:
    items: list[Object] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    token: str = ""


def read(parameters: Mapping[str, str]) -> Query:
    """As the JSON API has it."""
    if parameters.get("filter"):
        raise not_served("the filter of objects.list")
    low, passed = decoded(parameters["pageToken"]) if parameters.get("pageToken") else ("", -1)
    glob = parameters.get("matchGlob")
    versions, soft_deleted = parameters.get("versions") == "true", parameters.get("softDeleted") == "true"
    if versions and soft_deleted:
        raise invalid("Invalid argument. You cannot specify both versions and softDeleted.")
    if glob and parameters.get("delimiter", "/") != "/":
        raise invalid("Invalid argument. matchGlob is only supported with the delimiter /.")
    return Query(
        parameters.get("prefix", ""), parameters.get("delimiter", ""), parameters.get("startOffset", ""),
        parameters.get("endOffset", ""), low, passed, limit_of(parameters), versions, soft_deleted,
        parameters.get("includeTrailingDelimiter") == "true", globs.compiled(glob) if glob else None,
    )  # fmt: skip


def limit_of(parameters: Mapping[str, str], name: str = "maxResults") -> int:
    text = parameters.get(name, str(PAGE_MAX))
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        raise invalid(f"Invalid argument. {name}: {text[:64]}", place=("parameter", name))
    return min(int(text) or PAGE_MAX, PAGE_MAX)


def page(tx: Tx, owner: Bucket, query: Query, now_ms: int) -> Page:
    made, looked_at = Page(), 0
    low, passed = max(query.prefix, query.start, query.low), query.passed if query.low else -1
    high = min((bound for bound in (query.end, query.prefix and after_all(query.prefix)) if bound), default="")
    while True:
        behind = ""  # Where to go on: what lies below a prefix is not looked at.
        for row in _rows(tx, owner, query, low, high, now_ms):
            if row.name == low and row.generation <= passed:
                continue
            looked_at += 1
            group = _group(query, row.name)
            if group and made.prefixes[-1:] == [group] and not _is_item(query, row, group):
                behind = after_all(group)
                break
            if not _matches(query, group or row.name):
                continue
            if len(made.items) + len(made.prefixes) >= query.limit or looked_at > _LOOKED_AT_MAX:
                made.token = _encoded(row.name, row.generation - 1)
                return made
            if group and made.prefixes[-1:] != [group]:
                made.prefixes.append(group)
            if _is_item(query, row, group):
                made.items.append(row)
        if not behind:
            return made
        low, passed = behind, -1


def _is_item(query: Query, row: Object, group: str) -> bool:
    return not group or (query.trailing and row.name == group)


def _matches(query: Query, name: str) -> bool:
    return query.glob is None or query.glob.fullmatch(name) is not None


def _rows(tx: Tx, owner: Bucket, query: Query, low: str, high: str, now_ms: int) -> Iterator[Object]:
    """In the order of names, of each name the oldest first."""
    if query.soft_deleted:
        for row in _scan(tx, SOFT_DELETED, owner, low, high):
            if row.hard_ms > now_ms:
                yield row
        return
    live = _scan(tx, LIVE, owner, low, high)
    if not query.versions:
        yield from live
        return
    both = (live, _scan(tx, NONCURRENT, owner, low, high))
    yield from heapq.merge(*both, key=lambda row: (row.name.encode(), row.generation))


def _scan(tx: Tx, records: Records[Object], owner: Bucket, low: str, high: str) -> Iterator[Object]:
    last = records.key(owner.id, high) if high else (*records.key(owner.id), END)
    for _, raw in tx.scan(records.key(owner.id, low), last):
        yield records.decode(raw)


def after_all(prefix: str) -> str:
    """The first text behind all that begin with it."""
    code = ord(prefix[-1])
    if code == _LAST:
        return after_all(prefix[:-1]) if len(prefix) > 1 else prefix * 2
    return prefix[:-1] + chr(0xE000 if code == 0xD7FF else code + 1)


def _group(query: Query, name: str) -> str:
    """The prefix that it is told as; "" where it is an item."""
    if not query.delimiter:
        return ""
    stem, cut, _ = name[len(query.prefix) :].partition(query.delimiter)
    return query.prefix + stem + cut if cut else ""


def _encoded(name: str, generation: int) -> str:
    return urlsafe_b64encode(f"{generation}:{name}".encode()).decode()


def decoded(token: str) -> tuple[str, int]:
    try:
        generation, _, name = b64decode(token, b"-_", validate=True).decode().partition(":")
        return name, int(generation[:32])
    except (binascii.Error, ValueError):
        raise invalid("Invalid argument. pageToken is not valid.", place=("parameter", "pageToken")) from None


def prefixes_and_items(made: Page, told: list[dict[str, Any]]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if made.token:
        shown["nextPageToken"] = made.token
    if made.prefixes:
        shown["prefixes"] = made.prefixes
    return shown | ({"items": told} if told else {})
