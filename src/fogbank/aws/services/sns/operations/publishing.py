"""Publishing: one transaction takes the message and writes a row for each subscriber that wants it."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.sns import deliveries, filters, message, state, topic_attributes, unserved
from fogbank.aws.services.sns.state import Subscription, Topic
from fogbank.primitives.deduplication import Sent

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_BATCH_MAX = 10
_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_DEDUPLICATION_MS = 300_000  # "within the 5 minute minimum deduplication interval".


class Publishing(Operations):
    service: ClassVar = "sns"
    refused: ClassVar = unserved.REFUSED

    def publish(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        topic = _target(tx, call, request)
        _check(topic, request)
        if message.size(request) > _size_max(topic):
            raise state.invalid("Message too long")
        return _publish(tx, call, topic, request)

    def publish_batch(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        topic = state.topic(tx, call, request["TopicArn"])
        entries = request["PublishBatchRequestEntries"]
        _check_entries(entries)
        for entry in entries:
            _check(topic, entry)
        if sum(map(message.size, entries)) > _size_max(topic):
            told = "The length of all the messages put together is more than the limit."
            raise ServiceError("BatchRequestTooLongException", told)
        taken = [{"Id": entry["Id"], **_publish(tx, call, topic, entry)} for entry in entries]
        return {"Successful": taken, "Failed": []}


def _target(tx: Tx, call: Call, request: dict[str, Any]) -> Topic:
    if "TopicArn" in request:
        return state.topic(tx, call, request["TopicArn"])
    if "TargetArn" not in request:
        raise state.invalid("TopicArn or TargetArn Reason: no value for required parameter")
    arn = request["TargetArn"]
    if ":endpoint/" in arn:
        raise state.invalid("TargetArn Reason: No endpoint found for the target arn specified")
    return state.topic(tx, call, arn, "TargetArn")


def _size_max(topic: Topic) -> int:
    return int(topic.attributes.get("MaximumMessageSize", topic_attributes.SIZE_MAX))


def _check(topic: Topic, request: dict[str, Any]) -> None:
    message.check(request)
    group, deduplication = request.get("MessageGroupId", ""), request.get("MessageDeduplicationId", "")
    if group:
        message.check_token("MessageGroupId", group)
    if not topic.fifo:
        if deduplication:
            raise state.invalid("MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type")  # fmt: skip  # noqa: E501
        return
    if not group:
        raise state.invalid("The MessageGroupId parameter is required for FIFO topics")
    if deduplication:
        message.check_token("MessageDeduplicationId", deduplication)
    elif topic.attributes.get("ContentBasedDeduplication") != "true":
        raise state.invalid("The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")  # fmt: skip  # noqa: E501


def _check_entries(entries: list[dict[str, Any]]) -> None:
    if not entries:
        raise ServiceError("EmptyBatchRequestException", "The batch request doesn't contain any entries.")
    if len(entries) > _BATCH_MAX:
        told = "The batch request contains more entries than permissible."
        raise ServiceError("TooManyEntriesInBatchRequestException", told)
    ids = [entry["Id"] for entry in entries]
    if not all(map(_ENTRY_ID.fullmatch, ids)):
        told = "The Id of a batch entry in a batch request doesn't abide by the specification."
        raise ServiceError("InvalidBatchEntryIdException", told)
    if len(set(ids)) < len(ids):
        told = "Two or more batch entries in the request have the same Id."
        raise ServiceError("BatchEntryIdsNotDistinctException", told)


def _publish(tx: Tx, call: Call, topic: Topic, request: dict[str, Any]) -> dict[str, Any]:
    """What the publisher is told: of a message that was published before, within five minutes, what it was then."""
    told: dict[str, Any] = {"id": "", "at_ms": call.now_ms}
    if "Subject" in request:
        told["subject"] = request["Subject"]
    if request.get("MessageAttributes"):
        told["attributes"] = request["MessageAttributes"]
    if request.get("MessageGroupId"):
        told["group"] = request["MessageGroupId"]
    if topic.fifo:
        before = _deduplicate(tx, call, topic, request, told)
        if before is not None:
            return {"MessageId": before.message_id, "SequenceNumber": before.sequence}
    else:
        told["id"] = call.new_id()
    texts = message.texts(request)
    for subscription in state.subscriptions(tx, topic):
        text = texts.get(subscription.protocol, texts["default"])
        if not subscription.pending and _wants(subscription, text, request):
            deliveries.put(tx, call, topic, subscription, text, told)
    sequence = {"SequenceNumber": told["sequence"]} if topic.fifo else {}
    return {"MessageId": told["id"], **sequence}


def _deduplicate(tx: Tx, call: Call, topic: Topic, request: dict[str, Any], told: dict[str, Any]) -> Sent | None:
    """The message that its deduplication id stands for already; or none, and this one is it from now on."""
    deduplication = request.get("MessageDeduplicationId") or sha256(request["Message"].encode()).hexdigest()
    scope = told["group"] if topic.attributes.get("FifoThroughputScope") == "MessageGroup" else ""
    before = state.SENT.find(tx, topic.id, scope, deduplication, call.now_ms)
    if before is not None:
        return before
    told |= {"id": call.new_id(), "sequence": state.next_sequence(tx, topic.id), "deduplication": deduplication}
    kept = Sent(told["id"], told["sequence"], call.now_ms + _DEDUPLICATION_MS)
    state.SENT.keep(tx, topic.id, scope, deduplication, kept)
    return None


def _wants(subscription: Subscription, text: str, request: dict[str, Any]) -> bool:
    policy = subscription.attributes.get("FilterPolicy")
    scope = subscription.attributes.get("FilterPolicyScope", filters.ATTRIBUTES)
    return not policy or filters.wants(policy, scope, text, request.get("MessageAttributes", {}))
