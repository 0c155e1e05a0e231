"""Shards: told of and filtered, split, merged, and brought to a number of equal ones by splits and merges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fogbank.aws.service import ServiceError
from fogbank.aws.services.kinesis import sequence, state
from fogbank.primitives import streams
from fogbank.primitives.streams import Shard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.aws.service import Call
    from fogbank.aws.services.kinesis.state import Range
    from fogbank.kernel.store import Tx
    from fogbank.primitives.streams import Stream

ACCOUNT_MAX: Final = 20_000  # "Quotas and limits": of an account, in provisioned mode, in the largest regions.


def described(stream: Stream, name: str) -> dict[str, Any]:
    shard = stream.lineage[name]
    keys, number, born_s = state.keys_of(shard), state.shard_number(name), state.born_s_of(shard)
    numbers = {"StartingSequenceNumber": sequence.write(born_s, number, 0, 1000 * born_s)}
    if shard.ended_ms:
        numbers["EndingSequenceNumber"] = sequence.write(born_s, number, sequence.LAST, shard.ended_ms)
    answer: dict[str, Any] = {
        "ShardId": name,
        "HashKeyRange": {"StartingHashKey": str(keys.first), "EndingHashKey": str(keys.last)},
        "SequenceNumberRange": numbers,
    }
    return answer | dict(zip(("ParentShardId", "AdjacentParentShardId"), shard.parents, strict=False))


def told_of(stream: Stream, now_ms: int) -> list[str]:
    """Those that hold records which can be read still, or may come to hold some; in the order of their ids."""
    return sorted(name for name, shard in stream.lineage.items() if not _is_over(stream, shard, now_ms))


def _is_over(stream: Stream, shard: Shard, now_ms: int) -> bool:
    return 0 < shard.ended_ms < now_ms - stream.keep_ms


def children(stream: Stream, name: str) -> list[dict[str, Any]]:
    """As GetRecords tells of them at the end of a shard."""
    found = []
    for child in stream.children(name):
        shard = stream.lineage[child]
        keys = state.keys_of(shard)
        told = {"StartingHashKey": str(keys.first), "EndingHashKey": str(keys.last)}
        found.append({"ShardId": child, "ParentShards": list(shard.parents), "HashKeyRange": told})
    return found


def filtered(stream: Stream, names: list[str], wanted: dict[str, Any], now_ms: int) -> list[str]:
    """By a ShardFilter."""
    kind, moment = wanted["Type"], wanted.get("Timestamp")
    if kind in ("AT_TIMESTAMP", "FROM_TIMESTAMP") and moment is None:
        raise ServiceError("InvalidArgumentException", f"Timestamp must be provided with shard filter type {kind}.")
    if kind == "AFTER_SHARD_ID":
        if "ShardId" not in wanted:
            raise ServiceError("InvalidArgumentException", f"ShardId must be provided with shard filter type {kind}.")
        return [name for name in names if name > wanted["ShardId"]]
    if kind == "AT_LATEST":
        return [name for name in names if not stream.has_ended(name)]
    horizon_ms = max(now_ms - stream.keep_ms, stream.created_ms)
    at_ms = horizon_ms if moment is None else max(round(moment.timestamp() * 1000), horizon_ms)
    lives = {name: stream.lineage[name] for name in names}
    from_then_on = [name for name, shard in lives.items() if not 0 < shard.ended_ms < at_ms]
    if kind.startswith("FROM_"):
        return from_then_on
    return [name for name in from_then_on if lives[name].opened_ms <= at_ms]


# Resharding ----------------------------------------------------------------------------------------------------------


class Change:
    """Splits and merges of a stream's shards, worked out one after the other and kept in one."""

    def __init__(self, stream: Stream, now_ms: int) -> None:
        self._stream, self._now_ms = stream, now_ms
        self._ended: list[str] = []
        self._opened: dict[str, Shard] = {}
        self._next = 1 + max(state.shard_number(name) for name in stream.lineage)

    def split(self, name: str, at: int) -> tuple[str, str]:
        """The names of its two children; the second one begins with the hash key `at`."""
        keys = self.keys(name)
        self._end(name)
        return (
            self._open(state.Range(keys.first, at - 1), (name,)),
            self._open(state.Range(at, keys.last), (name,)),
        )

    def merge(self, name: str, adjacent: str) -> str:
        keys = self.keys(name), self.keys(adjacent)
        self._end(name)
        self._end(adjacent)
        whole = state.Range(min(one.first for one in keys), max(one.last for one in keys))
        return self._open(whole, (name, adjacent))

    def keys(self, name: str) -> Range:
        return state.keys_of(self._shard(name))

    def keep(self, tx: Tx) -> None:
        """Shards that came and went within the change are kept as such: a child's parents are always known."""
        before = [name for name in self._ended if name in self._stream.lineage]
        streams.reshard(tx, self._stream.id, ending=before, opening=self._opened, now_ms=self._now_ms)
        short_lived = [name for name in self._ended if name in self._opened]
        if short_lived:
            streams.reshard(tx, self._stream.id, ending=short_lived, opening={}, now_ms=self._now_ms)

    @property
    def grows_by(self) -> int:
        return len(self._opened) - len(self._ended)

    def _shard(self, name: str) -> Shard:
        return self._opened[name] if name in self._opened else self._stream.lineage[name]

    def _end(self, name: str) -> None:
        self._ended.append(name)

    def _open(self, keys: Range, parents: tuple[str, ...]) -> str:
        name = state.shard_id(self._next)
        self._next += 1
        self._opened[name] = state.new_shard(keys, self._now_ms, (self._shard(parent) for parent in parents), parents)
        return name


def scale(change: Change, open_now: list[str], wanted: int) -> None:
    """UpdateShardCount: "Kinesis Data Streams performs splits or merges on individual shards. This can cause
    short-lived shards to be created": split at every bound that is to be, then merge what lies between two of them."""
    pieces = list(open_now)
    parts = state.uniform(wanted)
    for bound in (part.first for part in parts[1:]):
        at = next(n for n, name in enumerate(pieces) if change.keys(name).last >= bound)
        if change.keys(pieces[at]).first < bound:
            pieces[at : at + 1] = change.split(pieces[at], bound)
    for part in parts:
        inside = [name for name in pieces if part.first <= change.keys(name).first <= part.last]
        whole = inside[0]
        for name in inside[1:]:
            whole = change.merge(whole, name)


def provisioned(every: Iterable[Stream]) -> int:
    """Open shards of streams in provisioned mode: what the account's limit counts."""
    return sum(len(state.open_shards(stream)) for stream in every if state.facts(stream).mode == "PROVISIONED")


def check_limit(tx: Tx, call: Call, more: int) -> None:
    now = provisioned(streams.owned(tx, state.owner(call.account, call.region)))
    if now + more > ACCOUNT_MAX:
        told = f"This request would exceed the shard limit for the account {call.account} in {call.region}. Current shard count for the account: {now}. Limit: {ACCOUNT_MAX}. Number of additional shards that would have resulted from this request: {more}. Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request higher limits."  # noqa: E501
        raise ServiceError("LimitExceededException", told)
