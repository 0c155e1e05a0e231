"""Subscriptions: made, set, listed, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fogbank.gcp.protocol.descriptors import message
from fogbank.gcp.protocol.paging import page
from fogbank.gcp.service import Call, Service
from fogbank.gcp.services.pubsub import names, settings, state
from fogbank.gcp.services.pubsub.expiring import Expiring
from fogbank.gcp.services.pubsub.forgetting import forget_subscription
from fogbank.gcp.services.pubsub.pushing import Pushing
from fogbank.gcp.services.pubsub.state import OF_TOPIC, PUBSUB, SUBSCRIPTIONS, Subscription
from fogbank.kernel.tasks import Background
from fogbank.primitives import queues

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.kernel.store import Tx

_PAGE_MAX = 1000


class Subscriptions(Service):
    service = "google.pubsub.v1.Subscriber"

    def backgrounds(self) -> Iterable[Background]:
        yield Background("pubsub: push", Pushing(self.house).run)
        yield Background("pubsub: expire", Expiring(self.house).run)

    def create_subscription(self, tx: Tx, call: Call, request: Any) -> Any:
        at = names.read(request.name, "subscriptions")
        names.read(request.topic, "topics")
        if SUBSCRIPTIONS.get(tx, at.project, at.id, lock=True) is not None:
            raise names.taken(at)
        topic = state.topic(tx, request.topic)
        told = settings.new_subscription(request)
        if topic.keeps_ms:
            told.topic_message_retention_duration.CopyFrom(topic.settings.message_retention_duration)
        row = Subscription(call.new_id(), told.name, topic.id, told.SerializeToString())
        state.put_subscription(tx, row)
        OF_TOPIC.put(tx, topic.id, row.name, row=row.name)
        state.note_active(tx, row, call.now_ms)
        return told

    def get_subscription(self, tx: Tx, call: Call, request: Any) -> Any:
        return state.subscription(tx, request.subscription).settings

    def update_subscription(self, tx: Tx, call: Call, request: Any) -> Any:
        row = state.subscription(tx, request.subscription.name)
        state.note_active(tx, row, call.now_ms)
        return self._set(tx, row, settings.changed_subscription(row.settings, request))

    def modify_push_config(self, tx: Tx, call: Call, request: Any) -> Any:
        row = state.subscription(tx, request.subscription)
        state.note_active(tx, row, call.now_ms)
        self._set(tx, row, settings.with_push(row.settings, request.push_config))
        return message("google.protobuf.Empty")()

    def list_subscriptions(self, tx: Tx, call: Call, request: Any) -> Any:
        project = names.read_project(request.project)
        rows, token = page(
            tx, SUBSCRIPTIONS, project, size=request.page_size, token=request.page_token, largest=_PAGE_MAX
        )
        return PUBSUB.ListSubscriptionsResponse(subscriptions=[row.settings for _, row in rows], next_page_token=token)

    def delete_subscription(self, tx: Tx, call: Call, request: Any) -> Any:
        forget_subscription(tx, state.subscription(tx, request.subscription))
        return message("google.protobuf.Empty")()

    def _set(self, tx: Tx, row: Subscription, told: Any) -> Any:
        changed = replace(row, told=told.SerializeToString())
        state.put_subscription(tx, changed)
        if changed.retention_ms != row.retention_ms:
            keeps_ms = changed.retention_ms
            queues.rewrite(tx, row.id, lambda one: replace(one, expires_ms=one.sent_ms + keeps_ms))
        tx.emit(queues.DUE, (row.id,))
        return told
