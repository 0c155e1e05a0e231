"""What a table's keys mean for an item: its place in the store and in each index, and what cannot stand there.

A `Schema` is made once for each state of a table's record and kept (`state.find`), for it is asked on every request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from fogbank.aws.service import ServiceError
from fogbank.aws.services.dynamodb import numbers
from fogbank.aws.services.dynamodb.values import Item, Value, kind_of, refuse
from fogbank.primitives.documents import DocumentKey, Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fogbank.aws.services.dynamodb.table import Table

HASH_BYTES_MAX, RANGE_BYTES_MAX = 2048, 1024  # "Quotas in Amazon DynamoDB", partition and sort key length.
PLACES: Final = 1 << 32  # Hash keys are spread over so many places; a scan goes through them in order.
_YEARS_5_S: Final = 5 * 365 * 86_400
NO_MATCH: Final = "The provided key element does not match the schema"
_INVALID = "One or more parameter values were invalid: "
_EMPTY = "One or more parameter values are not valid. "


class KeyMismatch(ServiceError):
    """A key that does not fit the table: of several writes at once, the reason why one was cancelled."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


def key_bytes(kind: str, content: Any) -> bytes:
    """Bytes in the order of the values: strings by their UTF-8, numbers by value, binary as it is."""
    if kind == "S":
        return content.encode()  # type: ignore[no-any-return]  # An S holds text.
    return numbers.sortable(content) if kind == "N" else content


def place_of(hash_parts: Sequence[bytes]) -> int:
    """Where a hash key stands: not in its own order, as on AWS."""
    digest = blake2b(hash_parts[0], digest_size=4)
    for part in hash_parts[1:]:
        digest.update(b"\x00" + part)
    return int.from_bytes(digest.digest())


@dataclass(frozen=True, slots=True)
class KeySchema:
    """Of a table or of an index. A global index may have several attributes of each kind, a table one of each."""

    hash: tuple[str, ...]
    range: tuple[str, ...]
    types: dict[str, str]
    names: tuple[str, ...]
    parts: int  # Of a stored key: the place, the hash keys, the range keys.

    def encode(self, item: Item) -> DocumentKey:
        """The stored key of an item that is known to have all its attributes in their types."""
        types = self.types
        hashes = [key_bytes(types[name], item[name][types[name]]) for name in self.hash]
        ranges = [key_bytes(types[name], item[name][types[name]]) for name in self.range]
        return (place_of(hashes), *hashes, *ranges)

    def has(self, item: Item) -> bool:
        return all(name in item and self.types[name] in item[name] for name in self.names)


def key_schema(elements: Sequence[dict[str, str]], types: dict[str, str]) -> KeySchema:
    hashes = tuple(element["AttributeName"] for element in elements if element["KeyType"] == "HASH")
    ranges = tuple(element["AttributeName"] for element in elements if element["KeyType"] == "RANGE")
    own = {name: types[name] for name in (*hashes, *ranges)}
    return KeySchema(hashes, ranges, own, (*hashes, *ranges), 1 + len(hashes) + len(ranges))


@dataclass(frozen=True, slots=True)
class Index:
    id: str
    name: str
    key: KeySchema
    is_global: bool
    projected: frozenset[str] | None  # None: all attributes.
    building: bool = False

    def project(self, item: Item) -> Item:
        if self.projected is None:
            return item
        return {name: value for name, value in item.items() if name in self.projected}


