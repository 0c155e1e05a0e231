"""Eventarc → Pub/Sub: the topic and the subscription by which a trigger's events travel, and the messages they are in.

A CloudEvent is in a message as the CloudEvents Pub/Sub binding has it: its attributes are the message's ("ce-id"), and
so is its data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

from msgspec.structs import replace

from fogbank.gcp.services.pubsub import names, publishing, settings, state
from fogbank.gcp.services.pubsub.forgetting import forget_subscription, forget_topic
from fogbank.gcp.services.pubsub.state import OF_TOPIC, PUBSUB, SUBSCRIPTIONS, TOPICS, Subscription, Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fogbank.kernel.store import Tx

MODE: Final = "__GCP_CloudEventsMode"  # Stands in the query of an endpoint to which messages go as CloudEvents.
RETENTION_S: Final = 86_400
_BACKOFF_S: Final = (10, 600)


def open_transport(
    tx: Tx,
    transport: Any,
    *,
    topic: str,
    subscription: str,
    endpoint: str,
    seconds: int,
    new_id: Callable[[], str],
    retention_s: int = RETENTION_S,
) -> None:
    """Make the topic, unless the transport names one that is there, and the subscription; the transport then names
    both. Raises `RpcError`."""
    if transport.topic:
        to = state.topic(tx, transport.topic)
    else:
        transport.topic = topic
        to = _new_topic(tx, topic, new_id)
    transport.subscription = subscription
    at = names.read(subscription, "subscriptions")
    if SUBSCRIPTIONS.get(tx, at.project, at.id, lock=True) is not None:
        raise names.taken(at)
    told = settings.new_subscription(_asked(subscription, transport.topic, endpoint, seconds, retention_s))
    state.put_subscription(tx, Subscription(new_id(), subscription, to.id, told.SerializeToString()))
    OF_TOPIC.put(tx, to.id, subscription, row=subscription)


def _new_topic(tx: Tx, name: str, new_id: Callable[[], str]) -> Topic:
    at = names.read(name, "topics")
    if TOPICS.get(tx, at.project, at.id, lock=True) is not None:
        raise names.taken(at)
    made = settings.new_topic(PUBSUB.Topic(name=name))
    row = Topic(new_id(), name, made.SerializeToString())
    state.put_topic(tx, row)
    return row


def _asked(name: str, topic: str, endpoint: str, seconds: int, retention_s: int) -> Any:
    asked = PUBSUB.Subscription(name=name, topic=topic, ack_deadline_seconds=seconds)
    asked.push_config.push_endpoint = _marked(endpoint)
    asked.message_retention_duration.seconds = retention_s
    asked.retry_policy.minimum_backoff.seconds, asked.retry_policy.maximum_backoff.seconds = _BACKOFF_S
    asked.expiration_policy.SetInParent()  # Never.
    return asked


def redirect(tx: Tx, subscription: str, endpoint: str, seconds: int) -> None:
    """Nothing is done where somebody has deleted it."""
    at = names.read(subscription, "subscriptions")
    row = SUBSCRIPTIONS.get(tx, at.project, at.id, lock=True)
    if row is not None:
        told = PUBSUB.Subscription()
        told.CopyFrom(row.settings)
        told.push_config.push_endpoint, told.ack_deadline_seconds = _marked(endpoint), seconds
        state.put_subscription(tx, replace(row, told=told.SerializeToString()))


def _marked(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, f"{MODE}=CE_PUBSUB_BINDING")))))


def close_transport(tx: Tx, transport: Any, *, with_topic: bool) -> None:
    at = names.read(transport.subscription, "subscriptions")
    row = SUBSCRIPTIONS.get(tx, at.project, at.id, lock=True)
    if row is not None:
        forget_subscription(tx, row)
    at = names.read(transport.topic, "topics")
    topic = TOPICS.get(tx, at.project, at.id, lock=True)
    if with_topic and topic is not None:
        forget_topic(tx, topic)


def send(
    tx: Tx, topic: str, attributes: Mapping[str, str], data: bytes, now_ms: int, new_id: Callable[[], str]
) -> None:
    """In the transaction of whatever has happened. Where somebody has deleted the topic nobody is told."""
    at = names.read(topic, "topics")
    row = TOPICS.get_shared(tx, at.project, at.id)
    if row is not None:
        publishing.publish(tx, row, [PUBSUB.PubsubMessage(data=data, attributes=attributes)], now_ms, new_id)
