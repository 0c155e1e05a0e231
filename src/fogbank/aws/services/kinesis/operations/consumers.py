"""Registered consumers: names under which a stream is read with enhanced fan-out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from fogbank.aws.protocol import times
from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.kinesis import state, unserved

if TYPE_CHECKING:
    from fogbank.aws.services.kinesis.state import Consumer
    from fogbank.kernel.store import Tx
    from fogbank.primitives.streams import Stream

_CONSUMERS_MAX: Final = 20  # RegisterStreamConsumer: "you can register up to 20 consumers per stream".
_PAGE: Final = 100


class Consumers(Operations):
    service: ClassVar = "kinesis"
    refused: ClassVar = unserved.REFUSED
    without_effect: ClassVar = unserved.WITHOUT_EFFECT

    def register_stream_consumer(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stream, name = state.find(tx, call, request), request["ConsumerName"]
        known = state.CONSUMERS.all(tx, stream.id)
        if any(one.name == name for one in known):
            told = f"Consumer {name} on stream {state.name_of(stream)} under account {state.account_of(stream)} already exists."  # noqa: E501
            raise ServiceError("ResourceInUseException", told)
        if len(known) >= _CONSUMERS_MAX:
            told = f"Stream {state.name_of(stream)} under account {state.account_of(stream)} has {_CONSUMERS_MAX} registered consumers already, which is the limit."  # noqa: E501
            raise ServiceError("LimitExceededException", told)
        made = state.Consumer(name, stream.id, stream.name, call.now_ms, request.get("Tags", {}))
        state.CONSUMERS.put(tx, stream.id, name, row=made)
        return {"Consumer": _described(made, "CREATING")}

    def deregister_stream_consumer(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        stream, consumer = _find(tx, call, request)
        state.CONSUMERS.delete(tx, stream.id, consumer.name)

    def describe_stream_consumer(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stream, consumer = _find(tx, call, request)
        return {"ConsumerDescription": {**_described(consumer), "StreamARN": stream.name}}

    def list_stream_consumers(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stream = state.find(tx, call, request)
        made = request.get("StreamCreationTimestamp")
        if made is not None and int(made.timestamp()) != stream.created_ms // 1000:
            raise state.missing(state.name_of(stream), state.account_of(stream))
        after, limit = request.get("NextToken", ""), min(request.get("MaxResults", _PAGE), _PAGE)
        behind = [one for one in state.CONSUMERS.all(tx, stream.id) if one.name > after]
        answer: dict[str, Any] = {"Consumers": [_described(one) for one in behind[:limit]]}
        return answer if len(behind) <= limit else {**answer, "NextToken": behind[limit - 1].name}


def _find(tx: Tx, call: Call, request: dict[str, Any]) -> tuple[Stream, Consumer]:
    """By ConsumerARN, or by StreamARN and ConsumerName."""
    if "ConsumerARN" in request:
        return state.consumer_by_arn(tx, request["ConsumerARN"])
    if "StreamARN" not in request or "ConsumerName" not in request:
        told = "Either ConsumerARN, or both StreamARN and ConsumerName must be provided."
        raise ServiceError("InvalidArgumentException", told)
    stream = state.find(tx, call, request)
    found = state.CONSUMERS.get(tx, stream.id, request["ConsumerName"])
    if found is None:
        told = f"Consumer {request['ConsumerName']}, Account {state.account_of(stream)} not found."
        raise ServiceError("ResourceNotFoundException", told)
    return stream, found


def _described(consumer: Consumer, status: str = "ACTIVE") -> dict[str, Any]:
    return {
        "ConsumerName": consumer.name,
        "ConsumerARN": consumer.arn,
        "ConsumerStatus": status,
        "ConsumerCreationTimestamp": times.moment(consumer.created_ms),
    }
