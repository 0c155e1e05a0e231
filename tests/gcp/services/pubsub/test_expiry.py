"""Expiration policies ("Subscription properties"): a subscription that nobody is there for is deleted."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.protobuf import duration_pb2, field_mask_pb2

from fogbank.gcp.services.pubsub import state
from tests.support.google import PubSub
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud


DAY_S = 86_400
ONE_DAY = {"expiration_policy": {"ttl": duration_pb2.Duration(seconds=DAY_S)}}
ROUND_S = 3600  # It is looked for every hour.


def is_there(pubsub: PubSub, name: str) -> bool:
    try:
        pubsub.subscriber.get_subscription(request={"subscription": name})
    except exceptions.NotFound:
        return False
    return True


def until_gone(cloud: Cloud, pubsub: PubSub, name: str) -> None:
    """It goes with the next round, or the one after it where a round is still under way."""

    def gone() -> bool:
        cloud.advance(seconds=ROUND_S)
        return not is_there(pubsub, name)

    eventually(gone)


def test_one_that_nobody_is_there_for_is_deleted_and_its_messages_with_it(cloud: Cloud, pubsub: PubSub) -> None:
    topic = pubsub.topic()
    short = pubsub.subscription(topic, "short", **ONE_DAY)
    forever = pubsub.subscription(topic, "forever", expiration_policy={})
    pubsub.publish(topic, "a")
    cloud.advance(seconds=DAY_S - 1)
    assert is_there(pubsub, short)  # To look at it is no use of it.
    until_gone(cloud, pubsub, short)
    cloud.advance(seconds=5 * DAY_S)
    assert list(pubsub.publisher.list_topic_subscriptions(request={"topic": topic})) == [forever]
    again = pubsub.subscription(topic, "short")
    assert pubsub.texts(again) == []


def uses(pubsub: PubSub, name: str) -> dict[str, Any]:
    labels = {"subscription": {"name": name, "labels": {"a": "b"}}}
    return {
        "pull": lambda: pubsub.pull(name),
        "update": lambda: pubsub.subscriber.update_subscription(
            request=labels | {"update_mask": field_mask_pb2.FieldMask(paths=["labels"])}
        ),
        "seek": lambda: pubsub.subscriber.seek(request={"subscription": name, "time": {"seconds": 0}}),
    }


@pytest.mark.parametrize("use", ["pull", "update", "seek"])
def test_whoever_uses_it_keeps_it(cloud: Cloud, pubsub: PubSub, use: str) -> None:
    name = pubsub.subscription(pubsub.topic(), **ONE_DAY)
    for _ in range(3):
        cloud.advance(seconds=DAY_S - ROUND_S)
        uses(pubsub, name)[use]()
    cloud.advance(seconds=DAY_S - 1)
    assert is_there(pubsub, name)
    until_gone(cloud, pubsub, name)


def seen_ms(cloud: Cloud, name: str) -> int:
    """When somebody was last noted to be there."""
    row = cloud.run(cloud.server.house.store.transact(state.subscription, name))
    return int(cloud.run(cloud.server.house.store.transact(state.ACTIVE.get, row.id)))


def test_an_open_stream_keeps_it_though_nothing_comes(cloud: Cloud, pubsub: PubSub) -> None:
    topic = pubsub.topic()
    name = pubsub.subscription(topic, **ONE_DAY)
    seen: queue.Queue[str] = queue.Queue()

    def take(message: Any) -> None:
        seen.put(message.data.decode())
        message.ack()

    listening = pubsub.subscriber.subscribe(name, callback=take)
    try:
        pubsub.publish(topic, "open")
        assert seen.get(timeout=60) == "open"
        for _ in range(6):
            cloud.advance(seconds=DAY_S // 2)
            eventually(lambda: cloud.clock.now_ms() - seen_ms(cloud, name) <= DAY_S * 1000 // 4)
        pubsub.publish(topic, "still")
        while seen.get(timeout=60) != "still":  # The first may come twice: its acknowledgement was on its way.
            pass
    finally:
        listening.cancel()
        listening.result(timeout=60)


def test_it_lasts_over_a_restart_and_a_shorter_policy_counts_from_the_last_use(cloud: Cloud, pubsub: PubSub) -> None:
    topic = pubsub.topic()
    name = pubsub.subscription(topic)
    cloud.advance(seconds=2 * DAY_S)
    pubsub.subscriber.update_subscription(
        request={"subscription": {"name": name, **ONE_DAY}, "update_mask": {"paths": ["expiration_policy"]}}
    )
    cloud.advance(seconds=DAY_S // 2)
    assert is_there(pubsub, name)
    cloud.restart()
    cloud.advance(seconds=DAY_S // 2 - 1)
    clients = PubSub(cloud.server.port)
    try:
        assert is_there(clients, name)
        until_gone(cloud, clients, name)
    finally:
        clients.close()
