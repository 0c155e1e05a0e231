"""Subscriptions' settings, snapshots and seeking, by Google's own client."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import pytest
from google.api_core import exceptions
from google.protobuf import duration_pb2, field_mask_pb2

from tests.support.google import PROJECT

if TYPE_CHECKING:
    from tests.support.cloud import Cloud
    from tests.support.google import PubSub


def test_what_nobody_says_is_as_the_service_has_it(pubsub: PubSub) -> None:
    reader = pubsub.subscription(pubsub.topic())
    found = pubsub.subscriber.get_subscription(request={"subscription": reader})
    assert found.ack_deadline_seconds == 10
    assert found.message_retention_duration.days == 7
    assert found.expiration_policy.ttl.days == 31
    assert found.state.name == "ACTIVE" and not found.retain_acked_messages


def test_a_subscription_needs_its_topic_and_a_name_of_its_own(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    pubsub.subscription(topic)
    with pytest.raises(exceptions.AlreadyExists, match=r"\(resource=reader\)"):
        pubsub.subscription(topic)
    with pytest.raises(exceptions.NotFound, match=r"\(resource=nothing\)"):
        pubsub.subscription(topic.replace("news", "nothing"), "another")


@pytest.mark.parametrize(
    "settings",
    [
        {"ack_deadline_seconds": 9},
        {"ack_deadline_seconds": 601},
        {"message_retention_duration": duration_pb2.Duration(seconds=599)},
        {"dead_letter_policy": {"dead_letter_topic": "projects/p/topics/dead", "max_delivery_attempts": 4}},
        {"dead_letter_policy": {"dead_letter_topic": "dead"}},
        {"expiration_policy": {"ttl": duration_pb2.Duration(seconds=86_399)}},
        {"message_retention_duration": duration_pb2.Duration(seconds=3600, nanos=-5)},
        {"retry_policy": {"minimum_backoff": duration_pb2.Duration(seconds=601)}},
        {"push_config": {"push_endpoint": "nowhere"}},
    ],
)
def test_settings_have_their_bounds(pubsub: PubSub, settings: dict[str, object]) -> None:
    topic = pubsub.topic()
    with pytest.raises(exceptions.InvalidArgument):
        pubsub.subscription(topic, **settings)


def test_what_is_not_served_is_refused_by_name(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    with pytest.raises(exceptions.MethodNotImplemented, match=r"Subscription\.bigquery_config"):
        pubsub.subscription(topic, bigquery_config={"table": "p.d.t"})


def test_an_update_changes_what_its_mask_names_and_nothing_else(pubsub: PubSub) -> None:
    reader = pubsub.subscription(pubsub.topic(), filter="attributes:a", labels={"team": "a"})
    change = {"name": reader, "ack_deadline_seconds": 60, "labels": {"team": "b"}, "filter": "attributes:b"}

    def update(*paths: str) -> object:
        mask = field_mask_pb2.FieldMask(paths=paths)
        return pubsub.subscriber.update_subscription(request={"subscription": change, "update_mask": mask})

    updated = update("ack_deadline_seconds")
    assert (updated.ack_deadline_seconds, dict(updated.labels)) == (60, {"team": "a"})  # type: ignore[attr-defined]
    with pytest.raises(exceptions.InvalidArgument, match="'filter' field in the Subscription is not mutable"):
        update("filter", "labels")
    with pytest.raises(exceptions.InvalidArgument, match="non-empty paths list"):
        update()
    with pytest.raises(exceptions.InvalidArgument, match="no field of the Subscription"):
        update("labels.team")
    found = pubsub.subscriber.get_subscription(request={"subscription": reader})
    assert (dict(found.labels), found.filter) == ({"team": "a"}, "attributes:a")


def test_a_subscription_that_is_made_again_is_empty(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic)
    pubsub.publish(topic, "a")
    pubsub.subscriber.delete_subscription(request={"subscription": reader})
    with pytest.raises(exceptions.NotFound):
        pubsub.pull(reader)
    assert pubsub.subscription(topic) == reader
    assert pubsub.pull(reader) == []


def test_a_detached_subscription_has_no_messages_and_gets_none(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic)
    pubsub.publish(topic, "a")
    pubsub.publisher.detach_subscription(request={"subscription": reader})
    assert pubsub.subscriber.get_subscription(request={"subscription": reader}).detached
    assert list(pubsub.publisher.list_topic_subscriptions(request={"topic": topic})) == []
    with pytest.raises(exceptions.FailedPrecondition, match="detached"):
        pubsub.pull(reader)


def moment(cloud: Cloud) -> datetime:
    return datetime.fromtimestamp(cloud.clock.now_ms() / 1000, UTC)


def test_seeking_forward_acknowledges_what_is_older(cloud: Cloud, pubsub: PubSub) -> None:
    reader = pubsub.subscription(topic := pubsub.topic())
    pubsub.publish(topic, "old")
    cloud.advance(seconds=10)
    now = moment(cloud)
    pubsub.publish(topic, "young")
    pubsub.subscriber.seek(request={"subscription": reader, "time": now})
    assert pubsub.texts(reader) == ["young"]


def test_seeking_back_brings_what_was_acknowledged_if_it_is_retained(cloud: Cloud, pubsub: PubSub) -> None:
    topic = pubsub.topic()
    keeps = pubsub.subscription(topic, "keeps", retain_acked_messages=True)
    drops = pubsub.subscription(topic, "drops")
    pubsub.publish(topic, "first")
    cloud.advance(seconds=10)
    since = moment(cloud)
    pubsub.publish(topic, "second", "third")
    for reader in (keeps, drops):
        pubsub.acknowledge(reader, *pubsub.pull(reader))
        pubsub.subscriber.seek(request={"subscription": reader, "time": since})
    assert pubsub.texts(keeps) == ["second", "third"]
    assert pubsub.texts(drops) == []


def test_a_topics_retention_serves_a_subscription_that_is_made_later(cloud: Cloud, pubsub: PubSub) -> None:
    topic = pubsub.topic(message_retention_duration=duration_pb2.Duration(seconds=3600))
    since = moment(cloud)
    pubsub.publish(topic, "red", color="red")
    pubsub.publish(topic, "blue", color="blue")
    late = pubsub.subscription(topic, "late", filter='attributes.color = "red"')
    assert pubsub.texts(late) == []
    pubsub.subscriber.seek(request={"subscription": late, "time": since})
    assert pubsub.texts(late) == ["red"]


def test_a_snapshot_brings_back_what_was_not_acknowledged_and_what_came_since(cloud: Cloud, pubsub: PubSub) -> None:
    reader = pubsub.subscription(topic := pubsub.topic())
    pubsub.publish(topic, "acknowledged", "open")
    pubsub.acknowledge(reader, pubsub.pull(reader)[0])
    snapshot = f"projects/{PROJECT}/snapshots/before"
    made = pubsub.subscriber.create_snapshot(request={"name": snapshot, "subscription": reader})
    assert made.topic == topic
    pubsub.publish(topic, "since")
    cloud.advance(seconds=11)
    pubsub.acknowledge(reader, *pubsub.pull(reader))
    assert pubsub.texts(reader) == []
    pubsub.subscriber.seek(request={"subscription": reader, "snapshot": snapshot})
    assert pubsub.texts(reader) == ["open", "since"]
    assert list(pubsub.publisher.list_topic_snapshots(request={"topic": topic})) == [snapshot]
    pubsub.subscriber.delete_snapshot(request={"snapshot": snapshot})
    with pytest.raises(exceptions.NotFound, match=r"\(resource=before\)"):
        pubsub.subscriber.seek(request={"subscription": reader, "snapshot": snapshot})


def test_a_snapshot_is_gone_after_a_week(cloud: Cloud, pubsub: PubSub) -> None:
    reader = pubsub.subscription(pubsub.topic())
    request = {"name": f"projects/{PROJECT}/snapshots/before", "subscription": reader}
    pubsub.subscriber.create_snapshot(request=request)
    cloud.advance(seconds=7 * 86_400 - 10)
    project = {"project": f"projects/{PROJECT}"}
    assert len(list(pubsub.subscriber.list_snapshots(request=project))) == 1
    cloud.advance(seconds=20)
    assert list(pubsub.subscriber.list_snapshots(request=project)) == []


def test_everything_is_there_over_rest_as_well(cloud: Cloud, pubsub: PubSub) -> None:
    api = httpx.Client(base_url=f"{cloud.url}/v1/projects/{PROJECT}")
    assert api.put("/topics/news").json() == {"name": f"projects/{PROJECT}/topics/news", "state": "ACTIVE"}
    made = api.put("/subscriptions/reader", json={"topic": f"projects/{PROJECT}/topics/news"}).json()
    assert made["ackDeadlineSeconds"] == 10 and made["messageRetentionDuration"] == "604800s"
    published = api.post("/topics/news:publish", json={"messages": [{"data": "aGk=", "attributes": {"a": "b"}}]}).json()
    pulled = api.post("/subscriptions/reader:pull", json={"maxMessages": 10, "returnImmediately": True}).json()
    (received,) = pulled["receivedMessages"]
    assert received["message"]["data"] == "aGk=" and [received["message"]["messageId"]] == published["messageIds"]
    assert api.post("/subscriptions/reader:acknowledge", json={"ackIds": [received["ackId"]]}).json() == {}
    listed = api.get("/topics", params={"pageSize": 1}).json()
    assert [one["name"] for one in listed["topics"]] == [f"projects/{PROJECT}/topics/news"]
    missing = api.get("/topics/nothing")
    assert missing.json()["error"] == {
        "code": 404, "message": "Resource not found (resource=nothing).", "status": "NOT_FOUND",
    }  # fmt: skip
    patch = {"subscription": {"ackDeadlineSeconds": 20}, "updateMask": "ackDeadlineSeconds"}
    assert api.patch("/subscriptions/reader", json=patch).json()["ackDeadlineSeconds"] == 20
