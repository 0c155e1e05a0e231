"""Shard iterators: where to go on reading, as text that is good for five minutes."""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from fogbank.aws.service import ServiceError
from fogbank.aws.services.kinesis import sequence, state
from fogbank.primitives import streams

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx
    from fogbank.primitives.streams import Stream

LIFE_MS: Final = 300_000  # "A shard iterator expires 5 minutes after it is returned to the requester".
_MARK: Final = bytes(7) + b"\x01"
_BY_NUMBER: Final = ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER")


class Iterator(msgspec.Struct, array_like=True, frozen=True):
    stream: str  # Its id: of a stream that was deleted and made again, an iterator is of no use.
    name: str
    shard: str
    after: int
    made_ms: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Iterator).decode


def write(stream: Stream, shard: str, after: int, now_ms: int) -> str:
    return b64encode(_MARK + _encode(Iterator(stream.id, state.name_of(stream), shard, after, now_ms))).decode()


def read(text: str, now_ms: int) -> Iterator:
    """Raises InvalidArgumentException, ExpiredIteratorException."""
    try:
        raw = b64decode(text, validate=True)
        found = _decode(raw.removeprefix(_MARK))
        if not raw.startswith(_MARK) or not 0 <= found.after <= sequence.LAST or found.made_ms > now_ms:
            raise ValueError(text)
    except (ValueError, msgspec.MsgspecError) as error:
        raise ServiceError("InvalidArgumentException", "Invalid ShardIterator.") from error
    if found.made_ms + LIFE_MS < now_ms:
        told = f"Iterator expired. The iterator was created at time {_date(found.made_ms)} while right now it is {_date(now_ms)} which is further in the future than the tolerated delay of {LIFE_MS} milliseconds."  # noqa: E501
        raise ServiceError("ExpiredIteratorException", told)
    return found


def trim_horizon(tx: Tx, stream: Stream, shard: str, now_ms: int) -> int:
    """The position before the oldest record that is still kept."""
    return streams.tail(tx, stream.id, shard, since_ms=now_ms - stream.keep_ms) - 1


def begin(tx: Tx, stream: Stream, shard: str, kind: str, number: str | None, moment: Any, now_ms: int) -> int:
    """The position that reading begins behind; `kind` is a ShardIteratorType."""
    if kind in _BY_NUMBER:
        position = _position(stream, shard, kind, number)
        return max(position - 1 if kind == "AT_SEQUENCE_NUMBER" else position, 0)
    if number is not None:
        raise _neither(kind, "and also a StartingSequenceNumber.")
    if kind == "LATEST":
        return streams.head(tx, stream.id, shard)
    if kind == "TRIM_HORIZON":
        return trim_horizon(tx, stream, shard, now_ms)
    if moment is None:
        told = "Must specify timestamp parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter."  # noqa: E501
        raise ServiceError("InvalidArgumentException", told)
    since_ms = round(moment.timestamp() * 1000)
    if since_ms > now_ms:
        told = f"The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: {since_ms}, currentTimestampInMillis: {now_ms}"  # noqa: E501
        raise ServiceError("InvalidArgumentException", told)
    return streams.tail(tx, stream.id, shard, since_ms=max(since_ms, now_ms - stream.keep_ms)) - 1


def _position(stream: Stream, shard: str, kind: str, number: str | None) -> int:
    if number is None:
        raise _neither(kind, "and no StartingSequenceNumber.")
    used = f"StartingSequenceNumber {number} used in GetShardIterator on shard {shard} in stream {state.name_of(stream)} under account {state.account_of(stream)} is invalid"  # noqa: E501
    place = sequence.read(number)
    if place is None:
        raise ServiceError("InvalidArgumentException", used + ".")
    if place.shard != state.shard_number(shard):
        told = f"Invalid StartingSequenceNumber. It encodes {state.shard_id(place.shard)}, while it was used in a call to a shard with {shard}"  # noqa: E501
        raise ServiceError("InvalidArgumentException", told)
    if place.born_s != state.born_s_of(stream.lineage[shard]):
        raise ServiceError("InvalidArgumentException", used + " because it did not come from this stream.")
    return place.position


def _neither(kind: str, what: str) -> ServiceError:
    told = f"Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified {kind} {what}"  # noqa: E501
    return ServiceError("InvalidArgumentException", told)


def _date(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
