"""Streams: made, told of, set otherwise, deleted."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from fogbank.aws.protocol import times
from fogbank.aws.service import Background, Call, Operations, ServiceError
from fogbank.aws.services.kinesis import retention, shards, state, unserved
from fogbank.primitives import streams

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.kernel.store import Tx
    from fogbank.primitives.streams import Stream

_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_PAGE: Final = 100
_ON_DEMAND_SHARDS: Final = 4  # "a new data stream created with the on-demand mode has … 4 MB/s of write throughput".
_ON_DEMAND_MAX: Final = 50  # DescribeLimits, OnDemandStreamCountLimit.
_HOURS_MIN, _HOURS_MAX = 24, 8760
_DAY_MS: Final = 86_400_000
_SWITCHES_MAX: Final = 2  # "you can switch between the on-demand and provisioned modes twice within 24 hours".
_METRICS = (
    "IncomingBytes", "IncomingRecords", "IteratorAgeMilliseconds", "OutgoingBytes", "OutgoingRecords",
    "ReadProvisionedThroughputExceeded", "WriteProvisionedThroughputExceeded",
)  # fmt: skip


class Streams(Operations):
    service: ClassVar = "kinesis"
    refused: ClassVar = unserved.REFUSED
    without_effect: ClassVar = unserved.WITHOUT_EFFECT

    def backgrounds(self) -> Iterable[Background]:
        return (Background("kinesis: forget what is over", lambda: retention.run(self.house)),)

    def create_stream(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        name = request["StreamName"]
        if not _NAME.fullmatch(name):
            told = f"1 validation error detected: Value '{name}' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"  # noqa: E501
            raise ServiceError("ValidationException", told)
        arn = call.arn("kinesis", f"stream/{name}")
        if streams.find(tx, arn) is not None:
            told = f"Stream {name} under account {call.account} already exists."
            raise ServiceError("ResourceInUseException", told)
        mode = request.get("StreamModeDetails", {}).get("StreamMode", "PROVISIONED")
        count = self._shard_count(tx, call, mode, request)
        facts = state.Facts(mode, request.get("Tags", {}), record_kib=request.get("MaxRecordSizeInKiB", 1024))
        opening = {state.shard_id(n): state.new_shard(keys, call.now_ms) for n, keys in enumerate(state.uniform(count))}
        made = streams.Stream(
            call.new_id(), arn, state.owner(call.account, call.region) + name, call.now_ms, shards=tuple(opening),
            lineage=opening,
        )  # fmt: skip
        streams.create(tx, made)
        state.put(tx, made, facts)

    def _shard_count(self, tx: Tx, call: Call, mode: str, request: dict[str, Any]) -> int:
        if mode == "ON_DEMAND":
            known = [state.facts(stream) for stream in streams.owned(tx, state.owner(call.account, call.region))]
            if sum(facts.mode == "ON_DEMAND" for facts in known) >= _ON_DEMAND_MAX:
                told = f"The account {call.account} has {_ON_DEMAND_MAX} streams in on-demand mode already, which is its limit."  # noqa: E501
                raise ServiceError("LimitExceededException", told)
            if "ShardCount" in request:
                told = "ShardCount is not expected when StreamMode=ON_DEMAND"  # As reports quote CloudFormation.
                raise ServiceError("ValidationException", told)
            return _ON_DEMAND_SHARDS
        if "ShardCount" not in request:
            told = "1 validation error detected: Value null at 'shardCount' failed to satisfy constraint: Member must not be null"  # noqa: E501
            raise ServiceError("ValidationException", told)
        shards.check_limit(tx, call, request["ShardCount"])
        return int(request["ShardCount"])

    def delete_stream(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        stream = state.find(tx, call, request)
        if state.CONSUMERS.all(tx, stream.id) and not request.get("EnforceConsumerDeletion"):
            # As reports of tools quote the service.
            told = f"DeleteStream can't delete {state.account_of(stream)}:{state.name_of(stream)} because there are consumers associated with this data stream. To delete {state.name_of(stream)} anyway, set the EnforceConsumerDeletion parameter to true to force the deletion of all the consumers that are associated with it."  # noqa: E501
            raise ServiceError("ResourceInUseException", told)
        state.CONSUMERS.clear(tx, stream.id)
        streams.drop(tx, stream.id)

    # -- told of --

    def describe_stream(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stream = state.find(tx, call, request)
        after, limit = request.get("ExclusiveStartShardId", ""), min(request.get("Limit", _PAGE), _PAGE)
        behind = [name for name in shards.told_of(stream, call.now_ms) if name > after]
        return {
            "StreamDescription": {
                **_described(stream),
                "Shards": [shards.described(stream, name) for name in behind[:limit]],
                "HasMoreShards": len(behind) > limit,
            }
        }

    def describe_stream_summary(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stream = state.find(tx, call, request)
        return {
            "StreamDescriptionSummary": {
                **_described(stream),
                "StreamId": _stream_id(stream),
                "OpenShardCount": len(state.open_shards(stream)),
                "ConsumerCount": len(state.CONSUMERS.all(tx, stream.id)),
                "MaxRecordSizeInKiB": state.facts(stream).record_kib,
            }
        }

    def list_streams(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        after = request.get("NextToken") or request.get("ExclusiveStartStreamName", "")
        limit = min(request.get("Limit", _PAGE), _PAGE)
        every = streams.owned(tx, state.owner(call.account, call.region))
        behind = [stream for stream in every if state.name_of(stream) > after]
        page = behind[:limit]
        answer = {
            "StreamNames": [state.name_of(stream) for stream in page],
            "StreamSummaries": [_summary(stream) for stream in page],
            "HasMoreStreams": len(behind) > limit,
        }
        return {**answer, "NextToken": state.name_of(page[-1])} if len(behind) > limit else answer

    def describe_limits(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        every = streams.owned(tx, state.owner(call.account, call.region))
        return {
            "ShardLimit": shards.ACCOUNT_MAX,
            "OpenShardCount": shards.provisioned(every),
            "OnDemandStreamCount": sum(state.facts(stream).mode == "ON_DEMAND" for stream in every),
            "OnDemandStreamCountLimit": _ON_DEMAND_MAX,
        }

    # -- set otherwise --

    def increase_stream_retention_period(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        stream, hours = state.find(tx, call, request), _hours(request)
        if hours < stream.keep_ms // state.HOUR_MS:
            raise _wrong_way(stream, hours, "shorter", "Decrease")
        streams.put(tx, replace(stream, keep_ms=hours * state.HOUR_MS))

    def decrease_stream_retention_period(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        stream, hours = state.find(tx, call, request), _hours(request)
        if hours > stream.keep_ms // state.HOUR_MS:
            raise _wrong_way(stream, hours, "longer", "Increase")
        streams.put(tx, replace(stream, keep_ms=hours * state.HOUR_MS))

    def update_stream_mode(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        stream, mode = state.find(tx, call, request), request["StreamModeDetails"]["StreamMode"]
        known = state.facts(stream)
        if mode == known.mode:
            return
        lately = tuple(at_ms for at_ms in known.switched_ms if at_ms > call.now_ms - _DAY_MS)
        if len(lately) >= _SWITCHES_MAX:
            told = f"Stream {state.name_of(stream)} under account {state.account_of(stream)} has switched its mode {_SWITCHES_MAX} times within 24 hours, which is the limit."  # noqa: E501
            raise ServiceError("LimitExceededException", told)
        state.put(tx, stream, replace(known, mode=mode, switched_ms=(*lately, call.now_ms)))

    def update_max_record_size(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        stream = state.find(tx, call, request)
        state.put(tx, stream, replace(state.facts(stream), record_kib=request["MaxRecordSizeInKiB"]))

    def start_stream_encryption(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        stream = state.find(tx, call, request)
        key_id = request["KeyId"] if request["EncryptionType"] == "KMS" else ""
        state.put(tx, stream, replace(state.facts(stream), key_id=key_id))

    def stop_stream_encryption(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        if request["EncryptionType"] != "KMS":  # "The only valid value is KMS."
            told = f"Encryption type {request['EncryptionType']} cannot be stopped; the only valid value is KMS."
            raise ServiceError("InvalidArgumentException", told)
        stream = state.find(tx, call, request)
        known = state.facts(stream)
        if known.key_id and known.key_id != request["KeyId"]:
            told = f"Stream {state.name_of(stream)} under account {state.account_of(stream)} is not encrypted with the key {request['KeyId']}."  # noqa: E501
            raise ServiceError("InvalidArgumentException", told)
        state.put(tx, stream, replace(known, key_id=""))

    def enable_enhanced_monitoring(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return _monitor(tx, call, request, lambda now, asked: now | asked)

    def disable_enhanced_monitoring(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return _monitor(tx, call, request, lambda now, asked: now - asked)


def _monitor(tx: Tx, call: Call, request: dict[str, Any], change: Any) -> dict[str, Any]:
    stream = state.find(tx, call, request)
    known = state.facts(stream)
    asked = set(_METRICS) if "ALL" in request["ShardLevelMetrics"] else set(request["ShardLevelMetrics"])
    wanted = tuple(sorted(change(set(known.metrics), asked)))
    state.put(tx, stream, replace(known, metrics=wanted))
    return {
        "StreamName": state.name_of(stream),
        "StreamARN": stream.name,
        "CurrentShardLevelMetrics": list(known.metrics),
        "DesiredShardLevelMetrics": list(wanted),
    }


def _hours(request: dict[str, Any]) -> int:
    hours = int(request["RetentionPeriodHours"])
    if hours < _HOURS_MIN:
        told = f"Minimum allowed retention period is {_HOURS_MIN} hours. Requested retention period ({hours} hours) is too short."  # noqa: E501
        raise ServiceError("InvalidArgumentException", told)
    if hours > _HOURS_MAX:
        told = f"Maximum allowed retention period is {_HOURS_MAX} hours. Requested retention period ({hours} hours) is too long."  # noqa: E501
        raise ServiceError("InvalidArgumentException", told)
    return hours


def _wrong_way(stream: Stream, hours: int, how: str, other: str) -> ServiceError:
    now = stream.keep_ms // state.HOUR_MS
    told = f"Requested retention period ({hours} hours) for stream {state.name_of(stream)} can not be {how} than existing retention period ({now} hours). Use {other}RetentionPeriod API."  # noqa: E501
    return ServiceError("InvalidArgumentException", told)


def _described(stream: Stream) -> dict[str, Any]:
    known = state.facts(stream)
    answer = {
        **_summary(stream),
        "RetentionPeriodHours": stream.keep_ms // state.HOUR_MS,
        "EnhancedMonitoring": [{"ShardLevelMetrics": list(known.metrics)}],
        "EncryptionType": "KMS" if known.key_id else "NONE",
    }
    return {**answer, "KeyId": known.key_id} if known.key_id else answer


def _summary(stream: Stream) -> dict[str, Any]:
    return {
        "StreamName": state.name_of(stream),
        "StreamARN": stream.name,
        "StreamStatus": "ACTIVE",
        "StreamModeDetails": {"StreamMode": state.facts(stream).mode},
        "StreamCreationTimestamp": times.moment(stream.created_ms),
    }


def _stream_id(stream: Stream) -> str:
    """In the form of the model: twenty letters and digits, a dash, three more."""
    digits = stream.id.replace("-", "")
    return f"{digits[:20]}-{digits[20:23]}"
