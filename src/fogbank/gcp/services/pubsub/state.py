"""What Pub/Sub remembers: topics, subscriptions and snapshots by name, and which belong to a topic.

Settings are kept as the messages of the API that tell them. The messages that are published lie in the queues of
`primitives.queues`: one for each subscription, one for each snapshot.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.protocol.times import milliseconds
from fogbank.gcp.services.pubsub import names
from fogbank.kernel.store.records import Records
from fogbank.primitives import queues

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

R = TypeVar("R")
PUBSUB = Package("google.pubsub.v1")
_NOTED_EVERY_MS = 3_600_000


class Topic(msgspec.Struct, frozen=True):
    id: str  # A new one each time the name is used again: the old one's subscriptions stay without messages.
    name: str
    told: bytes  # A google.pubsub.v1.Topic.

    @property
    def settings(self) -> Any:
        """Belongs to all that have it: nobody may change it."""
        return _topic(self.told)

    @property
    def keeps_ms(self) -> int:
        """How long what is published can be had again by seeking; 0: not at all, for the topic's part."""
        return milliseconds(self.settings.message_retention_duration)


class Subscription(msgspec.Struct, frozen=True):
    id: str
    name: str
    topic_id: str
    told: bytes  # A google.pubsub.v1.Subscription.

    @property
    def settings(self) -> Any:
        """Belongs to all that have it: nobody may change it."""
        return _subscription(self.told)

    @property
    def retention_ms(self) -> int:
        return milliseconds(self.settings.message_retention_duration)

    @property
    def expires_after_ms(self) -> int:
        """Without anybody who is there for it; 0: never."""
        return milliseconds(self.settings.expiration_policy.ttl)

    def pause_ms(self, lending: int) -> int:
        """How long a message waits after its so many-th lending has come to nothing ("Retry requests")."""
        if not self.settings.HasField("retry_policy"):
            return 0
        policy = self.settings.retry_policy
        least, most = milliseconds(policy.minimum_backoff), milliseconds(policy.maximum_backoff)
        return int(min(most, least * 2 ** min(lending - 1, 20)))


class Snapshot(msgspec.Struct, frozen=True):
    id: str
    name: str
    topic_id: str
    told: bytes  # A google.pubsub.v1.Snapshot.
    filter: str = ""  # The subscription's of which it was taken: what it does not match is not kept.

    @property
    def settings(self) -> Any:
        return PUBSUB.Snapshot.FromString(self.told)

    @property
    def expires_ms(self) -> int:
        return milliseconds(self.settings.expire_time)


TOPICS = Records(Topic, "pubsub", "topic")  # (project, id)
SUBSCRIPTIONS = Records(Subscription, "pubsub", "subscription")  # (project, id)
SNAPSHOTS = Records(Snapshot, "pubsub", "snapshot")  # (project, id)
OF_TOPIC = Records(str, "pubsub", "of-topic")  # (topic's id, subscription's name)
SNAPSHOTS_OF_TOPIC = Records(str, "pubsub", "snapshots-of-topic")  # (topic's id, snapshot's name)
ACTIVE = Records(int, "pubsub", "active")  # (subscription's id): when somebody was last seen to be there for it.
CHANGED = "pubsub.changed"  # The signal: a subscription was made, set otherwise or deleted.


@lru_cache(1024)
def _topic(told: bytes) -> Any:
    return PUBSUB.Topic.FromString(told)


@lru_cache(1024)
def _subscription(told: bytes) -> Any:
    return PUBSUB.Subscription.FromString(told)


def topic(tx: Tx, name: str) -> Topic:
    """Raises `RpcError`."""
    return _found(tx, TOPICS, names.read(name, "topics"))


def subscription(tx: Tx, name: str) -> Subscription:
    """Raises `RpcError`."""
    return _found(tx, SUBSCRIPTIONS, names.read(name, "subscriptions"))


def snapshot(tx: Tx, name: str) -> Snapshot:
    """Raises `RpcError`."""
    return _found(tx, SNAPSHOTS, names.read(name, "snapshots"))


def _found(tx: Tx, records: Records[R], at: names.Name) -> R:
    found = records.get_shared(tx, at.project, at.id)
    if found is None:
        raise names.missing(at)
    return found


def put_topic(tx: Tx, row: Topic) -> None:
    at = names.read(row.name, "topics")
    TOPICS.put(tx, at.project, at.id, row=row)


def put_subscription(tx: Tx, row: Subscription) -> None:
    at = names.read(row.name, "subscriptions")
    SUBSCRIPTIONS.put(tx, at.project, at.id, row=row)
    tx.emit(CHANGED)


def subscriptions_of(tx: Tx, topic_id: str) -> list[Subscription]:
    found = []
    for name in OF_TOPIC.all(tx, topic_id):
        at = names.read(name, "subscriptions")
        row = SUBSCRIPTIONS.get_shared(tx, at.project, at.id)
        if row is not None:
            found.append(row)
    return found


def snapshots_of(tx: Tx, topic_id: str) -> list[Snapshot]:
    return [snapshot(tx, name) for name in SNAPSHOTS_OF_TOPIC.all(tx, topic_id)]


def forget_snapshot(tx: Tx, row: Snapshot) -> None:
    at = names.read(row.name, "snapshots")
    SNAPSHOTS.delete(tx, at.project, at.id)
    SNAPSHOTS_OF_TOPIC.delete(tx, row.topic_id, row.name)
    queues.drop(tx, row.id)


def note_active(tx: Tx, row: Subscription, now_ms: int) -> None:
    """ "Expiration policy": somebody pulls, acknowledges, has a stream open, takes what is pushed, or sets something.
    Not every time is kept: policies are of days."""
    known_ms = ACTIVE.get(tx, row.id)
    if known_ms is None or now_ms >= known_ms + _NOTED_EVERY_MS:
        ACTIVE.put(tx, row.id, row=now_ms)
