"""Topics and publishing, by Google's own client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.api_core import exceptions
from google.protobuf import duration_pb2, field_mask_pb2
from google.pubsub_v1 import PublisherClient as Publisher

from tests.support.google import PROJECT

if TYPE_CHECKING:
    from tests.support.google import PubSub


def test_a_topic_is_made_found_listed_and_deleted(pubsub: PubSub) -> None:
    topic = pubsub.topic("news", labels={"team": "a"})
    assert dict(pubsub.publisher.get_topic(request={"topic": topic}).labels) == {"team": "a"}
    assert [one.name for one in pubsub.publisher.list_topics(request={"project": f"projects/{PROJECT}"})] == [topic]
    pubsub.publisher.delete_topic(request={"topic": topic})
    with pytest.raises(exceptions.NotFound, match=r"Resource not found \(resource=news\)\."):
        pubsub.publisher.get_topic(request={"topic": topic})


def test_a_name_is_taken_once_and_has_its_form(pubsub: PubSub) -> None:
    pubsub.topic("news")
    with pytest.raises(exceptions.AlreadyExists, match=r"Resource already exists in the project \(resource=news\)\."):
        pubsub.topic("news")
    for bad in ("ab", "1abc", "goog-mine", "a b c", "x" * 256):
        with pytest.raises(exceptions.InvalidArgument, match="Invalid resource name given"):
            pubsub.topic(bad)


def test_lists_come_in_pages(pubsub: PubSub) -> None:
    made = [pubsub.topic(f"topic-{number}") for number in range(5)]
    request = {"project": f"projects/{PROJECT}", "page_size": 2}
    pages = list(pubsub.publisher.list_topics(request=request).pages)
    assert [[one.name for one in page.topics] for page in pages] == [made[:2], made[2:4], made[4:]]
    with pytest.raises(exceptions.InvalidArgument, match="page token"):
        list(pubsub.publisher.list_topics(request={**request, "page_token": "!"}))


def test_an_update_changes_what_its_mask_names(pubsub: PubSub) -> None:
    topic = pubsub.topic("news", labels={"team": "a"})
    change = {"name": topic, "labels": {"team": "b"}, "message_retention_duration": duration_pb2.Duration(seconds=3600)}
    mask = field_mask_pb2.FieldMask(paths=["message_retention_duration"])
    updated = pubsub.publisher.update_topic(request={"topic": change, "update_mask": mask})
    assert dict(updated.labels) == {"team": "a"}
    assert updated.message_retention_duration.total_seconds() == 3600
    with pytest.raises(exceptions.InvalidArgument, match="must contain a non-empty paths list"):
        pubsub.publisher.update_topic(request={"topic": change})
    with pytest.raises(exceptions.InvalidArgument, match="'name' field in the Topic is not mutable"):
        mask = field_mask_pb2.FieldMask(paths=["name"])
        pubsub.publisher.update_topic(request={"topic": change, "update_mask": mask})


def test_a_deleted_topics_subscription_stays_with_its_messages(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic)
    pubsub.publish(topic, "before")
    pubsub.publisher.delete_topic(request={"topic": topic})
    assert pubsub.subscriber.get_subscription(request={"subscription": reader}).topic == "_deleted-topic_"
    pubsub.topic()  # Another of the same name is not the one it belonged to.
    pubsub.publish(topic, "after")
    assert pubsub.texts(reader) == ["before"]


def test_every_subscription_gets_every_message_and_ids_grow(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    readers = [pubsub.subscription(topic, f"reader-{number}") for number in range(3)]
    ids = pubsub.publish(topic, "a", "b", color="red")
    assert ids == sorted(ids) and all(one.isdigit() for one in ids)
    for reader in readers:
        received = pubsub.pull(reader)
        assert [one.message.data for one in received] == [b"a", b"b"]
        assert [one.message.message_id for one in received] == ids
        assert dict(received[0].message.attributes) == {"color": "red"}
    listed = pubsub.publisher.list_topic_subscriptions(request={"topic": topic})
    assert list(listed) == readers


def test_bytes_come_as_they_were_sent(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic)
    data = bytes(range(256)) * 1000
    pubsub.publisher.publish(topic, data).result(20)
    assert pubsub.pull(reader)[0].message.data == data


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([], "minimum value is 1"),
        ([{"data": b"x"}] * 1001, "maximum value is 1000"),
        ([{"data": b"x" * 10_000_001}], "request_size is too large"),
        ([{"data": b""}], "Each message must contain either non-empty data, or at least one attribute"),
        ([{"data": b"x", "attributes": {str(one): "" for one in range(101)}}], "too many attributes"),
        ([{"data": b"x", "attributes": {"k" * 257: ""}}], "Invalid attribute key"),
        ([{"data": b"x", "attributes": {"googly": ""}}], "Invalid attribute key"),
        ([{"data": b"x", "attributes": {"k": "v" * 1025}}], "too long"),
        ([{"data": b"x", "ordering_key": "k" * 1025}], "too long"),
    ],
)
def test_what_is_beyond_the_limits_is_refused_whole(pubsub: PubSub, messages: list[object], why: str) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic)
    with pytest.raises(exceptions.InvalidArgument, match=why):
        Publisher.publish(pubsub.publisher, request={"topic": topic, "messages": messages})
    assert pubsub.pull(reader) == []


def test_what_is_not_served_is_refused_by_name(pubsub: PubSub) -> None:
    with pytest.raises(exceptions.MethodNotImplemented, match=r"Topic\.kms_key_name"):
        pubsub.topic("sealed", kms_key_name="projects/p/locations/l/keyRings/r/cryptoKeys/k")
