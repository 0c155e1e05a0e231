"""Triggers, as Google's own client makes and changes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from google.api_core import exceptions
from google.protobuf import field_mask_pb2

from tests.gcp.services.eventarc.conftest import PARENT
from tests.support.google import PROJECT

if TYPE_CHECKING:
    from google.cloud import eventarc_v1

    from tests.support.cloud import Cloud
    from tests.support.google import PubSub

PUBLISHED = {"attribute": "type", "value": "google.cloud.pubsub.topic.v1.messagePublished"}
WRITTEN = {"attribute": "type", "value": "google.cloud.firestore.document.v1.written"}
DATABASE = {"attribute": "database", "value": "(default)"}
PATTERN = {"attribute": "document", "operator": "match-path-pattern"}
HTTP = {"http_endpoint": {"uri": "http://127.0.0.1:1/hook"}}


def make(eventarc: eventarc_v1.EventarcClient, name: str = "mine", **settings: Any) -> eventarc_v1.Trigger:
    given = {"event_filters": [PUBLISHED], "destination": HTTP, **settings}
    request = {"parent": PARENT, "trigger_id": name, "trigger": given}
    made: eventarc_v1.Trigger = eventarc.create_trigger(request=request).result(timeout=30)
    return made


def test_a_trigger_is_made_with_its_topic_and_subscription(
    eventarc: eventarc_v1.EventarcClient, pubsub: PubSub
) -> None:
    made = make(eventarc, labels={"team": "a"})
    assert made.name == f"{PARENT}/triggers/mine" and made.uid and made.etag
    assert made.event_data_content_type == "application/json"
    carried = made.transport.pubsub
    assert carried.topic.startswith(f"projects/{PROJECT}/topics/eventarc-us-central1-mine-")
    subscription = pubsub.subscriber.get_subscription(request={"subscription": carried.subscription})
    assert subscription.name.startswith(f"projects/{PROJECT}/subscriptions/eventarc-us-central1-mine-sub-")
    assert subscription.topic == carried.topic and subscription.message_retention_duration.days == 1
    backoff = subscription.retry_policy
    assert (backoff.minimum_backoff.seconds, backoff.maximum_backoff.seconds) == (10, 600)
    assert eventarc.get_trigger(name=made.name) == made
    assert list(eventarc.list_triggers(parent=PARENT)) == [made]
    assert list(eventarc.list_triggers(parent=f"projects/{PROJECT}/locations/-")) == [made]
    with pytest.raises(exceptions.AlreadyExists):
        make(eventarc)


def test_a_deleted_trigger_takes_its_transport_with_it(eventarc: eventarc_v1.EventarcClient, pubsub: PubSub) -> None:
    made = make(eventarc)
    with pytest.raises(exceptions.Aborted):
        eventarc.delete_trigger(request={"name": made.name, "etag": "another"})
    assert eventarc.delete_trigger(name=made.name).result(timeout=30) == made
    for ask, missing in (
        (eventarc.get_trigger, {"name": made.name}),
        (eventarc.delete_trigger, {"name": made.name}),
        (pubsub.publisher.get_topic, {"topic": made.transport.pubsub.topic}),
        (pubsub.subscriber.get_subscription, {"subscription": made.transport.pubsub.subscription}),
    ):
        with pytest.raises(exceptions.NotFound):
            ask(request=missing)
    eventarc.delete_trigger(request={"name": made.name, "allow_missing": True}).result(timeout=30)


def test_a_topic_that_was_there_stays(eventarc: eventarc_v1.EventarcClient, pubsub: PubSub) -> None:
    topic = pubsub.topic("orders")
    made = make(eventarc, transport={"pubsub": {"topic": topic}})
    assert made.transport.pubsub.topic == topic
    eventarc.delete_trigger(name=made.name).result(timeout=30)
    assert pubsub.publisher.get_topic(request={"topic": topic}).name == topic
    with pytest.raises(exceptions.NotFound):
        make(eventarc, transport={"pubsub": {"topic": f"projects/{PROJECT}/topics/nothing"}})


def test_other_documents_are_listened_to_after_an_update(eventarc: eventarc_v1.EventarcClient) -> None:
    made = make(eventarc, event_filters=[WRITTEN, DATABASE])
    filters = [WRITTEN, DATABASE, {**PATTERN, "value": "users/{user}"}]
    change = {"name": made.name, "event_filters": filters, "labels": {"a": "b"}}
    mask = field_mask_pb2.FieldMask(paths=["event_filters", "labels"])
    updated = eventarc.update_trigger(trigger=change, update_mask=mask, allow_missing=False).result(timeout=30)
    assert (
        len(updated.event_filters) == 3 and updated.transport == made.transport and dict(updated.labels) == {"a": "b"}
    )
    with pytest.raises(exceptions.InvalidArgument, match="type of a trigger's events cannot be changed"):
        change["event_filters"] = [PUBLISHED]
        eventarc.update_trigger(trigger=change, update_mask=mask, allow_missing=False)
    chosen = {"pubsub": {"topic": f"projects/{PROJECT}/topics/mine"}}
    with pytest.raises(exceptions.InvalidArgument, match="cannot be chosen"):
        make(eventarc, "other", event_filters=[WRITTEN, DATABASE], transport=chosen)


def test_an_update_changes_what_its_mask_names(eventarc: eventarc_v1.EventarcClient, pubsub: PubSub) -> None:
    made = make(eventarc, labels={"team": "a"})
    change = {
        "name": made.name,
        "labels": {"team": "b"},
        "destination": {"http_endpoint": {"uri": "http://127.0.0.1:2/"}},
    }
    mask = field_mask_pb2.FieldMask(paths=["destination"])
    updated = eventarc.update_trigger(trigger=change, update_mask=mask, allow_missing=False).result(timeout=30)
    assert updated.destination.http_endpoint.uri == "http://127.0.0.1:2/" and dict(updated.labels) == {"team": "a"}
    shown = pubsub.subscriber.get_subscription(request={"subscription": made.transport.pubsub.subscription})
    assert shown.push_config.push_endpoint.startswith("http://127.0.0.1:2/")
    unmasked = {"name": made.name, "labels": {"team": "c"}}
    updated = eventarc.update_trigger(trigger=unmasked, update_mask=None, allow_missing=False).result(timeout=30)
    assert updated.destination.http_endpoint.uri == "http://127.0.0.1:2/" and dict(updated.labels) == {"team": "c"}
    with pytest.raises(exceptions.InvalidArgument, match="cannot be changed"):
        mask = field_mask_pb2.FieldMask(paths=["transport"])
        eventarc.update_trigger(trigger=change, update_mask=mask, allow_missing=False)


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"event_filters": []}, exceptions.InvalidArgument, 'missing required attribute "type"'),
        ({"event_filters": [PUBLISHED, PUBLISHED]}, exceptions.InvalidArgument, "the same attribute twice"),
        ({"event_filters": [{"attribute": "type", "value": "a.b"}]}, exceptions.InvalidArgument, "invalid value"),
        ({"event_filters": [WRITTEN]}, exceptions.InvalidArgument, 'missing required attribute "database"'),
        ({"event_filters": [PUBLISHED, DATABASE]}, exceptions.InvalidArgument, 'invalid attribute "database"'),
        (
            {"event_filters": [WRITTEN, DATABASE, {**PATTERN, "value": "a/**/b/**"}]},
            exceptions.InvalidArgument, "only one multi-segment wildcard",
        ),
        (
            {"event_filters": [WRITTEN, DATABASE, {"attribute": "document", "value": "a", "operator": "like"}]},
            exceptions.InvalidArgument, "invalid operator",
        ),
        (
            {"event_filters": [{"attribute": "type", "value": "google.cloud.audit.log.v1.written"}]},
            exceptions.MethodNotImplemented, "no audit logs",
        ),
        ({"destination": {}}, exceptions.InvalidArgument, "missing trigger.destination"),
        ({"destination": {"workflow": "w"}}, exceptions.MethodNotImplemented, "destination.workflow"),
        ({"destination": {"http_endpoint": {"uri": "ftp://x"}}}, exceptions.InvalidArgument, "http_endpoint.uri"),
        (
            {"destination": {"cloud_run": {"service": "s", "region": "us-central1", "path": "/a\r\nX: y"}}},
            exceptions.InvalidArgument, "malformed trigger.destination.cloud_run.path",
        ),
        ({"destination": {"cloud_run": {"service": "a/b", "region": "r"}}}, exceptions.InvalidArgument, "must name"),
        ({"destination": {"cloud_function": "a/b/c/d/e/f"}}, exceptions.InvalidArgument, "cloud_function"),
        ({"channel": f"{PARENT}/channels/c"}, exceptions.MethodNotImplemented, "channels of third-party events"),
        ({"event_data_content_type": "text/plain"}, exceptions.InvalidArgument, "is not supported for events"),
        ({"retry_policy": {"max_attempts": 3}}, exceptions.InvalidArgument, "max_attempts"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    eventarc: eventarc_v1.EventarcClient, settings: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        make(eventarc, **settings)
    assert list(eventarc.list_triggers(parent=PARENT)) == []


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a" * 64])
def test_a_name_must_be_one(eventarc: eventarc_v1.EventarcClient, name: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="trigger_id"):
        make(eventarc, name)


def test_a_trigger_that_is_only_validated_is_not_made(eventarc: eventarc_v1.EventarcClient, pubsub: PubSub) -> None:
    given = {"event_filters": [PUBLISHED], "destination": HTTP}
    request = {"parent": PARENT, "trigger_id": "mine", "trigger": given, "validate_only": True}
    eventarc.create_trigger(request=request).result(timeout=30)
    assert list(eventarc.list_triggers(parent=PARENT)) == []
    assert list(pubsub.publisher.list_topics(request={"project": f"projects/{PROJECT}"})) == []


def test_providers_tell_their_events_and_channels_are_refused(eventarc: eventarc_v1.EventarcClient) -> None:
    names = [provider.name.rpartition("/")[2] for provider in eventarc.list_providers(parent=PARENT)]
    assert names == ["firestore.googleapis.com", "pubsub.googleapis.com", "storage.googleapis.com"]
    storage = eventarc.get_provider(name=f"{PARENT}/providers/storage.googleapis.com")
    assert "google.cloud.storage.object.v1.finalized" in [one.type_ for one in storage.event_types]
    assert [one.attribute for one in storage.event_types[0].filtering_attributes] == ["type", "bucket"]
    with pytest.raises(exceptions.NotFound):
        eventarc.get_provider(name=f"{PARENT}/providers/nobody")
    with pytest.raises(exceptions.MethodNotImplemented, match="ListChannels"):
        list(eventarc.list_channels(parent=PARENT))


def test_triggers_are_had_over_rest_too(cloud: Cloud) -> None:
    body = {"eventFilters": [PUBLISHED], "destination": {"httpEndpoint": {"uri": "http://127.0.0.1:1/"}}}
    made = httpx.post(f"{cloud.url}/v1/{PARENT}/triggers?triggerId=mine", json=body).json()
    assert made["done"] and made["metadata"]["verb"] == "create"
    assert httpx.get(f"{cloud.url}/v1/{PARENT}/triggers/mine").json() == {
        key: value for key, value in made["response"].items() if key != "@type"
    }
