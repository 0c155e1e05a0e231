"""Shards: listed, split, merged, scaled."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.kinesis import shards, state, unserved
from fogbank.primitives import streams

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx
    from fogbank.primitives.streams import Stream

_PAGE: Final = 1000
_TOKEN_MS: Final = 300_000  # "Tokens expire after 300 seconds."
_STREAM_MAX: Final = 10_000
_SCALINGS_MAX: Final = 10
_DAY_MS: Final = 86_400_000


class Token(msgspec.Struct, array_like=True, frozen=True):
    """Where ListShards goes on."""

    stream: str
    after: str
    made_ms: int
    wanted: dict[str, Any]  # The filter.


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Token).decode


class Shards(Operations):
    service: ClassVar = "kinesis"
    refused: ClassVar = unserved.REFUSED
    without_effect: ClassVar = unserved.WITHOUT_EFFECT

    def list_shards(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stream, after, wanted = _asked(tx, call, request)
        names = shards.told_of(stream, call.now_ms)
        if wanted:
            names = shards.filtered(stream, names, wanted, call.now_ms)
        behind = [name for name in names if name > after]
        limit = min(request.get("MaxResults", _PAGE), _PAGE)
        answer: dict[str, Any] = {"Shards": [shards.described(stream, name) for name in behind[:limit]]}
        if len(behind) > limit:
            token = Token(stream.name, behind[limit - 1], call.now_ms, wanted)
            answer["NextToken"] = b64encode(_encode(token)).decode()
        return answer

    def split_shard(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        stream = _scalable(tx, call, request)
        name, at = state.shard_named(stream, request["ShardToSplit"]), request["NewStartingHashKey"]
        _check_open(stream, name)
        keys = state.keys_of(stream.lineage[name])
        if not (at.isascii() and at.isdecimal() and keys.first + 1 < int(at) < keys.last):
            told = f"NewStartingHashKey {at} used in SplitShard() on shard {name} in stream {state.name_of(stream)} under account {state.account_of(stream)} is not both greater than one plus the shard's StartingHashKey {keys.first} and less than the shard's EndingHashKey {keys.last}."  # noqa: E501
            raise ServiceError("InvalidArgumentException", told)
        shards.check_limit(tx, call, 1)
        change = shards.Change(stream, call.now_ms)
        change.split(name, int(at))
        change.keep(tx)

    def merge_shards(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        stream = _scalable(tx, call, request)
        name = state.shard_named(stream, request["ShardToMerge"])
        adjacent = state.shard_named(stream, request["AdjacentShardToMerge"])
        _check_open(stream, name)
        _check_open(stream, adjacent)
        lower, upper = sorted(
            (state.keys_of(stream.lineage[one]) for one in (name, adjacent)), key=lambda keys: keys.first
        )
        if lower.last + 1 != upper.first:
            told = f"Shards {name} and {adjacent} in stream {state.name_of(stream)} under account {state.account_of(stream)} are not an adjacent pair of shards eligible for merging"  # noqa: E501
            raise ServiceError("InvalidArgumentException", told)
        change = shards.Change(stream, call.now_ms)
        change.merge(name, adjacent)
        change.keep(tx)

    def update_shard_count(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stream, wanted = _scalable(tx, call, request), request["TargetShardCount"]
        if request["ScalingType"] != "UNIFORM_SCALING":
            raise ServiceError("InvalidArgumentException", "ScalingType must be UNIFORM_SCALING.")
        open_now = state.open_shards(stream)
        _check_target(len(open_now), wanted)
        known = state.facts(stream)
        lately = tuple(at_ms for at_ms in known.scaled_ms if at_ms > call.now_ms - _DAY_MS)
        if len(lately) >= _SCALINGS_MAX:
            told = f"Stream {state.name_of(stream)} under account {state.account_of(stream)} has been scaled {_SCALINGS_MAX} times within 24 hours, which is the limit."  # noqa: E501
            raise ServiceError("LimitExceededException", told)
        shards.check_limit(tx, call, wanted - len(open_now))
        if wanted != len(open_now):
            state.put(tx, stream, replace(known, scaled_ms=(*lately, call.now_ms)))
            change = shards.Change(stream, call.now_ms)
            shards.scale(change, open_now, wanted)
            change.keep(tx)
        return {
            "StreamName": state.name_of(stream),
            "StreamARN": stream.name,
            "CurrentShardCount": len(open_now),
            "TargetShardCount": wanted,
        }


def _asked(tx: Tx, call: Call, request: dict[str, Any]) -> tuple[Stream, str, dict[str, Any]]:
    """Of ListShards: the stream, behind which shard to begin, and the filter."""
    text = request.get("NextToken")
    if text is None:
        if not request.get("StreamName") and not request.get("StreamARN"):
            told = "Either NextToken or StreamName should be provided."
            raise ServiceError("InvalidArgumentException", told)
        stream, wanted = state.find(tx, call, request), request.get("ShardFilter", {})
        made = request.get("StreamCreationTimestamp")
        if made is not None and int(made.timestamp()) != stream.created_ms // 1000:
            raise state.missing(state.name_of(stream), state.account_of(stream))
        return stream, request.get("ExclusiveStartShardId", ""), wanted
    for member in ("StreamName", "StreamARN", "StreamCreationTimestamp", "ExclusiveStartShardId", "ShardFilter"):
        if member in request:
            told = f"NextToken and {member} cannot be provided together."
            raise ServiceError("InvalidArgumentException", told)
    token = _read_token(text, call.now_ms)
    found = streams.find(tx, token.stream)
    if found is None:
        raise state.missing(token.stream.rpartition("/")[2], call.account)
    return found, token.after, token.wanted


def _read_token(text: str, now_ms: int) -> Token:
    try:
        token = _decode(b64decode(text, validate=True))
    except (ValueError, msgspec.MsgspecError) as error:
        raise ServiceError("InvalidArgumentException", "Invalid NextToken.") from error
    if not now_ms - _TOKEN_MS <= token.made_ms <= now_ms:
        raise ServiceError("ExpiredNextTokenException", "The provided NextToken has expired.")
    return token


def _scalable(tx: Tx, call: Call, request: dict[str, Any]) -> Stream:
    """ "This API is only supported for the data streams with the provisioned capacity mode." """
    stream = state.find(tx, call, request)
    if state.facts(stream).mode == "ON_DEMAND":
        told = f"Request is invalid. Stream {state.name_of(stream)} under account {state.account_of(stream)} is in On-Demand mode."  # noqa: E501
        raise ServiceError("ValidationException", told)
    return stream


def _check_open(stream: Stream, name: str) -> None:
    if stream.has_ended(name):
        told = f"Shard {name} in stream {state.name_of(stream)} under account {state.account_of(stream)} has already been merged or split, and thus is not eligible for merging or splitting."  # noqa: E501
        raise ServiceError("ResourceInUseException", told)


def _check_target(now: int, wanted: int) -> None:
    told = f"Current open shard count: {now}, Target shard count: {wanted}"
    if wanted > _STREAM_MAX:
        limit = f"Target shard count or number of open shards cannot be greater than {_STREAM_MAX}. {told}"
        raise ServiceError("LimitExceededException", limit)
    if wanted > 2 * now:
        limit = f"UpdateShardCount cannot scale up over double your current open shard count. {told}"
        raise ServiceError("LimitExceededException", limit)
    if 2 * wanted < now:
        limit = f"UpdateShardCount cannot scale down below half your current open shard count. {told}"
        raise ServiceError("LimitExceededException", limit)
