"""Records: put, one or up to five hundred, and read from a place in a shard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.kinesis import iterators, records, sequence, shards, state, unserved
from fogbank.aws.services.kinesis.throughput import Throughput
from fogbank.primitives import streams

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_REQUEST_MAX: Final = 10 << 20  # PutRecords: "a limit of 10 MiB for the entire request, including partition keys".
_READ_MAX: Final = 10 << 20  # GetRecords: "The maximum size of data that GetRecords can return is 10 MiB".
_READ_RECORDS: Final = 10_000


class Records(Operations):
    service: ClassVar = "kinesis"
    refused: ClassVar = unserved.REFUSED
    without_effect: ClassVar = unserved.WITHOUT_EFFECT

    # -- put --

    def put_record(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        route = _route(tx, call, request)
        size = _check_record(route, request, "")
        number = request.get("SequenceNumberForOrdering")
        if number is not None:
            _check_ordering(route, number, call.now_ms)
        shard = route.shard(_hash_key(request))
        if not self._has_room(route, shard, size, call.now_ms):
            raise ServiceError("ProvisionedThroughputExceededException", _exceeded(route, shard))
        return {**_append(tx, call, route, shard, request), "EncryptionType": _encryption(route)}

    def put_records(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """ "A single record failure does not stop the processing of subsequent records": one that its shard has no
        room for is told of in its place."""
        route, entries = _route(tx, call, request), request["Records"]
        sizes = [_check_record(route, entry, f"records.{n}.member.") for n, entry in enumerate(entries, 1)]
        if sum(sizes) > _REQUEST_MAX:
            raise ServiceError("InvalidArgumentException", "Records size exceeds 10 MB limit")
        answers: list[dict[str, Any]] = []
        for entry, size, key in zip(entries, sizes, [_hash_key(entry) for entry in entries], strict=True):
            shard = route.shard(key)
            if self._has_room(route, shard, size, call.now_ms):
                answers.append(_append(tx, call, route, shard, entry))
            else:
                code, told = "ProvisionedThroughputExceededException", _exceeded(route, shard)
                answers.append({"ErrorCode": code, "ErrorMessage": told})
        failed = sum("ErrorCode" in answer for answer in answers)
        return {"FailedRecordCount": failed, "Records": answers, "EncryptionType": _encryption(route)}

    def _has_room(self, route: state.Routing, shard: str, size: int, now_ms: int) -> bool:
        if route.facts.mode == "ON_DEMAND":
            return True
        return self.house.share(Throughput).take(route.stream.id, shard, size, now_ms)

    # -- read --

    def get_shard_iterator(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stream = state.find(tx, call, request)
        shard = state.shard_named(stream, request["ShardId"], to_read=True)
        number, moment = request.get("StartingSequenceNumber"), request.get("Timestamp")
        after = iterators.begin(tx, stream, shard, request["ShardIteratorType"], number, moment, call.now_ms)
        return {"ShardIterator": iterators.write(stream, shard, after, call.now_ms)}

    def get_records(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        at = iterators.read(request["ShardIterator"], call.now_ms)
        stream = streams.get(tx, at.stream)
        if stream is None:
            raise state.no_shard(at.shard, at.name, call.account)
        if request.get("StreamARN", stream.name) != stream.name:
            told = "StreamARN is not of the stream that the ShardIterator is of."
            raise ServiceError("InvalidArgumentException", told)
        shard = state.shard_named(stream, at.shard, to_read=True)
        after = max(at.after, iterators.trim_horizon(tx, stream, shard, call.now_ms))
        limit = request.get("Limit", _READ_RECORDS)
        found = streams.read(tx, stream.id, shard, after=after, limit=limit, bytes_max=_READ_MAX)
        after = found[-1].position if found else after
        at_end = after >= streams.head(tx, stream.id, shard)
        answer: dict[str, Any] = {
            "Records": [records.api_record(stream, shard, record) for record in found],
            "MillisBehindLatest": 0 if at_end or not found else max(call.now_ms - found[-1].at_ms, 0),
        }
        if not at_end or not stream.has_ended(shard):
            answer["NextShardIterator"] = iterators.write(stream, shard, after, call.now_ms)
        elif stream.children(shard):
            answer["ChildShards"] = shards.children(stream, shard)
        return answer


def _route(tx: Tx, call: Call, request: dict[str, Any]) -> state.Routing:
    arn, name = state.stream_arn(call, request)
    route = tx.recall(state.routing, arn)
    if route is None:
        raise state.missing(name, arn.split(":")[4])
    return route


def _check_record(route: state.Routing, entry: dict[str, Any], at: str) -> int:
    """The record's size: "The record size limit applies to the total size of the partition key and data blob"."""
    if "PartitionKey" not in entry:
        told = f"1 validation error detected: Value null at '{at}partitionKey' failed to satisfy constraint: Member must not be null"  # noqa: E501
        raise ServiceError("ValidationException", told)
    size, limit = len(entry["PartitionKey"].encode()) + len(entry["Data"]), route.facts.record_kib << 10
    if size > limit:
        told = f"1 validation error detected: Value at '{at}data' failed to satisfy constraint: Member must have length less than or equal to {limit}"  # noqa: E501
        raise ServiceError("ValidationException", told)
    return size


def _hash_key(entry: dict[str, Any]) -> int:
    given = entry.get("ExplicitHashKey")
    if given is None:
        return state.hash_key(entry["PartitionKey"])
    if not (given.isascii() and given.isdecimal() and len(given) <= 39 and int(given) < state.HASH_KEYS):
        told = (
            f"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {given}"
        )
        raise ServiceError("InvalidArgumentException", told)
    return int(given)


def _check_ordering(route: state.Routing, number: str, now_ms: int) -> None:
    """SequenceNumberForOrdering: records of a shard come in order here anyway; the number must be one."""
    place = sequence.read(number)
    if place is None or place.born_s > now_ms // 1000 + len(route.stream.lineage):
        told = f"ExclusiveMinimumSequenceNumber {number} used in PutRecord on stream {state.name_of(route.stream)} under account {state.account_of(route.stream)} is invalid."  # noqa: E501
        raise ServiceError("InvalidArgumentException", told)


def _append(tx: Tx, call: Call, route: state.Routing, shard: str, entry: dict[str, Any]) -> dict[str, Any]:
    kept = records.Entry(
        entry["PartitionKey"], bytes(entry["Data"]), call.trace_id, "KMS" if route.facts.key_id else ""
    )
    [position] = streams.append(tx, route.stream.id, [records.encode(kept)], now_ms=call.now_ms, shard=shard)
    at_ms = streams.newest_ms(tx, route.stream.id, shard)
    return {"ShardId": shard, "SequenceNumber": state.sequence_number(route.stream, shard, position, at_ms)}


def _encryption(route: state.Routing) -> str:
    return "KMS" if route.facts.key_id else "NONE"


def _exceeded(route: state.Routing, shard: str) -> str:
    return f"Rate exceeded for shard {shard} in stream {state.name_of(route.stream)} under account {state.account_of(route.stream)}."  # noqa: E501
