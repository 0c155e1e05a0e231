"""Topics, and publishing to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fogbank.gcp.protocol.descriptors import message
from fogbank.gcp.protocol.paging import page
from fogbank.gcp.service import Call, Service
from fogbank.gcp.services.pubsub import names, publishing, schemas, settings, state
from fogbank.gcp.services.pubsub.forgetting import forget_topic
from fogbank.gcp.services.pubsub.state import OF_TOPIC, PUBSUB, SNAPSHOTS_OF_TOPIC, TOPICS, Topic
from fogbank.primitives import queues, topics

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_PAGE_MAX = 1000


class Topics(Service):
    service = "google.pubsub.v1.Publisher"

    def create_topic(self, tx: Tx, call: Call, request: Any) -> Any:
        at = names.read(request.name, "topics")
        if TOPICS.get(tx, at.project, at.id, lock=True) is not None:
            raise names.taken(at)
        topic = settings.new_topic(request)
        _check_schema(tx, topic)
        state.put_topic(tx, Topic(call.new_id(), topic.name, topic.SerializeToString()))
        return topic

    def update_topic(self, tx: Tx, call: Call, request: Any) -> Any:
        old = state.topic(tx, request.topic.name)
        topic = settings.changed_topic(old.settings, request)
        _check_schema(tx, topic)
        state.put_topic(tx, replace(old, told=topic.SerializeToString()))
        return topic

    def get_topic(self, tx: Tx, call: Call, request: Any) -> Any:
        return state.topic(tx, request.topic).settings

    def list_topics(self, tx: Tx, call: Call, request: Any) -> Any:
        project = names.read_project(request.project)
        rows, token = page(tx, TOPICS, project, size=request.page_size, token=request.page_token, largest=_PAGE_MAX)
        return PUBSUB.ListTopicsResponse(topics=[row.settings for _, row in rows], next_page_token=token)

    def list_topic_subscriptions(self, tx: Tx, call: Call, request: Any) -> Any:
        topic = state.topic(tx, request.topic)
        rows, token = page(tx, OF_TOPIC, topic.id, size=request.page_size, token=request.page_token, largest=_PAGE_MAX)
        return PUBSUB.ListTopicSubscriptionsResponse(subscriptions=[name for name, _ in rows], next_page_token=token)

    def list_topic_snapshots(self, tx: Tx, call: Call, request: Any) -> Any:
        topic = state.topic(tx, request.topic)
        rows, token = page(
            tx, SNAPSHOTS_OF_TOPIC, topic.id, size=request.page_size, token=request.page_token, largest=_PAGE_MAX
        )
        return PUBSUB.ListTopicSnapshotsResponse(snapshots=[name for name, _ in rows], next_page_token=token)

    def delete_topic(self, tx: Tx, call: Call, request: Any) -> Any:
        forget_topic(tx, state.topic(tx, request.topic))
        return message("google.protobuf.Empty")()

    def detach_subscription(self, tx: Tx, call: Call, request: Any) -> Any:
        """ "All messages retained in the subscription are dropped." """
        subscription = state.subscription(tx, request.subscription)
        told = PUBSUB.Subscription()
        told.CopyFrom(subscription.settings)
        told.detached = True
        OF_TOPIC.delete(tx, subscription.topic_id, subscription.name)
        queues.drop(tx, subscription.id)
        topics.drop(tx, subscription.id)
        state.put_subscription(tx, replace(subscription, told=told.SerializeToString()))
        tx.emit(queues.DUE, (subscription.id,))  # Whoever waits for its messages learns of it.
        return PUBSUB.DetachSubscriptionResponse()

    def publish(self, tx: Tx, call: Call, request: Any) -> Any:
        topic = state.topic(tx, request.topic)
        publishing.check(request)
        if topic.settings.HasField("schema_settings"):
            schemas.validate(tx, topic, request.messages)
        ids = publishing.publish(tx, topic, request.messages, call.now_ms, call.new_id)
        return PUBSUB.PublishResponse(message_ids=ids)


def _check_schema(tx: Tx, topic: Any) -> None:
    """Raises `RpcError` where a topic's schema, or a revision that it names, is not there."""
    told = topic.schema_settings
    if topic.HasField("schema_settings") and told.schema != schemas.DELETED:
        schema = schemas.find(tx, told.schema)
        schemas.revision(schema, told.first_revision_id)
        schemas.revision(schema, told.last_revision_id)
