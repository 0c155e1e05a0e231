"""What becomes of a message: it goes to every subscription whose filter it matches, and to its topic's snapshots."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fogbank.gcp.services.pubsub import filters, state
from fogbank.gcp.services.pubsub.settings import invalid
from fogbank.gcp.services.pubsub.state import PUBSUB, Subscription, Topic
from fogbank.primitives import queues, topics
from fogbank.primitives.queues import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fogbank.kernel.store import Tx

# "Resource limits" ("Pub/Sub quotas and limits").
_MESSAGES_MAX, _REQUEST_MAX, _MESSAGE_MAX = 1000, 10_000_000, 10_000_000
_ATTRIBUTES_MAX, _KEY_MAX, _VALUE_MAX, _ORDERING_KEY_MAX = 100, 256, 1024, 1024


def check(request: Any) -> None:
    """Of a PublishRequest. Raises `RpcError`."""
    count = len(request.messages)
    if count == 0:
        raise invalid(
            "The value for message_count is too small. You passed 0 in the request, but the minimum value is 1."
        )
    if count > _MESSAGES_MAX:
        raise invalid(
            f"The value for message_count is too large. You passed {count} in the request, but the maximum value is "
            f"{_MESSAGES_MAX}."
        )
    size = request.ByteSize()
    if size > _REQUEST_MAX:
        raise invalid(
            f"The value for request_size is too large. You passed {size} in the request, but the maximum value is "
            f"{_REQUEST_MAX}."
        )
    for message in request.messages:
        _check_message(message)


def _check_message(message: Any) -> None:
    if not message.data and not message.attributes:
        raise invalid(
            "One or more messages in the publish request is empty. Each message must contain either non-empty data, or "
            "at least one attribute."
        )
    if len(message.data) > _MESSAGE_MAX:
        raise invalid(f"A message is too large: its data has {len(message.data)} bytes, the maximum is {_MESSAGE_MAX}.")
    if len(message.attributes) > _ATTRIBUTES_MAX:
        raise invalid(
            f"A message has too many attributes: {len(message.attributes)}, the maximum is {_ATTRIBUTES_MAX}."
        )
    for key, value in message.attributes.items():
        if not key or len(key.encode()) > _KEY_MAX or key.lower().startswith("goog"):
            raise invalid(f"Invalid attribute key given (key={key[:512]}).")
        if len(value.encode()) > _VALUE_MAX:
            raise invalid(f"The value of attribute {key} is too long: the maximum is {_VALUE_MAX} bytes.")
    if len(message.ordering_key.encode()) > _ORDERING_KEY_MAX:
        raise invalid(f"An ordering key is too long: the maximum is {_ORDERING_KEY_MAX} bytes.")


def publish(
    tx: Tx, topic: Topic, messages: Sequence[Any], now_ms: int, new_id: Callable[[], str]
) -> list[str]:  # fmt: skip
    """The ids that the messages have got."""
    subscriptions, snapshots = state.subscriptions_of(tx, topic.id), state.snapshots_of(tx, topic.id)
    ids = []
    for given in messages:
        sent = _sent(given, now_ms, new_id())
        for subscription in subscriptions:
            if matches(subscription.settings.filter, given.attributes):
                queues.send(tx, subscription.id, queued(sent, subscription, now_ms))
        for snapshot in snapshots:
            if snapshot.expires_ms > now_ms and matches(snapshot.filter, given.attributes):
                queues.send(tx, snapshot.id, sent)
        if topic.keeps_ms:
            topics.keep(tx, topic.id, sent)
        ids.append(public_id(sent.id))
    return ids


def _sent(given: Any, now_ms: int, message_id: str) -> Message:
    """As it lies in a queue: the whole PubsubMessage, and what has to be known without reading it."""
    message = PUBSUB.PubsubMessage()
    message.CopyFrom(given)
    message.message_id = public_id(message_id)
    message.publish_time.FromMilliseconds(now_ms)
    raw = message.SerializeToString()
    notes = {"message": raw, "key": message.ordering_key} if message.ordering_key else {"message": raw}
    return Message(message_id, "", now_ms, now_ms, notes=notes)


def queued(sent: Message, subscription: Subscription, now_ms: int) -> Message:
    """The message as that subscription holds it: in the order of its key, if that is asked for, and not for ever."""
    group = str(sent.notes.get("key", "")) if subscription.settings.enable_message_ordering else ""
    return Message(
        sent.id, "", now_ms, sent.sent_ms, sent.sent_ms + subscription.retention_ms, group=group, notes=sent.notes
    )


def content(message: Message) -> Any:
    """The PubsubMessage."""
    return PUBSUB.PubsubMessage.FromString(message.notes["message"])


def matches(filter_text: str, attributes: Any) -> bool:
    return not filter_text or filters.compiled(filter_text)(attributes)


@lru_cache(4096)
def public_id(message_id: str) -> str:
    """A message's id as callers see it, digits: the moment and the count of the UUIDv7, and some of its node's."""
    digits = message_id.replace("-", "")
    moment = int(digits[:12] + digits[13:16], 16)
    return f"{moment}{int(digits[16:], 16) % 1000:03d}"
