"""Pulling, acknowledging, leases, orders and retries, by Google's own client and on a clock that the tests move."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.protobuf import duration_pb2

if TYPE_CHECKING:
    from tests.support.cloud import Cloud
    from tests.support.google import PubSub


def nack(pubsub: PubSub, subscription: str, *received: Any, seconds: int = 0) -> None:
    request = {
        "subscription": subscription, "ack_ids": [one.ack_id for one in received], "ack_deadline_seconds": seconds
    }  # fmt: skip
    pubsub.subscriber.modify_ack_deadline(request=request)


def test_a_message_is_lent_until_its_deadline_and_comes_again(cloud: Cloud, pubsub: PubSub) -> None:
    reader = pubsub.subscription(topic := pubsub.topic())
    pubsub.publish(topic, "a")
    first = pubsub.pull(reader)
    assert [one.delivery_attempt for one in first] == [0]
    cloud.advance(seconds=9.9)
    assert pubsub.pull(reader) == []
    cloud.advance(seconds=0.2)
    assert pubsub.texts(reader) == ["a"]


def test_an_acknowledged_message_does_not_come_again(cloud: Cloud, pubsub: PubSub) -> None:
    reader = pubsub.subscription(topic := pubsub.topic())
    pubsub.publish(topic, "a", "b")
    pubsub.acknowledge(reader, pubsub.pull(reader)[0])
    cloud.advance(seconds=11)
    assert pubsub.texts(reader) == ["b"]


def test_a_deadline_is_moved_and_a_message_given_back(cloud: Cloud, pubsub: PubSub) -> None:
    reader = pubsub.subscription(topic := pubsub.topic())
    pubsub.publish(topic, "a")
    received = pubsub.pull(reader)
    nack(pubsub, reader, *received, seconds=60)
    cloud.advance(seconds=59)
    assert pubsub.pull(reader) == []
    nack(pubsub, reader, *received)
    assert pubsub.texts(reader) == ["a"]


def test_an_acknowledgement_after_the_deadline_still_counts_if_nobody_else_has_the_message(
    cloud: Cloud, pubsub: PubSub
) -> None:
    reader = pubsub.subscription(topic := pubsub.topic())
    pubsub.publish(topic, "a")
    received = pubsub.pull(reader)
    cloud.advance(seconds=11)
    pubsub.acknowledge(reader, *received)
    assert pubsub.pull(reader) == []


def test_an_older_lendings_acknowledgement_takes_nothing_away(cloud: Cloud, pubsub: PubSub) -> None:
    reader = pubsub.subscription(topic := pubsub.topic())
    pubsub.publish(topic, "a")
    old = pubsub.pull(reader)
    cloud.advance(seconds=11)
    assert pubsub.texts(reader) == ["a"]
    pubsub.acknowledge(reader, *old)
    cloud.advance(seconds=11)
    assert pubsub.texts(reader) == ["a"]


def test_a_pull_waits_for_a_message(pubsub: PubSub) -> None:
    reader = pubsub.subscription(topic := pubsub.topic())
    request = {"subscription": reader, "max_messages": 1}
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(pubsub.subscriber.pull, request=request, timeout=20)
        pubsub.publish(topic, "late")
        assert [one.message.data for one in waiting.result(20).received_messages] == [b"late"]


def test_what_is_wrong_with_a_pull_or_an_acknowledgement_is_told(pubsub: PubSub) -> None:
    reader = pubsub.subscription(pubsub.topic())
    with pytest.raises(exceptions.InvalidArgument, match="max_messages"):
        pubsub.pull(reader, 0)
    with pytest.raises(exceptions.NotFound, match=r"\(resource=nobody\)"):
        pubsub.pull(reader.replace("reader", "nobody"))
    with pytest.raises(exceptions.InvalidArgument, match="You have not specified an ack ID"):
        pubsub.acknowledge(reader)
    with pytest.raises(exceptions.InvalidArgument, match=r"invalid ack ID to the service \(ack_id=made-up\)"):
        pubsub.subscriber.acknowledge(request={"subscription": reader, "ack_ids": ["made-up"]})
    with pytest.raises(exceptions.InvalidArgument, match="exceeds the limit: 524288 bytes"):
        pubsub.subscriber.acknowledge(request={"subscription": reader, "ack_ids": ["x" * 600_000]})
    with pytest.raises(exceptions.InvalidArgument, match="ack_deadline_seconds=601"):
        request = {"subscription": reader, "ack_ids": ["x"], "ack_deadline_seconds": 601}
        pubsub.subscriber.modify_ack_deadline(request=request)


def test_messages_of_a_key_come_in_order_and_wait_for_the_one_before(cloud: Cloud, pubsub: PubSub) -> None:
    reader = pubsub.subscription(topic := pubsub.topic(), enable_message_ordering=True)
    pubsub.publish(topic, "a1", key="a")
    pubsub.publish(topic, "b1", key="b")
    first = pubsub.pull(reader)
    pubsub.publish(topic, "a2", "a3", key="a")
    assert pubsub.texts(reader) == []  # While a1 is out.
    pubsub.acknowledge(reader, *(one for one in first if one.message.data == b"a1"))
    assert pubsub.texts(reader) == ["a2", "a3"]
    assert [one.message.ordering_key for one in first] == ["a", "b"]


def test_what_stands_behind_a_message_that_is_given_back_comes_again_with_it(pubsub: PubSub) -> None:
    reader = pubsub.subscription(topic := pubsub.topic(), enable_message_ordering=True)
    pubsub.publish(topic, "a1", "a2", "a3", key="a")
    received = pubsub.pull(reader)
    nack(pubsub, reader, received[1])
    assert pubsub.texts(reader) == []  # The first one is still out.
    pubsub.acknowledge(reader, received[0])
    assert pubsub.texts(reader) == ["a2", "a3"]


def test_exactly_once_tells_of_an_acknowledgement_that_came_too_late(cloud: Cloud, pubsub: PubSub) -> None:
    reader = pubsub.subscription(topic := pubsub.topic(), enable_exactly_once_delivery=True)
    pubsub.publish(topic, "a", "b")
    received = pubsub.pull(reader)
    pubsub.acknowledge(reader, received[0])
    cloud.advance(seconds=11)
    with pytest.raises(
        exceptions.FailedPrecondition, match="acknowledgement ids in the request were invalid"
    ) as caught:
        pubsub.acknowledge(reader, received[1])
    (why,) = [detail for detail in caught.value.details if hasattr(detail, "metadata")]
    assert dict(why.metadata) == {received[1].ack_id: "PERMANENT_FAILURE_INVALID_ACK_ID"}
    assert pubsub.texts(reader) == ["b"]


def test_a_message_that_nobody_takes_goes_to_the_dead_letter_topic(cloud: Cloud, pubsub: PubSub) -> None:
    topic, dead = pubsub.topic(), pubsub.topic("dead")
    policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
    reader = pubsub.subscription(topic, dead_letter_policy=policy)
    graveyard = pubsub.subscription(dead, "graveyard")
    pubsub.publish(topic, "poison", color="red")
    for attempt in range(1, 6):
        (received,) = pubsub.pull(reader)
        assert received.delivery_attempt == attempt
        nack(pubsub, reader, received)
    assert pubsub.pull(reader) == []
    (buried,) = pubsub.pull(graveyard)
    attributes = dict(buried.message.attributes)
    assert buried.message.data == b"poison" and attributes["color"] == "red"
    assert attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert attributes["CloudPubSubDeadLetterSourceSubscription"] == "reader"
    assert attributes["CloudPubSubDeadLetterSourceTopicPublishTime"].startswith("2027-01-15T08:00:00")


def test_a_retry_policy_spaces_out_deliveries(cloud: Cloud, pubsub: PubSub) -> None:
    backoff = {
        "minimum_backoff": duration_pb2.Duration(seconds=20), "maximum_backoff": duration_pb2.Duration(seconds=30)
    }  # fmt: skip
    reader = pubsub.subscription(topic := pubsub.topic(), retry_policy=backoff)
    pubsub.publish(topic, "a")
    for wait in (20, 30, 30):
        nack(pubsub, reader, *pubsub.pull(reader))
        cloud.advance(seconds=wait - 0.1)
        assert pubsub.pull(reader) == []
        cloud.advance(seconds=0.2)
    pubsub.pull(reader)
    cloud.advance(seconds=39)  # A lease that runs out is a try as well: ten seconds, and the pause.
    assert pubsub.pull(reader) == []
    cloud.advance(seconds=2)
    assert pubsub.texts(reader) == ["a"]


def test_messages_are_kept_for_the_subscriptions_retention(cloud: Cloud, pubsub: PubSub) -> None:
    reader = pubsub.subscription(topic := pubsub.topic(), message_retention_duration=duration_pb2.Duration(seconds=600))
    pubsub.publish(topic, "old")
    cloud.advance(seconds=300)
    pubsub.publish(topic, "young")
    cloud.advance(seconds=301)
    assert pubsub.texts(reader) == ["young"]


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ('attributes.color = "red"', ["red"]),
        ('attributes.color != "red"', ["blue", "none"]),
        ("attributes:color", ["red", "blue"]),
        ("NOT attributes:color", ["none"]),
        ("-attributes:color", ["none"]),
        ('hasPrefix(attributes.color, "b")', ["blue"]),
        ('attributes.color = "red" OR attributes.color = "blue"', ["red", "blue"]),
        ('attributes:color AND NOT attributes.color = "red"', ["blue"]),
        ('attributes:size AND (attributes.color = "red" OR attributes.color = "blue")', ["blue"]),
        ('attributes."color" = "r\\u0065d"', ["red"]),
    ],
)
def test_a_filter_takes_what_it_matches(pubsub: PubSub, text: str, taken: list[str]) -> None:
    reader = pubsub.subscription(topic := pubsub.topic(), filter=text)
    pubsub.publish(topic, "red", color="red")
    pubsub.publish(topic, "blue", color="blue", size="9")
    pubsub.publish(topic, "none")
    assert pubsub.texts(reader) == taken


@pytest.mark.parametrize(
    "text",
    [
        "color", 'data = "x"', "attributes.color = red", "attributes.color", "attributes.color < 1",
        'attributes:a AND attributes:b OR attributes:c', "(attributes:a", 'attributes.a = "x', "x" * 257, "(" * 100,
        "NOT", "hasPrefix(attributes.a)",
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused(pubsub: PubSub, text: str) -> None:
    topic = pubsub.topic()
    with pytest.raises(exceptions.InvalidArgument, match="filter"):
        pubsub.subscription(topic, filter=text)
