"""How an item lies in the store: four bytes of its DynamoDB size, then the wire's form as msgpack.

The size is worked out once, when the item is written: reading, paging and capacity need it each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from fogbank.aws.services.dynamodb.values import Item

_SIZE_BYTES = 4
encode = msgspec.msgpack.Encoder().encode
decode: Any = msgspec.msgpack.Decoder().decode


def pack(item: Item, size: int) -> bytes:
    return size.to_bytes(_SIZE_BYTES) + encode(item)


def unpack(raw: bytes) -> Item:
    return decode(memoryview(raw)[_SIZE_BYTES:])  # type: ignore[no-any-return]  # As packed above.


def body(raw: bytes) -> bytes:
    """The item alone, still packed."""
    return raw[_SIZE_BYTES:]


def size_of(raw: bytes) -> int:
    return int.from_bytes(raw[:_SIZE_BYTES])
