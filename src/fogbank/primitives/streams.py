"""Durable ordered logs: what Kinesis, DynamoDB Streams and change feeds have in common.

A stream is a few shards; a shard is records in the order in which they were committed. Appending takes the shard's
head with a lock, so that a reader who has seen a position has seen every one before it, also with many writers.

Shards may come and go: one that ends takes no more records, and those that begin in its place name it as their parent.
Who reads parents to their ends before their children sees the records of a key in order.

`stream.records` is emitted for (stream, shard) whenever records were appended or the shard has ended: readers sleep
until then.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from fogbank.kernel.store import END
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fogbank.kernel.store import Key, Tx

APPENDED: Final = "stream.records"  # The signal; its key is (stream, shard).
FIRST_POSITION: Final = 1
_AT_BYTES = 8


class ShardEnded(Exception):
    """No record is appended to a shard that has ended: the stream has others by now."""


@dataclass(frozen=True, slots=True)
class Shard:
    """What is known of a shard of a stream whose shards come and go."""

    opened_ms: int
    parents: tuple[str, ...] = ()  # What it took the place of.
    ended_ms: int = 0  # 0: it takes records.
    notes: dict[str, Any] = field(default_factory=dict)  # The skin's own.


@dataclass(frozen=True, slots=True)
class Stream:
    """What is known of a stream beside its records; the skin finds it by its public name."""

    id: str  # A new one each time a name is used again.
    name: str  # Public and unique: an ARN.
    owner: str  # Whose it is, for listing: "dynamodb/000000000000/us-east-1/table-name".
    created_ms: int
    closed_ms: int = 0  # No record is appended after this moment; 0: open.
    keep_ms: int = 86_400_000
    shards: tuple[str, ...] = ("0",)
    notes: dict[str, Any] = field(default_factory=dict)  # The skin's own facts: kept here, never read here.
    lineage: dict[str, Shard] = field(default_factory=dict)  # Of shards that come and go, by name.

    def has_ended(self, shard: str) -> bool:
        known = self.lineage.get(shard)
        return bool(self.closed_ms or (known is not None and known.ended_ms))

    def children(self, shard: str) -> list[str]:
        return [name for name, known in self.lineage.items() if shard in known.parents]


@dataclass(frozen=True, slots=True)
class Record:
    position: int  # 1, 2, 3, … within its shard.
    at_ms: int  # Never less than that of the record before it.
    data: bytes


@dataclass(frozen=True, slots=True)
class _Head:
    next: int = FIRST_POSITION
    at_ms: int = 0
    ended: bool = False


_heads = Records(_Head, "stream", "head")
_streams = Records(Stream, "stream", "about")
_names = Records(str, "stream", "name")
_owners = Records(str, "stream", "owner")
_dropped = Records(str, "stream", "dropped")
_decode_id = msgspec.msgpack.Decoder(str).decode


# The log itself ------------------------------------------------------------------------------------------------------


def append(tx: Tx, stream: str, records: Iterable[bytes], *, now_ms: int, shard: str = "0") -> list[int]:
    """Put records behind all others, in this transaction, and wake the readers. The answer is their positions.
    Raises `ShardEnded`."""
    head = _heads.get(tx, stream, shard, lock=True) or _Head()
    if head.ended:
        raise ShardEnded(shard)
    at_ms, position = max(now_ms, head.at_ms), head.next
    stamp = at_ms.to_bytes(_AT_BYTES)
    for data in records:
        tx.put(("stream", "log", stream, shard, position), stamp + data)
        position += 1
    if position != head.next:
        _heads.put(tx, stream, shard, row=_Head(position, at_ms))
        tx.emit(APPENDED, (stream, shard))
    return list(range(head.next, position))


def read(
    tx: Tx, stream: str, shard: str = "0", *, after: int = 0, limit: int = 1000, bytes_max: int | None = None
) -> list[Record]:
    """Records behind position `after`, in order: at most `limit`, and no more bytes than `bytes_max` (but one)."""
    found: list[Record] = []
    room = bytes_max
    first, last = ("stream", "log", stream, shard, after + 1), ("stream", "log", stream, shard, END)
    for key, value in tx.scan(first, last, limit=limit):
        if room is not None:
            room -= len(value) - _AT_BYTES
            if room < 0 and found:
                break
        found.append(Record(int(key[-1]), int.from_bytes(value[:_AT_BYTES]), value[_AT_BYTES:]))  # type: ignore[arg-type]  # Positions are ints.
    return found


def head(tx: Tx, stream: str, shard: str = "0") -> int:
    """The position of the newest record ever appended, 0 before the first: what a reader from LATEST begins behind."""
    return (_heads.get(tx, stream, shard) or _Head()).next - 1


def newest_ms(tx: Tx, stream: str, shard: str = "0") -> int:
    """The moment that the newest record has, which may be later than the one it was appended with."""
    return (_heads.get(tx, stream, shard) or _Head()).at_ms


def tail(tx: Tx, stream: str, shard: str = "0", *, since_ms: int = 0) -> int:
    """The position of the oldest record still here that is not older than `since_ms`; one past the head if none is.
    What a reader from TRIM_HORIZON begins with (`after=tail(…) - 1`)."""
    newest = head(tx, stream, shard)
    oldest = _next(tx, stream, shard, 0)
    if oldest is None:
        return newest + 1
    low, high = oldest.position, newest + 1
    if oldest.at_ms >= since_ms:
        return low
    while low < high:  # Times grow with positions, so the moment is found by halving.
        middle = (low + high) // 2
        record = _next(tx, stream, shard, middle - 1)
        if record is not None and record.at_ms < since_ms:
            low = record.position + 1
        else:
            high = middle
    return low


def trim(tx: Tx, stream: str, shard: str = "0", *, before_ms: int, limit: int = 1000) -> int:
    """Forget up to `limit` records older than `before_ms`; the answer is how many."""
    old = [record for record in read(tx, stream, shard, limit=limit) if record.at_ms < before_ms]
    for record in old:
        tx.delete(("stream", "log", stream, shard, record.position))
    return len(old)


def _next(tx: Tx, stream: str, shard: str, after: int) -> Record | None:
    found = read(tx, stream, shard, after=after, limit=1)
    return found[0] if found else None


# Streams by name -----------------------------------------------------------------------------------------------------


def create(tx: Tx, stream: Stream) -> None:
    _streams.put(tx, stream.id, row=stream)
    _names.put(tx, stream.name, row=stream.id)
    _owners.put(tx, stream.owner, stream.name, row=stream.id)


def get(tx: Tx, stream: str) -> Stream | None:
    return _streams.get(tx, stream)


def find(tx: Tx, name: str) -> Stream | None:
    stream = _names.get(tx, name)
    return None if stream is None else _streams.get(tx, stream)


def owned(tx: Tx, owner: str, *, after: str = "", limit: int | None = None) -> list[Stream]:
    """Streams whose owner begins with `owner`, by owner and name; those behind the stream named `after`."""
    first: Key = _owners.key(owner)
    last: Key = _owners.key(owner[:-1] + chr(ord(owner[-1]) + 1))
    if after:
        begin = find(tx, after)
        if begin is None:
            return []
        first = (*_owners.key(begin.owner, begin.name), END)
    found = [_streams.get(tx, _decode_id(raw)) for _, raw in tx.scan(first, last, limit=limit)]
    return [stream for stream in found if stream is not None]


def every(tx: Tx) -> list[Stream]:
    return _streams.all(tx)


def put(tx: Tx, stream: Stream) -> None:
    """Keep other facts of a stream that is there; its name and owner stay."""
    _streams.put(tx, stream.id, row=stream)


def close(tx: Tx, stream: str, *, now_ms: int) -> None:
    """Nothing will be appended any more; what is there stays readable for its time."""
    about = _streams.get(tx, stream)
    if about is not None:
        _streams.put(tx, stream, row=replace(about, closed_ms=now_ms))
        for shard in about.shards:
            tx.emit(APPENDED, (stream, shard))


def forget(tx: Tx, stream: str) -> None:
    """The stream, its name and all its records are gone."""
    about = _streams.get(tx, stream)
    if about is None:
        return
    for shard in about.shards:
        for key, _ in list(tx.scan(("stream", "log", stream, shard), ("stream", "log", stream, shard, END))):
            tx.delete(key)
        _heads.delete(tx, stream, shard)
    _streams.delete(tx, stream)
    _names.delete(tx, about.name)
    _owners.delete(tx, about.owner, about.name)


def drop(tx: Tx, stream: str) -> None:
    """As `forget` for all who look for the stream; its rows are left for `sweep`, as there may be very many."""
    about = _streams.get(tx, stream)
    if about is None:
        return
    _streams.delete(tx, stream)
    _names.delete(tx, about.name)
    _owners.delete(tx, about.owner, about.name)
    for shard in about.shards:
        _dropped.put(tx, stream, shard, row=shard)
        tx.emit(APPENDED, (stream, shard))


def sweep(tx: Tx, *, limit: int = 1000) -> bool:
    """Forget up to `limit` rows of streams and shards that were dropped; whether there may be more."""
    for key, shard in list(_dropped.scan(tx, limit=1)):
        stream = str(key[-2])
        rows = list(tx.scan(("stream", "log", stream, shard), ("stream", "log", stream, shard, END), limit=limit))
        for row, _ in rows:
            tx.delete(row)
        if len(rows) < limit:
            _heads.delete(tx, stream, shard)
            _dropped.delete(tx, stream, shard)
        return True
    return False


# Shards that come and go ---------------------------------------------------------------------------------------------


def reshard(tx: Tx, stream: str, *, ending: Iterable[str], opening: Mapping[str, Shard], now_ms: int) -> None:
    """End some shards and begin others in their place, in one. The heads of those that end are locked, so that nobody
    appends to one behind its end."""
    about = _streams.get(tx, stream, lock=True)
    assert about is not None, stream
    lineage = dict(about.lineage)
    for shard in ending:
        known = _heads.get(tx, stream, shard, lock=True) or _Head()
        _heads.put(tx, stream, shard, row=replace(known, ended=True))
        lineage[shard] = replace(lineage.get(shard) or Shard(about.created_ms), ended_ms=now_ms)
        tx.emit(APPENDED, (stream, shard))
    shards = (*about.shards, *opening)
    _streams.put(tx, stream, row=replace(about, shards=shards, lineage=lineage | dict(opening)))


def retire(tx: Tx, stream: str, shards: Iterable[str]) -> None:
    """Shards that have ended are no longer told of; what is left of their records goes with the next `sweep`."""
    about = _streams.get(tx, stream, lock=True)
    assert about is not None, stream
    gone = set(shards)
    for shard in gone:
        _dropped.put(tx, stream, shard, row=shard)
    left = tuple(shard for shard in about.shards if shard not in gone)
    lineage = {name: known for name, known in about.lineage.items() if name not in gone}
    _streams.put(tx, stream, row=replace(about, shards=left, lineage=lineage))
