"""ListStreams, DescribeStream, GetShardIterator and GetRecords."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from fogbank.aws.service import Background, Call, House, Operations, ServiceError
from fogbank.aws.services.dynamodbstreams.records import api_record, position_of, sequence_number
from fogbank.primitives import streams

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.kernel.store import Tx
    from fogbank.primitives.streams import Stream

LIST_MAX: Final = 100
RECORDS_MAX: Final = 1000
BYTES_MAX: Final = 1 << 20  # "GetRecords can retrieve a maximum of 1 MB of data or 1000 stream records".
ITERATOR_MS: Final = 900_000  # "A shard iterator expires 15 minutes after it is retrieved".
_TRIM_EACH_MS: Final = 3_600_000
_TRIM_BATCH: Final = 1000


class Iterator(msgspec.Struct, array_like=True, frozen=True):
    stream: str
    after: int
    made_ms: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Iterator).decode


class DynamoDBStreams(Operations):
    service: ClassVar = "dynamodbstreams"

    def backgrounds(self) -> Iterable[Background]:
        house = self.house
        return (Background("dynamodbstreams: trim", lambda: _keep_trimming(house)),)

    def list_streams(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        owner = f"dynamodb/{call.account}/{call.region}/"
        if "TableName" in request:
            owner += f"{_table_name(request['TableName'])}/"
        limit, after = request.get("Limit", LIST_MAX), request.get("ExclusiveStartStreamArn", "")
        found = [each for each in streams.owned(tx, owner, after=after) if not _is_over(each, call.now_ms)]
        answer: dict[str, Any] = {
            "Streams": [
                {"StreamArn": each.name, "TableName": each.notes["table"], "StreamLabel": each.notes["label"]}
                for each in found[:limit]
            ]
        }
        return answer if len(found) <= limit else {**answer, "LastEvaluatedStreamArn": found[limit - 1].name}

    def describe_stream(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stream = _find(tx, call, request["StreamArn"])
        shards = [stream.notes["shard"]]
        if "ExclusiveStartShardId" in request:
            shards = [shard for shard in shards if shard > request["ExclusiveStartShardId"]]
        if "ShardFilter" in request:
            shards = []  # The one shard of a stream has no children.
        return {
            "StreamDescription": {
                "StreamArn": stream.name,
                "StreamLabel": stream.notes["label"],
                "StreamStatus": "DISABLED" if stream.closed_ms else "ENABLED",
                "StreamViewType": stream.notes["view"],
                "CreationRequestDateTime": stream.created_ms / 1000,
                "TableName": stream.notes["table"],
                "KeySchema": stream.notes["key"],
                "Shards": [_shard(tx, stream, shard) for shard in shards],
            }
        }

    def get_shard_iterator(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stream = _find(tx, call, request["StreamArn"])
        shard = request["ShardId"]
        if shard != stream.notes["shard"]:
            message = f"Requested resource not found: Shard: {shard} in stream: {stream.name} not found"
            raise ServiceError("ResourceNotFoundException", message)
        after = _begin(tx, call, stream, request)
        return {"ShardIterator": _iterator(call, stream, after)}

    def get_records(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        limit = request.get("Limit", RECORDS_MAX)
        if limit > RECORDS_MAX:
            raise ServiceError(
                "ValidationException",
                f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: "
                f"Member must have value less than or equal to {RECORDS_MAX}",
            )
        arn, at = _read_iterator(request["ShardIterator"])
        if at.made_ms + ITERATOR_MS <= call.now_ms:
            raise ServiceError(
                "ExpiredIteratorException", "Iterator expired. The iterator was created more than 15 minutes ago."
            )
        stream = _find(tx, call, arn)
        if at.stream != stream.id:
            raise ServiceError("ValidationException", "Invalid ShardIterator")
        if at.after + 1 < _tail(tx, call, stream):
            raise _trimmed()
        found = streams.read(tx, stream.id, after=at.after, limit=limit, bytes_max=BYTES_MAX)
        after = found[-1].position if found else at.after
        answer: dict[str, Any] = {"Records": [api_record(stream, record) for record in found]}
        if not stream.closed_ms or after < streams.head(tx, stream.id):
            answer["NextShardIterator"] = _iterator(call, stream, after)
        return answer


# Streams and shards --------------------------------------------------------------------------------------------------


def _table_name(name: str) -> str:
    return name.partition(":table/")[2].partition("/")[0] if name.startswith("arn:") else name


def _is_over(stream: Stream, now_ms: int) -> bool:
    """ "If you disable a stream, its data stays readable for 24 hours"."""
    return bool(stream.closed_ms) and stream.closed_ms + stream.keep_ms <= now_ms


def _find(tx: Tx, call: Call, arn: str) -> Stream:
    stream = streams.find(tx, arn)
    if stream is None or _is_over(stream, call.now_ms) or arn.split(":")[3:5] != [call.region, call.account]:
        raise ServiceError("ResourceNotFoundException", f"Requested resource not found: Stream: {arn} not found")
    return stream


def _shard(tx: Tx, stream: Stream, shard: str) -> dict[str, Any]:
    numbers = {"StartingSequenceNumber": sequence_number(streams.FIRST_POSITION)}
    if stream.closed_ms:
        numbers["EndingSequenceNumber"] = sequence_number(max(streams.head(tx, stream.id), 1))
    return {"ShardId": shard, "SequenceNumberRange": numbers}


def _tail(tx: Tx, call: Call, stream: Stream) -> int:
    return streams.tail(tx, stream.id, since_ms=call.now_ms - stream.keep_ms)


# Iterators -----------------------------------------------------------------------------------------------------------


def _begin(tx: Tx, call: Call, stream: Stream, request: dict[str, Any]) -> int:
    """The position that reading begins behind."""
    kind = request["ShardIteratorType"]
    if kind == "LATEST":
        return streams.head(tx, stream.id)
    tail = _tail(tx, call, stream)
    if kind == "TRIM_HORIZON":
        return tail - 1
    if kind == "AT_TIMESTAMP":
        moment = request.get("Timestamp")
        if moment is None:
            raise ServiceError("ValidationException", "Timestamp is required for ShardIteratorType AT_TIMESTAMP")
        since_ms = max(int(moment.timestamp() * 1000), call.now_ms - stream.keep_ms)
        return streams.tail(tx, stream.id, since_ms=since_ms) - 1
    sequence = request.get("SequenceNumber")
    if sequence is None:
        message = f"SequenceNumber is required for ShardIteratorType {kind}"
        raise ServiceError("ValidationException", message)
    position = position_of(sequence)
    if position is None or position > streams.head(tx, stream.id) + 1:
        message = f"Invalid SequenceNumber: {sequence} is not within the range of the shard"
        raise ServiceError("ValidationException", message)
    after = position - 1 if kind == "AT_SEQUENCE_NUMBER" else position
    if after + 1 < tail:
        raise _trimmed()
    return after


def _iterator(call: Call, stream: Stream, after: int) -> str:
    packed = _encode(Iterator(stream.id, after, call.now_ms))
    return f"{stream.name}|1|{urlsafe_b64encode(packed).decode()}"


def _read_iterator(text: str) -> tuple[str, Iterator]:
    arn, _, packed = text.rpartition("|1|")
    try:
        return arn, _decode(urlsafe_b64decode(packed))
    except (ValueError, msgspec.MsgspecError):
        raise ServiceError("ValidationException", "Invalid ShardIterator") from None


def _trimmed() -> ServiceError:
    return ServiceError(
        "TrimmedDataAccessException",
        "The operation attempted to read past the oldest stream record in a shard.",
    )


# Trimming ------------------------------------------------------------------------------------------------------------


async def _keep_trimming(house: House) -> None:
    """ "All data in DynamoDB Streams is subject to a 24-hour lifetime"."""
    while True:
        while await house.store.transact(_trim, now_ms=house.clock.now_ms()):
            pass
        await house.clock.sleep(_TRIM_EACH_MS)


def _trim(tx: Tx, *, now_ms: int) -> bool:
    """Whether there is more to do."""
    for stream in streams.every(tx):
        if not stream.owner.startswith("dynamodb/"):
            continue
        gone = sum(
            streams.trim(tx, stream.id, shard, before_ms=now_ms - stream.keep_ms, limit=_TRIM_BATCH)
            for shard in stream.shards
        )
        if gone == _TRIM_BATCH:
            return True
        if _is_over(stream, now_ms):
            streams.forget(tx, stream.id)
    return False
