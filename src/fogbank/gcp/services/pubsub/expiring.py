"""What is kept for a time, and then no more: messages of subscriptions and topics, snapshots, and subscriptions that
nobody is there for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.gcp.services.pubsub.forgetting import forget_subscription
from fogbank.gcp.services.pubsub.state import (
    ACTIVE,
    SNAPSHOTS,
    SUBSCRIPTIONS,
    TOPICS,
    forget_snapshot,
    note_active,
)
from fogbank.primitives import queues, topics

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.gcp.services.pubsub.state import Subscription
    from fogbank.kernel.store import Tx

_EVERY_MS = 3_600_000  # What is over is given to nobody in the meantime.
_AT_ONCE = 1000


class Expiring:
    def __init__(self, house: House) -> None:
        self._house = house

    async def run(self) -> None:
        house = self._house
        while True:
            for project, name in await house.store.transact(_subscriptions):
                while await house.store.transact(_expire_subscription, project, name, house.clock.now_ms()):
                    pass
            for project, name in await house.store.transact(_topics):
                while await house.store.transact(_expire_topic, project, name, house.clock.now_ms()):
                    pass
            await house.store.transact(_expire_snapshots, house.clock.now_ms())
            await house.clock.sleep(_EVERY_MS)


def _subscriptions(tx: Tx) -> list[tuple[str, str]]:
    return [(str(key[-2]), str(key[-1])) for key, _ in SUBSCRIPTIONS.scan(tx)]


def _topics(tx: Tx) -> list[tuple[str, str]]:
    return [(str(key[-2]), str(key[-1])) for key, _ in TOPICS.scan(tx)]


def _expire_subscription(tx: Tx, project: str, name: str, now_ms: int) -> bool:
    """Whether there may be more."""
    row = SUBSCRIPTIONS.get(tx, project, name)
    if row is None:
        return False
    if _is_left_alone(tx, row, now_ms):
        forget_subscription(tx, row)
        return False
    gone = max(
        queues.expire(tx, row.id, now_ms, _AT_ONCE), topics.expire(tx, row.id, now_ms - row.retention_ms, _AT_ONCE)
    )
    return gone == _AT_ONCE


def _is_left_alone(tx: Tx, row: Subscription, now_ms: int) -> bool:
    """ "If expiration_policy.ttl is not set, the associated resource never expires." """
    after_ms, seen_ms = row.expires_after_ms, ACTIVE.get(tx, row.id)
    if seen_ms is None:  # Made before this was noted.
        note_active(tx, row, now_ms)
        return False
    return after_ms > 0 and now_ms >= seen_ms + after_ms


def _expire_topic(tx: Tx, project: str, name: str, now_ms: int) -> bool:
    row = TOPICS.get(tx, project, name)
    return row is not None and topics.expire(tx, row.id, now_ms - row.keeps_ms, _AT_ONCE) == _AT_ONCE


def _expire_snapshots(tx: Tx, now_ms: int) -> None:
    for row in SNAPSHOTS.all(tx):
        if row.expires_ms <= now_ms:
            forget_snapshot(tx, row)
