"""What Kinesis remembers of a stream: the facts beside its records, its shards' hash keys, its registered consumers."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from hashlib import md5
from typing import TYPE_CHECKING, Any, Final

import msgspec

from fogbank.aws.service import ServiceError
from fogbank.aws.services.kinesis import sequence
from fogbank.kernel.store.records import Records
from fogbank.primitives import streams
from fogbank.primitives.streams import Shard, Stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.aws.service import Call
    from fogbank.kernel.store import Tx

HASH_KEYS: Final = 1 << 128  # "An MD5 hash function is used to map partition keys to 128-bit integer values".
HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Facts:
    """The service's own of a stream; kept in its notes."""

    mode: str = "PROVISIONED"
    tags: dict[str, str] = field(default_factory=dict)
    key_id: str = ""  # Of server-side encryption, which is recorded.
    metrics: tuple[str, ...] = ()  # Of enhanced monitoring, which is recorded.
    record_kib: int = 1024  # The largest record.
    policy: str = ""
    scaled_ms: tuple[int, ...] = ()  # When UpdateShardCount was called, of the last day.
    switched_ms: tuple[int, ...] = ()  # When UpdateStreamMode was.


@dataclass(frozen=True, slots=True)
class Range:
    """The hash keys that fall into a shard, both ends included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Consumer:
    name: str
    stream: str  # Its id.
    stream_arn: str
    created_ms: int
    tags: dict[str, str] = field(default_factory=dict)
    policy: str = ""

    @property
    def arn(self) -> str:
        return f"{self.stream_arn}/consumer/{self.name}:{self.created_ms // 1000}"


@dataclass(frozen=True, slots=True)
class Routing:
    """Which open shard a hash key falls into; followed once for every record."""

    stream: Stream
    facts: Facts
    firsts: tuple[int, ...]
    shards: tuple[str, ...]

    def shard(self, hash_key: int) -> str:
        return self.shards[bisect_right(self.firsts, hash_key) - 1]


CONSUMERS = Records(Consumer, "kinesis", "consumer")  # (stream id, name)


# Streams -------------------------------------------------------------------------------------------------------------


def owner(account: str, region: str) -> str:
    return f"kinesis/{account}/{region}/"


def name_of(stream: Stream) -> str:
    return stream.owner.rpartition("/")[2]


def account_of(stream: Stream) -> str:
    return stream.owner.split("/")[1]


def facts(stream: Stream) -> Facts:
    return msgspec.convert(stream.notes, Facts)


def put(tx: Tx, stream: Stream, known: Facts) -> None:
    streams.put(tx, replace(stream, notes=msgspec.to_builtins(known)))


def find(tx: Tx, call: Call, request: dict[str, Any]) -> Stream:
    """By StreamARN, StreamName or both."""
    arn, name = stream_arn(call, request)
    found = streams.find(tx, arn)
    if found is None:
        raise missing(name, arn.split(":")[4])
    return found


def stream_arn(call: Call, request: dict[str, Any]) -> tuple[str, str]:
    """The ARN that a request means, and the name in it."""
    arn, name = request.get("StreamARN", ""), request.get("StreamName", "")
    if not arn and not name:
        raise ServiceError("InvalidArgumentException", "Either StreamName or StreamARN must be provided.")
    if not arn:
        return call.arn("kinesis", f"stream/{name}"), name
    parts = arn.split(":")
    if len(parts) != 6 or parts[2] != "kinesis" or not parts[5].startswith("stream/"):
        told = f"1 validation error detected: Value '{arn}' at 'streamARN' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:aws.*:kinesis:.*:\\d{{12}}:stream/\\S+"  # noqa: E501
        raise ServiceError("ValidationException", told)
    found = parts[5].removeprefix("stream/")
    if name and name != found:
        raise ServiceError("InvalidArgumentException", f"StreamName {name} and StreamARN {arn} are not of one stream.")
    return arn, found


def missing(name: str, account: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", f"Stream {name} under account {account} not found.")


# Shards --------------------------------------------------------------------------------------------------------------


def shard_id(number: int) -> str:
    return f"shardId-{number:012d}"


def shard_number(shard: str) -> int:
    """-1 for what is no shard's id; the word before the number may be left out."""
    digits = shard.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= 12 else -1


def new_shard(keys: Range, now_ms: int, parents: Iterable[Shard] = (), names: tuple[str, ...] = ()) -> Shard:
    """One that takes the place of its parents. It is born at least a second after them, so that its sequence numbers
    are greater than theirs."""
    born_s = max([now_ms // 1000, *(born_s_of(parent) + 1 for parent in parents)])
    return Shard(now_ms, names, notes={"first": str(keys.first), "last": str(keys.last), "born_s": born_s})


def keys_of(shard: Shard) -> Range:
    return Range(int(shard.notes["first"]), int(shard.notes["last"]))


def born_s_of(shard: Shard) -> int:
    return int(shard.notes["born_s"])


def uniform(count: int) -> list[Range]:
    """All hash keys in parts of equal size; the last takes what is left over."""
    width = HASH_KEYS // count
    return [Range(n * width, (n + 1) * width - 1 if n < count - 1 else HASH_KEYS - 1) for n in range(count)]


def open_shards(stream: Stream) -> list[str]:
    """In the order of their hash keys."""
    found = [name for name in stream.shards if not stream.has_ended(name)]
    return sorted(found, key=lambda name: keys_of(stream.lineage[name]).first)


def shard_named(stream: Stream, given: str, *, to_read: bool = False) -> str:
    """The shard that a request means. Raises ResourceNotFoundException, in the words of reading or of resharding."""
    number = shard_number(given)
    name = shard_id(number) if number >= 0 else given
    if name not in stream.lineage:
        if to_read:
            raise no_shard(name, name_of(stream), account_of(stream))
        told = f"Could not find shard {name} in stream {name_of(stream)} under account {account_of(stream)}."
        raise ServiceError("ResourceNotFoundException", told)
    return name


def no_shard(shard: str, stream: str, account: str) -> ServiceError:
    told = f"Shard {shard} in stream {stream} under account {account} does not exist"
    return ServiceError("ResourceNotFoundException", told)


def sequence_number(stream: Stream, shard: str, position: int, at_ms: int) -> str:
    return sequence.write(born_s_of(stream.lineage[shard]), shard_number(shard), position, at_ms)


def routing(tx: Tx, arn: str) -> Routing | None:
    """For `tx.recall`."""
    stream = streams.find(tx, arn)
    if stream is None:
        return None
    names = open_shards(stream)
    firsts = tuple(keys_of(stream.lineage[name]).first for name in names)
    return Routing(stream, facts(stream), firsts, tuple(names))


def hash_key(partition_key: str) -> int:
    return int.from_bytes(md5(partition_key.encode(), usedforsecurity=False).digest())


# Consumers -----------------------------------------------------------------------------------------------------------


def consumer_by_arn(tx: Tx, arn: str) -> tuple[Stream, Consumer]:
    """Raises ResourceNotFoundException."""
    stream_part, _, rest = arn.partition("/consumer/")
    stream = streams.find(tx, stream_part)
    found = CONSUMERS.get(tx, stream.id, rest.partition(":")[0]) if stream is not None else None
    if stream is None or found is None or found.arn != arn:
        account = arn.split(":")[4] if arn.count(":") >= 5 else ""
        told = f"Consumer {rest.partition(':')[0] or arn}, Account {account} not found."
        raise ServiceError("ResourceNotFoundException", told)
    return stream, found
