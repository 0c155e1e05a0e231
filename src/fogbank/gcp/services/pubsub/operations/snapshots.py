"""Snapshots, and seeking: to one, or to a moment.

A snapshot is a queue of its own: what its subscription had not acknowledged when it was taken, and all that was
published since ("Replay and purge messages with seek").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fogbank.gcp.protocol.descriptors import message
from fogbank.gcp.protocol.paging import page
from fogbank.gcp.protocol.times import milliseconds
from fogbank.gcp.service import Call, Code, RpcError, Service
from fogbank.gcp.services.pubsub import lending, names, publishing, state
from fogbank.gcp.services.pubsub.settings import changed_snapshot, invalid
from fogbank.gcp.services.pubsub.state import PUBSUB, SNAPSHOTS, SNAPSHOTS_OF_TOPIC, Snapshot, Subscription
from fogbank.primitives import queues, topics

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx
    from fogbank.primitives.queues import Message

_PAGE_MAX = 1000
_LIFE_MS = 7 * 86_400_000  # "The lifetime of the newly-created snapshot is 7 days - (age of oldest unacked message …)."
_LIFE_LEAST_MS = 3_600_000  # "…creating a snapshot that would expire in less than 1 hour … is refused."


class Snapshots(Service):
    service = "google.pubsub.v1.Subscriber"

    def create_snapshot(self, tx: Tx, call: Call, request: Any) -> Any:
        at = names.read(request.name, "snapshots")
        subscription = state.subscription(tx, request.subscription)
        lending.ready(subscription)
        if SNAPSHOTS.get(tx, at.project, at.id, lock=True) is not None:
            raise names.taken(at)
        topics.copy(tx, subscription.id, snapshot_id := call.new_id(), call.now_ms)
        oldest_ms = min((one.sent_ms for one in queues.contents(tx, subscription.id)), default=call.now_ms)
        if oldest_ms + _LIFE_MS - call.now_ms < _LIFE_LEAST_MS:
            text = "The snapshot would expire in less than an hour: the subscription's backlog is too old."
            raise RpcError(Code.FAILED_PRECONDITION, text)
        told = PUBSUB.Snapshot(name=request.name, topic=subscription.settings.topic, labels=request.labels)
        told.expire_time.FromMilliseconds(oldest_ms + _LIFE_MS)
        row = Snapshot(
            snapshot_id, request.name, subscription.topic_id, told.SerializeToString(), subscription.settings.filter
        )
        SNAPSHOTS.put(tx, at.project, at.id, row=row)
        SNAPSHOTS_OF_TOPIC.put(tx, row.topic_id, row.name, row=row.name)
        return told

    def get_snapshot(self, tx: Tx, call: Call, request: Any) -> Any:
        return _alive(tx, request.snapshot, call.now_ms).settings

    def list_snapshots(self, tx: Tx, call: Call, request: Any) -> Any:
        project = names.read_project(request.project)
        rows, token = page(tx, SNAPSHOTS, project, size=request.page_size, token=request.page_token, largest=_PAGE_MAX)
        alive = [row.settings for _, row in rows if row.expires_ms > call.now_ms]
        return PUBSUB.ListSnapshotsResponse(snapshots=alive, next_page_token=token)

    def update_snapshot(self, tx: Tx, call: Call, request: Any) -> Any:
        row = _alive(tx, request.snapshot.name, call.now_ms)
        told = changed_snapshot(row.settings, request)
        at = names.read(row.name, "snapshots")
        SNAPSHOTS.put(tx, at.project, at.id, row=replace(row, told=told.SerializeToString()))
        return told

    def delete_snapshot(self, tx: Tx, call: Call, request: Any) -> Any:
        state.forget_snapshot(tx, _alive(tx, request.snapshot, call.now_ms))
        return message("google.protobuf.Empty")()

    def seek(self, tx: Tx, call: Call, request: Any) -> Any:
        subscription = state.subscription(tx, request.subscription)
        lending.ready(subscription)
        state.note_active(tx, subscription, call.now_ms)
        target = request.WhichOneof("target")
        if target == "snapshot":
            _seek_snapshot(tx, subscription, _alive(tx, request.snapshot, call.now_ms), call.now_ms)
        elif target == "time":
            since_ms = max(milliseconds(request.time), 0)
            _seek_time(tx, subscription, since_ms, call.now_ms)
        else:
            raise invalid("The SeekRequest must have a time or a snapshot.")
        return PUBSUB.SeekResponse()


def _alive(tx: Tx, name: str, now_ms: int) -> Snapshot:
    row = state.snapshot(tx, name)
    if row.expires_ms <= now_ms:
        raise names.missing(names.read(name, "snapshots"))
    return row


def _seek_snapshot(tx: Tx, subscription: Subscription, row: Snapshot, now_ms: int) -> None:
    """What the subscription holds gives way to what the snapshot holds."""
    if row.topic_id != subscription.topic_id:
        raise invalid("The snapshot and the subscription must be of the same topic.")
    keeps = subscription.settings.retain_acked_messages
    for held in queues.contents(tx, subscription.id):
        queues.take(tx, subscription.id, held)
        if keeps:
            topics.keep(tx, subscription.id, held)
    for kept in queues.contents(tx, row.id):
        again = _fresh(subscription, kept, now_ms)
        if again is not None:
            queues.send(tx, subscription.id, again)
    tx.emit(queues.DUE, (subscription.id,))


def _seek_time(tx: Tx, subscription: Subscription, since_ms: int, now_ms: int) -> None:
    topics.seek(
        tx, subscription.id, (subscription.id, subscription.topic_id), since_ms=since_ms,
        keeps=subscription.settings.retain_acked_messages, fresh=lambda kept: _fresh(subscription, kept, now_ms),
    )  # fmt: skip


def _fresh(subscription: Subscription, kept: Message, now_ms: int) -> Message | None:
    """As the subscription gets it for the first time; none if its filter is against it."""
    wanted = publishing.matches(subscription.settings.filter, publishing.content(kept).attributes)
    return publishing.queued(kept, subscription, now_ms) if wanted else None
