"""Streaming pull: the real subscriber client, and the bare stream where a test must see what is said on it."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1

from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cloud import Cloud
    from tests.support.google import PubSub


class Stream:
    """A StreamingPull whose requests a test makes."""

    def __init__(self, pubsub: PubSub, subscription: str, **first: Any) -> None:
        self._requests: queue.Queue[Any] = queue.Queue()
        self.say(subscription=subscription, stream_ack_deadline_seconds=10, **first)
        self.answers = pubsub.subscriber.streaming_pull(requests=iter(self._requests.get, None), timeout=60)
        self.received: list[Any] = []

    def say(self, **request: Any) -> None:
        self._requests.put(pubsub_v1.types.StreamingPullRequest(**request))

    def texts(self, count: int) -> list[str]:
        """The next ones."""
        found: list[Any] = []
        while len(found) < count:
            found += next(self.answers).received_messages
        self.received += found
        return [one.message.data.decode() for one in found]

    def close(self) -> None:
        self._requests.put(None)
        self.answers.cancel()


@pytest.fixture
def streams(pubsub: PubSub) -> Iterator[Any]:
    made: list[Stream] = []

    def open_stream(subscription: str, **first: Any) -> Stream:
        made.append(Stream(pubsub, subscription, **first))
        return made[-1]

    yield open_stream
    for stream in made:
        stream.close()


def test_a_subscriber_gets_everything_that_is_published(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic)
    wanted = {f"message {number}".encode() for number in range(300)}
    got: set[bytes] = set()
    done = threading.Event()

    def take(message: Any) -> None:
        got.add(message.data)
        message.ack()
        if got == wanted:
            done.set()

    pulling = pubsub.subscriber.subscribe(reader, callback=take)
    for future in [pubsub.publisher.publish(topic, data) for data in wanted]:
        future.result(20)
    assert done.wait(30)
    eventually(lambda: pubsub.pull(reader) == [])
    pulling.cancel()
    pulling.result(20)


def test_a_subscriber_gets_the_messages_of_a_key_in_order(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic, enable_message_ordering=True)
    got: dict[str, list[int]] = {"a": [], "b": []}
    done = threading.Event()

    def take(message: Any) -> None:
        got[message.ordering_key].append(int(message.data))
        message.ack()
        if all(len(numbers) == 40 for numbers in got.values()):
            done.set()

    for number in range(40):
        for key in ("a", "b"):
            pubsub.publisher.publish(topic, str(number).encode(), ordering_key=key)
    pulling = pubsub.subscriber.subscribe(reader, callback=take)
    assert done.wait(30)
    assert got == {"a": list(range(40)), "b": list(range(40))}
    pulling.cancel()
    pulling.result(20)


def test_an_exactly_once_subscriber_learns_that_its_acknowledgement_counts(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic, enable_exactly_once_delivery=True)
    answers: queue.Queue[Any] = queue.Queue()
    pulling = pubsub.subscriber.subscribe(reader, callback=lambda message: answers.put(message.ack_with_response()))
    pubsub.publish(topic, "a")
    assert answers.get(timeout=30).result(30) == pubsub_v1.subscriber.exceptions.AcknowledgeStatus.SUCCESS
    pulling.cancel()
    pulling.result(20)


def test_a_message_that_is_given_back_comes_again(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic)
    seen: queue.Queue[str] = queue.Queue()

    def take(message: Any) -> None:
        seen.put(message.message_id)
        if seen.qsize() == 1:
            message.nack()
        else:
            message.ack()

    pulling = pubsub.subscriber.subscribe(reader, callback=take)
    (sent,) = pubsub.publish(topic, "a")
    eventually(lambda: seen.qsize() >= 2)
    assert {seen.get(), seen.get()} == {sent}
    pulling.cancel()
    pulling.result(20)


def test_no_more_is_sent_than_the_subscriber_wants_outstanding(pubsub: PubSub, streams: Any) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic)
    pubsub.publish(topic, *"abcd")
    stream = streams(reader, max_outstanding_messages=2)
    assert stream.texts(2) == ["a", "b"]
    assert pubsub.texts(reader) == ["c", "d"]  # They were not lent to the stream.
    pubsub.publish(topic, "e", "f")
    stream.say(ack_ids=[stream.received[0].ack_id])
    assert stream.texts(1) == ["e"]
    pubsub.acknowledge(reader, stream.received[1])  # By a call of its own, as the client does it.
    assert stream.texts(1) == ["f"]


def test_bytes_outstanding_are_limited_too(pubsub: PubSub, streams: Any) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic)
    stream = streams(reader, max_outstanding_bytes=1000)
    pubsub.publish(topic, "x" * 2000)
    assert stream.texts(1) == ["x" * 2000]
    pubsub.publish(topic, "second")
    assert pubsub.texts(reader) == ["second"]
    pubsub.publish(topic, "third")
    stream.say(modify_deadline_ack_ids=[stream.received[0].ack_id], modify_deadline_seconds=[0])
    assert stream.texts(1) == ["x" * 2000]
    stream.say(ack_ids=[stream.received[1].ack_id])
    assert stream.texts(1) == ["third"]


def test_a_lease_that_is_over_makes_room_and_the_message_comes_again(
    cloud: Cloud, pubsub: PubSub, streams: Any
) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic)
    pubsub.publish(topic, "a")
    stream = streams(reader, max_outstanding_messages=1)
    assert stream.texts(1) == ["a"]
    cloud.advance(seconds=10.1)
    assert stream.texts(1) == ["a"]


def test_a_lease_that_is_extended_on_the_stream_holds(cloud: Cloud, pubsub: PubSub, streams: Any) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic, enable_exactly_once_delivery=True)
    pubsub.publish(topic, "a")
    stream = streams(reader)
    stream.texts(1)
    ack_id = stream.received[0].ack_id
    stream.say(modify_deadline_ack_ids=[ack_id], modify_deadline_seconds=[60])
    assert list(next(stream.answers).modify_ack_deadline_confirmation.ack_ids) == [ack_id]
    cloud.advance(seconds=50)
    assert pubsub.pull(reader) == []
    stream.say(ack_ids=[ack_id])
    assert list(next(stream.answers).acknowledge_confirmation.ack_ids) == [ack_id]
    stream.say(ack_ids=[ack_id])
    assert list(next(stream.answers).acknowledge_confirmation.invalid_ack_ids) == [ack_id]


@pytest.mark.parametrize(
    ("first", "error"),
    [
        ({"stream_ack_deadline_seconds": 9}, exceptions.InvalidArgument),
        ({"subscription": ""}, exceptions.InvalidArgument),
        ({"subscription": "projects/fog-project/subscriptions/nobody"}, exceptions.NotFound),
        ({"ack_ids": ["made-up"]}, exceptions.InvalidArgument),
    ],
)
def test_a_stream_that_begins_badly_ends_with_why(pubsub: PubSub, first: dict[str, Any], error: Any) -> None:
    reader = pubsub.subscription(pubsub.topic())
    request = {"subscription": reader, "stream_ack_deadline_seconds": 10} | first
    answers = pubsub.subscriber.streaming_pull(requests=iter([pubsub_v1.types.StreamingPullRequest(**request)]))
    with pytest.raises(error):
        list(answers)


def test_a_stream_ends_when_its_subscription_is_deleted(pubsub: PubSub, streams: Any) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic)
    pubsub.publish(topic, "a")
    stream = streams(reader)
    stream.texts(1)
    pubsub.subscriber.delete_subscription(request={"subscription": reader})
    with pytest.raises(exceptions.NotFound):
        next(stream.answers)