@dataclass(frozen=True, slots=True)
class Schema:
    table: Table
    key: KeySchema
    indexes: tuple[Index, ...]
    index_keys: frozenset[str]
    ttl: str  # The attribute that tells when an item expires; empty: none does.
    stream: str  # The id of the open stream; empty: none.
    view: str
    bare: bool  # A write needs to know nothing of the item that was there.
    by_name: dict[str, Index] = field(default_factory=dict)

    def index(self, name: str) -> Index:
        index = self.by_name.get(name)
        if index is None:
            raise refuse(f"The table does not have the specified index: {name}")
        return index

    # Keys -------------------------------------------------------------------------------------------------------------

    def key_of_item(self, item: Item) -> DocumentKey:
        """The stored key of an item to be put. Refuses one that lacks a key attribute or has it in another type."""
        for name, kind in self.key.types.items():
            value = item.get(name)
            if value is None:
                raise KeyMismatch(f"{_INVALID}Missing the key {name} in the item")
            if kind not in value:
                actual = kind_of(value)
                raise KeyMismatch(f"{_INVALID}Type mismatch for key {name} expected: {kind} actual: {actual}")
        return self._encode(item)

    def key_of_key(self, key: Item) -> DocumentKey:
        """The stored key for a `Key` parameter: the key attributes and nothing else."""
        types = self.key.types
        if len(key) != len(types):
            raise KeyMismatch(NO_MATCH)
        for name, kind in types.items():
            if name not in key or kind not in key[name]:
                raise KeyMismatch(NO_MATCH)
        return self._encode(key)

    def _encode(self, item: Item) -> DocumentKey:
        stored = self.key.encode(item)
        for name, part in zip(self.key.names, stored[1:], strict=True):
            if not part:
                kind = "string" if self.key.types[name] == "S" else "binary"
                raise refuse(
                    f"{_EMPTY}The AttributeValue for a key attribute cannot contain an empty {kind} value. Key: {name}"
                )
        _check_sizes(stored)
        return stored

    def key_values(self, item: Item) -> Item:
        return {name: item[name] for name in self.key.names}

    # Indexes and expiry -----------------------------------------------------------------------------------------------

    def place(self, item: Item, now_ms: int, updated: frozenset[str] | None = None) -> Place:
        """Where the item stands beside its table. Refuses an index key that cannot stand there. `updated`: what an
        update speaks of; a value that was there before the index, and is not touched, only keeps the item out of it."""
        entries: dict[str, DocumentKey] = {}
        for index in self.indexes:
            complete = True
            for name, kind in index.key.types.items():
                value = item.get(name)
                if value is None:
                    complete = False
                elif not value.get(kind):
                    if updated is None or name in updated:
                        raise _bad_index_key(index, name, value, update=updated is not None)
                    complete = False
            if complete:
                entries[index.id] = stored = index.key.encode(item)
                if index.is_global:
                    _check_sizes(stored)
        return Place(entries, self.due_ms(item, now_ms) if self.ttl else 0)

    def standing(self, item: Item) -> Place:
        """Where a stored item stands: as `place`, for one that was checked when it was written, perhaps before an index
        was there: then a value that cannot stand in the index keeps the item out of it ("Managing Global Secondary
        Indexes", backfilling)."""
        entries = {index.id: index.key.encode(item) for index in self.indexes if enters(index, item)}
        return Place(entries, self.expiry_ms(item) if self.ttl else 0)

    def due_ms(self, item: Item, now_ms: int) -> int:
        """ "Using time to live": a number of seconds since 1970, and not more than five years in the past."""
        due_ms = self.expiry_ms(item)
        return due_ms if due_ms >= now_ms - _YEARS_5_S * 1000 else 0

    def expiry_ms(self, item: Item) -> int:
        value = item.get(self.ttl)
        if value is None or "N" not in value:
            return 0
        seconds = value["N"].partition(".")[0]
        return int(seconds) * 1000 if len(seconds) <= 12 and seconds[0] != "-" else 0  # Beyond any clock.


def enters(index: Index, item: Item) -> bool:
    for name, kind in index.key.types.items():
        value = item.get(name)
        if value is None or not value.get(kind):
            return False
    return True


def _bad_index_key(index: Index, name: str, value: Value, *, update: bool) -> ServiceError:
    kind = index.key.types[name]
    if kind not in value:
        return KeyMismatch(
            f"{_INVALID}Type mismatch for Index Key {name} Expected: {kind} Actual: {kind_of(value)} "
            f"IndexName: {index.name}"
        )
    empty = (
        f"The AttributeValue for a key attribute cannot contain an empty {'string' if kind == 'S' else 'binary'} value."
    )
    if update:
        what = "The update expression attempted to update a secondary index key to a value that is not supported."
        return refuse(f"{_EMPTY}{what} {empty}")
    what = "A value specified for a secondary index key is not supported."
    return refuse(f"{_EMPTY}{what} {empty} IndexName: {index.name}, IndexKey: {name}")


def _check_sizes(stored: DocumentKey) -> None:
    """The place, one hash key and one range key in nearly every case."""
    if len(stored[1]) > HASH_BYTES_MAX:  # type: ignore[arg-type]  # Parts behind the place are bytes.
        raise refuse(f"{_INVALID}Size of hashkey has exceeded the maximum size limit of{HASH_BYTES_MAX} bytes")
    if len(stored) > 2 and len(stored[2]) > RANGE_BYTES_MAX:  # type: ignore[arg-type]
        raise refuse(
            f"{_INVALID}Aggregated size of all range keys has exceeded the size limit of {RANGE_BYTES_MAX} bytes"
        )
