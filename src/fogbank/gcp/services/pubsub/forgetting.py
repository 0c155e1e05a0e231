"""What goes with a topic or a subscription that is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from fogbank.gcp.services.pubsub import names, state
from fogbank.gcp.services.pubsub.state import OF_TOPIC, PUBSUB, SNAPSHOTS_OF_TOPIC, SUBSCRIPTIONS, TOPICS
from fogbank.primitives import queues, topics

if TYPE_CHECKING:
    from fogbank.gcp.services.pubsub.state import Subscription, Topic
    from fogbank.kernel.store import Tx


def forget_subscription(tx: Tx, row: Subscription) -> None:
    at = names.read(row.name, "subscriptions")
    SUBSCRIPTIONS.delete(tx, at.project, at.id)
    OF_TOPIC.delete(tx, row.topic_id, row.name)
    state.ACTIVE.delete(tx, row.id)
    queues.drop(tx, row.id)
    topics.drop(tx, row.id)
    tx.emit(queues.DUE, (row.id,))  # Whoever waits for its messages learns of it.
    tx.emit(state.CHANGED)


def forget_topic(tx: Tx, row: Topic) -> None:
    """ "Existing subscriptions to this topic are not deleted, but their `topic` field is set to `_deleted-topic_`." """
    at = names.read(row.name, "topics")
    for subscription in state.subscriptions_of(tx, row.id):
        told = PUBSUB.Subscription()
        told.CopyFrom(subscription.settings)
        told.topic = names.DELETED_TOPIC
        state.put_subscription(tx, replace(subscription, told=told.SerializeToString()))
    OF_TOPIC.clear(tx, row.id)
    SNAPSHOTS_OF_TOPIC.clear(tx, row.id)
    topics.drop(tx, row.id)
    TOPICS.delete(tx, at.project, at.id)
