"""Changes of objects, told to Pub/Sub in the transaction in which they happen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions

from tests.gcp.services.storage.conftest import client_of, put
from tests.support.google import PROJECT

if TYPE_CHECKING:
    from tests.support.cloud import Cloud
    from tests.support.google import PubSub


def told(pubsub: PubSub, subscription: str) -> list[dict[str, str]]:
    received = pubsub.pull(subscription)
    if received:
        pubsub.acknowledge(subscription, *received)
    return [dict(one.message.attributes) for one in received]


@pytest.fixture
def watched(cloud: Cloud, pubsub: PubSub) -> Any:
    topic = pubsub.topic()
    pubsub.subscription(topic)
    return client_of(cloud).create_bucket("watched")


def test_every_change_is_told_with_the_documented_attributes(watched: Any, pubsub: PubSub) -> None:
    watched.notification("news", topic_project=PROJECT, payload_format="JSON_API_V1").create()
    first = put(watched, "a", "1", content_type="a/b")
    reader = f"projects/{PROJECT}/subscriptions/reader"
    (received,) = pubsub.pull(reader)
    pubsub.acknowledge(reader, received)
    attributes, resource = dict(received.message.attributes), json.loads(received.message.data)
    assert attributes.pop("eventTime").endswith("Z")
    assert attributes == {
        "eventType": "OBJECT_FINALIZE", "bucketId": "watched", "objectId": "a", "payloadFormat": "JSON_API_V1",
        "objectGeneration": str(first.generation),
        "notificationConfig": "projects/_/buckets/watched/notificationConfigs/1",
    }  # fmt: skip
    assert (resource["kind"], resource["name"], resource["contentType"]) == ("storage#object", "a", "a/b")
    assert resource["generation"] == str(first.generation) and "acl" not in resource
    first.metadata = {"x": "1"}
    first.patch()
    second = put(watched, "a", "2")
    second.delete()
    events = told(pubsub, reader)
    assert [event["eventType"] for event in events] == [
        "OBJECT_METADATA_UPDATE", "OBJECT_DELETE", "OBJECT_FINALIZE", "OBJECT_DELETE",
    ]  # fmt: skip
    assert events[1]["overwrittenByGeneration"] == str(second.generation)
    assert events[2]["overwroteGeneration"] == str(first.generation)


def test_a_version_that_becomes_noncurrent_is_archived(watched: Any, pubsub: PubSub) -> None:
    watched.versioning_enabled = True
    watched.patch()
    watched.notification("news", topic_project=PROJECT, payload_format="NONE", event_types=["OBJECT_ARCHIVE"]).create()
    put(watched, "a", "1")
    put(watched, "a", "2")
    watched.blob("a").delete()
    received = pubsub.pull(f"projects/{PROJECT}/subscriptions/reader")
    assert [one.message.attributes["eventType"] for one in received] == ["OBJECT_ARCHIVE"] * 2
    assert [one.message.data for one in received] == [b"", b""]


def test_a_configuration_chooses_by_prefix_and_adds_attributes(watched: Any, pubsub: PubSub) -> None:
    watched.notification(
        "news",
        topic_project=PROJECT,
        payload_format="NONE",
        blob_name_prefix="in/",
        custom_attributes={"colour": "blue"},
    ).create()
    put(watched, "out/a")
    put(watched, "in/a")
    (event,) = told(pubsub, f"projects/{PROJECT}/subscriptions/reader")
    assert (event["objectId"], event["colour"]) == ("in/a", "blue")


def test_what_failed_is_told_to_nobody(watched: Any, pubsub: PubSub) -> None:
    watched.notification("news", topic_project=PROJECT).create()
    with pytest.raises(exceptions.PreconditionFailed):
        put(watched, "a", if_generation_match=5)
    assert told(pubsub, f"projects/{PROJECT}/subscriptions/reader") == []


def test_configurations_are_listed_and_deleted(watched: Any, pubsub: PubSub) -> None:
    made = watched.notification("news", topic_project=PROJECT, payload_format="NONE")
    made.create()
    assert [one.notification_id for one in watched.list_notifications()] == [made.notification_id]
    found = watched.get_notification(made.notification_id)
    assert found._properties["topic"] == f"//pubsub.googleapis.com/projects/{PROJECT}/topics/news"
    made.delete()
    assert list(watched.list_notifications()) == []
    put(watched, "a")
    assert told(pubsub, f"projects/{PROJECT}/subscriptions/reader") == []


def test_a_topic_must_be_there_when_it_is_named_and_may_go_afterwards(watched: Any, pubsub: PubSub) -> None:
    with pytest.raises(exceptions.BadRequest, match="does not exist"):
        watched.notification("no-news", topic_project=PROJECT).create()
    watched.notification("news", topic_project=PROJECT).create()
    pubsub.publisher.delete_topic(topic=f"projects/{PROJECT}/topics/news")
    put(watched, "a")


def test_ten_configurations_may_wait_for_one_event(watched: Any) -> None:
    for _ in range(10):
        watched.notification("news", topic_project=PROJECT, event_types=["OBJECT_DELETE"]).create()
    with pytest.raises(exceptions.BadRequest, match="10 configurations for OBJECT_DELETE"):
        watched.notification("news", topic_project=PROJECT).create()
    watched.notification("news", topic_project=PROJECT, event_types=["OBJECT_FINALIZE"]).create()
