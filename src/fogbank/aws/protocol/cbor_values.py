"""CBOR in the two dialects that AWS speaks: of Smithy RPC v2, and of `application/x-amz-cbor-1.1`.

Both write a timestamp as tag 1. In RPC v2 it holds seconds, as RFC 8949 has them ("Epoch-Based Date/Time"); in the
older dialect, which the SDKs for Java and the Kinesis Client Library send to Kinesis, milliseconds: `SdkCborGenerator`
of the SDK for Java writes `Instant.toEpochMilli()` behind that tag, and its reader expects the same. No other tag is
read: the rest are of no use to the protocols, and some make values that refer to themselves or are costly to make.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import cbor2

from fogbank.aws.protocol import times

if TYPE_CHECKING:
    from collections.abc import Callable

RPC_V2: Final = "cbor"
AMZ: Final = "amz-cbor"
AMZ_TYPE: Final = "application/x-amz-cbor-1.1"
_EPOCH_TAG: Final = 1
# Those that cbor2 would make something of by itself.
_UNREAD_TAGS: Final = (
    0, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799,
)  # fmt: skip
_DEPTH_MAX: Final = 64


def loads(body: bytes, dialect: str) -> Any:
    """Raises `ValueError` where it is no CBOR, or none that the protocols know."""
    units = 1000 if dialect == AMZ else 1
    decoders: dict[int, Callable[..., Any]] = dict.fromkeys(_UNREAD_TAGS, _unread)
    decoders[_EPOCH_TAG] = lambda number, _immutable: _moment(number, units)
    try:
        return cbor2.loads(
            body, semantic_decoders=decoders, tag_hook=_unread, max_depth=_DEPTH_MAX,
            strict_hashable_types=True,
        )  # fmt: skip
    except (cbor2.CBORDecodeError, TypeError) as error:
        raise ValueError(f"Unable to parse the request as CBOR: {error}") from error


def dumps(value: Any, dialect: str) -> bytes:
    """Of what an operation answers; members that are None are left out."""
    return cbor2.dumps(_present(value, dialect))


def _present(value: Any, dialect: str) -> Any:
    if isinstance(value, dict):
        return {name: _present(item, dialect) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_present(item, dialect) for item in value]
    if isinstance(value, datetime):
        seconds = times.parse(value).timestamp()
        return cbor2.CBORTag(_EPOCH_TAG, round(seconds * 1000) if dialect == AMZ else times.epoch(seconds))
    return bytes(value) if isinstance(value, memoryview | bytearray) else value


def _moment(number: Any, units: int) -> datetime:
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueError("a timestamp that is no number")
    try:
        return datetime.fromtimestamp(number / units, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError("a timestamp out of range") from error


def _unread(*_: Any) -> Any:
    raise ValueError("a tag that is not read")
