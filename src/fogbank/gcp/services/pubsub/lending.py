"""Lending messages of a subscription, and what its holders say of them."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.pubsub import names, publishing, state
from fogbank.gcp.services.pubsub.settings import invalid
from fogbank.gcp.services.pubsub.state import PUBSUB, Subscription
from fogbank.primitives import queues, topics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fogbank.kernel.store import Tx
    from fogbank.primitives.queues import Message

_RECEIPT = re.compile(r"[0-9a-f\-]{36}:\d{1,10}:\d{1,16}")
# "Message attributes" of forwarded messages ("Dead-letter topics").
_FORWARDED = "CloudPubSubDeadLetterSource"


@dataclass(frozen=True, slots=True)
class Lent:
    ack_id: str
    message: Message
    size: int
    attempt: int  # Told only where there is a dead-letter policy.

    def received(self) -> Any:
        """As a ReceivedMessage."""
        return PUBSUB.ReceivedMessage(
            ack_id=self.ack_id, message=publishing.content(self.message), delivery_attempt=self.attempt
        )


def ready(subscription: Subscription) -> None:
    """Raises `RpcError` where nothing can be received or sought."""
    if subscription.settings.detached:
        resource = names.read(subscription.name, "subscriptions").id
        text = f"The subscription is detached from its topic (resource={resource})."
        raise RpcError(Code.FAILED_PRECONDITION, text)


def lend(
    tx: Tx, name: str, *, limit: int, lease_ms: int, now_ms: int, new_id: Callable[[], str],
    bytes_max: int | None = None,
) -> tuple[Subscription, list[Lent]]:  # fmt: skip
    """Up to `limit` messages for `lease_ms` (0: as long as the subscription says), until they have `bytes_max`.

    What has been tried too often goes to the dead-letter topic instead, as long as there is one.
    """
    subscription = state.subscription(tx, name)
    ready(subscription)
    settings = subscription.settings
    policy = settings.dead_letter_policy if settings.HasField("dead_letter_policy") else None
    dead = _dead_letters(tx, subscription, policy, now_ms, new_id) if policy is not None else (None, None)
    messages = queues.receive(
        tx, subscription.id, limit=limit, now_ms=now_ms, lend_ms=lease_ms or settings.ack_deadline_seconds * 1000,
        enough=None if bytes_max is None else lambda lent: sum(_size(one) for one in lent) >= bytes_max,
        dead=dead[0], on_dead=dead[1],
        pause_ms=subscription.pause_ms if settings.HasField("retry_policy") else None,
    )  # fmt: skip
    attempts = policy is not None
    return subscription, [
        Lent(_ack_id(one.receipt), one, _size(one), one.receive_count if attempts else 0) for one in messages
    ]


def _size(message: Message) -> int:
    return len(message.notes["message"])


def _dead_letters(
    tx: Tx, subscription: Subscription, policy: Any, now_ms: int, new_id: Callable[[], str]
) -> tuple[Callable[[Message], bool] | None, Callable[[Tx, Message], None] | None]:
    try:
        topic = state.topic(tx, policy.dead_letter_topic)
    except RpcError:  # "…messages … continue to be delivered" where the topic is gone.
        return None, None
    source = names.read(subscription.name, "subscriptions")

    def forward(tx: Tx, message: Message) -> None:
        forwarded = publishing.content(message)
        attributes = {
            "DeliveryCount": str(message.receive_count),
            "Subscription": source.id,
            "SubscriptionProject": source.project,
            "TopicPublishTime": forwarded.publish_time.ToJsonString(),
        }
        for key, value in attributes.items():
            forwarded.attributes[_FORWARDED + key] = value
        publishing.publish(tx, topic, [forwarded], now_ms, new_id)

    return lambda message: message.receive_count >= policy.max_delivery_attempts, forward


def acknowledge(tx: Tx, subscription: Subscription, ack_ids: Sequence[str], now_ms: int) -> list[str]:
    """Those that were no good: only a subscription with exactly-once delivery tells of them."""
    state.note_active(tx, subscription, now_ms)
    keeps, bad = subscription.settings.retain_acked_messages, []
    for ack_id, receipt in _receipts(ack_ids):
        held = _is_held(tx, subscription, receipt, now_ms)
        if not held or not topics.acknowledge(tx, subscription.id, receipt, keeps=keeps):
            bad.append(ack_id)
    return bad


def extend(
    tx: Tx, subscription: Subscription, deadlines: Sequence[tuple[str, int]], now_ms: int
) -> list[str]:  # fmt: skip
    """Give each its holder for so many seconds from now; 0 gives it back. Those that were no good, as `acknowledge`."""
    bad = []
    for ack_id, seconds in deadlines:
        ((_, receipt),) = _receipts([ack_id])
        held = queues.held(tx, subscription.id, receipt) if _is_held(tx, subscription, receipt, now_ms) else None
        if held is None:
            bad.append(ack_id)
            continue
        pause_ms = subscription.pause_ms(held.receive_count)
        due_ms = now_ms + seconds * 1000 + pause_ms
        change = queues.hide if seconds else queues.give_back
        change(tx, subscription.id, receipt, due_ms=due_ms, now_ms=now_ms)
    return bad


def _is_held(tx: Tx, subscription: Subscription, receipt: str, now_ms: int) -> bool:
    """With exactly-once delivery a lease that is over is over; without, its holder may still come first."""
    if not subscription.settings.enable_exactly_once_delivery:
        return True
    held = queues.held(tx, subscription.id, receipt)
    return held is not None and held.due_ms - subscription.pause_ms(held.receive_count) > now_ms


def _ack_id(receipt: str) -> str:
    return urlsafe_b64encode(receipt.encode()).decode()


def _receipts(ack_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Each with the receipt that it stands for. Raises `RpcError`."""
    found = []
    for ack_id in ack_ids:
        try:
            receipt = b64decode(ack_id, b"-_", validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            receipt = ""
        if not _RECEIPT.fullmatch(receipt):
            raise invalid(f"You have passed an invalid ack ID to the service (ack_id={ack_id[:512]}).")
        found.append((ack_id, receipt))
    return found
