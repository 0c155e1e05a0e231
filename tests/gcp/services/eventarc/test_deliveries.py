"""What receivers are sent: read by the CloudEvents SDK and by Google's published types of events."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
from cloudevents.http import CloudEvent, from_http
from google.cloud import eventarc_v1
from google.cloud import firestore as google_firestore
from google.events.cloud import firestore as firestore_events

from tests.gcp.services.eventarc.test_triggers import DATABASE, PUBLISHED, WRITTEN, make
from tests.support.google import PROJECT
from tests.support.receiver import Received, Receiver
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud
    from tests.support.google import PubSub

USERS = {"attribute": "document", "value": "users/{user}", "operator": "match-path-pattern"}


def _event(received: Received) -> CloudEvent:
    event: CloudEvent = from_http(received.headers, received.body)
    return event


def _to(receiver: Receiver) -> dict[str, Any]:
    return {"http_endpoint": {"uri": receiver.url}}


def _of(kind: str, *filters: dict[str, str]) -> list[dict[str, str]]:
    return [{"attribute": "type", "value": f"google.cloud.firestore.document.v1.{kind}"}, DATABASE, *filters]


def test_a_published_message_arrives_as_a_cloud_event(eventarc: eventarc_v1.EventarcClient, pubsub: PubSub) -> None:
    with Receiver() as receiver:
        topic = pubsub.topic("orders")
        made = make(eventarc, destination=_to(receiver), transport={"pubsub": {"topic": topic}})
        (sent,) = pubsub.publish(topic, "hello", color="red")
        eventually(lambda: receiver.requests)
        event = _event(receiver.requests[0])
        assert event["type"] == PUBLISHED["value"] and event["source"] == f"//pubsub.googleapis.com/{topic}"
        assert event["id"] == sent and event["time"] == "2027-01-15T08:00:00Z"
        assert event.data["subscription"] == made.transport.pubsub.subscription
        assert base64.b64decode(event.data["message"]["data"]) == b"hello"
        assert event.data["message"]["attributes"] == {"color": "red"}


def test_a_change_of_a_document_arrives_as_its_protobuf_event(
    eventarc: eventarc_v1.EventarcClient, firestore: google_firestore.Client
) -> None:
    with Receiver() as receiver:
        protobuf = "application/protobuf"
        make(eventarc, event_filters=_of("written", USERS), destination=_to(receiver), event_data_content_type=protobuf)
        marie = firestore.document("users/marie")
        marie.set({"name": "Marie", "tags": {"a": 1, "b": 2}, "n": 1})
        marie.update({"tags.a": 3, "n": google_firestore.DELETE_FIELD})
        marie.update({"tags.a": 3})  # "A no-op write doesn't generate … events."
        firestore.document("users/marie/posts/1").set({"x": 1})  # Not below the pattern.
        marie.delete()
        eventually(lambda: len(receiver.requests) == 3)
        # "Ordering is not guaranteed": here they are put in order by what they tell.
        requests = sorted(receiver.requests, key=lambda one: one.headers["ce-time"])
        for request in requests:
            assert request.headers["content-type"] == protobuf
            assert request.headers["ce-type"] == WRITTEN["value"]
            assert request.headers["ce-source"] == f"//firestore.googleapis.com/projects/{PROJECT}/databases/(default)"
            assert request.headers["ce-subject"] == "documents/users/marie"
            told = {name: request.headers[f"ce-{name}"] for name in ("database", "namespace", "document", "project")}
            expected = {"database": "(default)", "namespace": "(default)", "document": "users/marie"}
            assert request.headers["ce-location"] == "nam5"
            assert told == expected | {"project": PROJECT}
        created, updated, deleted = (firestore_events.DocumentEventData.deserialize(one.body) for one in requests)
        name = f"projects/{PROJECT}/databases/(default)/documents/users/marie"
        assert created.value.name == name and created.value.fields["name"].string_value == "Marie"
        assert not created.old_value.name and not created.update_mask.field_paths
        assert list(updated.update_mask.field_paths) == ["n", "tags.a"]
        assert updated.old_value.fields["tags"].map_value.fields["a"].integer_value == 1
        assert updated.value.fields["tags"].map_value.fields["a"].integer_value == 3
        assert updated.value.update_time > updated.value.create_time == created.value.create_time
        assert not deleted.value.name and deleted.old_value.name == name


def test_each_type_tells_of_its_kind_of_change_alone(
    eventarc: eventarc_v1.EventarcClient, firestore: google_firestore.Client
) -> None:
    kinds = ("created", "updated", "deleted", "created.withAuthContext")
    with Receiver() as receiver:
        for kind in kinds:
            make(eventarc, kind.lower().replace(".", "-"), event_filters=_of(kind), destination=_to(receiver))
        document = firestore.document("a/b")
        document.set({"x": 1})
        document.set({"x": 2})
        document.delete()
        eventually(lambda: len(receiver.requests) == 4)
        found = {
            one.headers["ce-type"].removeprefix("google.cloud.firestore.document.v1.") for one in receiver.requests
        }
        assert found == set(kinds)
        (with_context,) = [one for one in receiver.requests if one.headers["ce-type"].endswith("withAuthContext")]
        assert with_context.headers["ce-authtype"] == "unknown"
        assert json.loads(with_context.body)["value"]["fields"] == {"x": {"integerValue": "1"}}


def test_other_databases_and_paths_are_not_told(
    eventarc: eventarc_v1.EventarcClient, firestore: google_firestore.Client
) -> None:
    exact = {"attribute": "document", "value": "users/marie"}
    with Receiver() as receiver, Receiver() as other:
        make(eventarc, "exact", event_filters=_of("written", exact), destination=_to(receiver))
        elsewhere = {**DATABASE, "value": "second"}
        make(eventarc, "elsewhere", event_filters=[WRITTEN, elsewhere], destination=_to(other))
        firestore.document("users/jean").set({"x": 1})
        firestore.document("users/marie").set({"x": 1})
        eventually(lambda: receiver.requests)
        assert [one.headers["ce-document"] for one in receiver.requests] == ["users/marie"] and not other.requests


def test_names_that_are_no_ascii_are_encoded_in_headers(
    eventarc: eventarc_v1.EventarcClient, firestore: google_firestore.Client
) -> None:
    with Receiver() as receiver:
        make(eventarc, event_filters=_of("written"), destination=_to(receiver))
        firestore.document('cafés/à "la" 100%').set({"x": 1})
        eventually(lambda: receiver.requests)
        assert receiver.requests[0].headers["ce-document"] == "caf%C3%A9s/%C3%A0%20%22la%22%20100%25"


def test_what_somebody_publishes_to_a_triggers_topic_adds_no_headers_of_theirs(
    eventarc: eventarc_v1.EventarcClient, pubsub: PubSub
) -> None:
    with Receiver() as receiver:
        made = make(eventarc, event_filters=_of("written"), destination=_to(receiver))
        attributes = {"ce-id": "1\r\nx-bad: 1", "authorization": "me", "ce-x\r\ny": "1", "content-type": "a/b\r\nz: 1"}
        pubsub.publish(made.transport.pubsub.topic, "hello", **attributes)
        eventually(lambda: receiver.requests)
        headers = receiver.requests[0].headers
        assert headers["ce-id"] == "1%0D%0Ax-bad:%201" and headers["content-type"] == "a/b%0D%0Az:%201"
        assert not {"authorization", "x-bad", "y", "z"} & headers.keys() and receiver.requests[0].body == b"hello"


def test_what_fails_is_tried_again_after_ten_seconds_and_then_more(
    cloud: Cloud, eventarc: eventarc_v1.EventarcClient, firestore: google_firestore.Client
) -> None:
    answers = [500, 404, 204]
    with Receiver(lambda _: answers.pop(0)) as receiver:
        make(eventarc, event_filters=_of("written"), destination=_to(receiver))
        firestore.document("a/b").set({"x": 1})
        eventually(lambda: len(receiver.requests) == 1)
        for count, seconds in ((2, 10), (3, 20)):
            _settled(cloud)
            cloud.advance(seconds=seconds - 0.001)
            assert len(receiver.requests) == count - 1
            cloud.advance(seconds=0.001)
            eventually(lambda count=count: len(receiver.requests) == count)  # type: ignore[misc]
        assert len({request.headers["ce-id"] for request in receiver.requests}) == 1


def _settled(cloud: Cloud) -> None:
    """All that was on its way has been answered, and that is kept."""
    eventually(lambda: cloud.run(cloud.server.store.transact(_waits)))


def _waits(tx: Any) -> bool:
    from fogbank.primitives.queues import MESSAGES

    return all(message.moved for _, message in MESSAGES.scan(tx))


def test_an_event_for_one_attempt_is_not_tried_again(
    cloud: Cloud, eventarc: eventarc_v1.EventarcClient, pubsub: PubSub
) -> None:
    with Receiver(lambda _: 500) as receiver:
        topic = pubsub.topic("orders")
        settings = {"transport": {"pubsub": {"topic": topic}}, "retry_policy": {"max_attempts": 1}}
        make(eventarc, destination=_to(receiver), **settings)
        pubsub.publish(topic, "hello")
        eventually(lambda: receiver.requests)
        eventually(lambda: cloud.run(cloud.server.store.transact(_is_empty)))
        cloud.advance(seconds=3600)
        assert len(receiver.requests) == 1


def _is_empty(tx: Any) -> bool:
    from fogbank.primitives.queues import MESSAGES

    return not list(MESSAGES.scan(tx))


def test_what_nobody_takes_goes_to_the_dead_letter_topic(
    cloud: Cloud, eventarc: eventarc_v1.EventarcClient, firestore: google_firestore.Client, pubsub: PubSub
) -> None:
    with Receiver(lambda _: 500) as receiver:
        dead = pubsub.topic("dead")
        reader = pubsub.subscription(dead)
        made = make(eventarc, event_filters=_of("created"), destination=_to(receiver))
        policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
        changed = {"name": made.transport.pubsub.subscription, "dead_letter_policy": policy}
        pubsub.subscriber.update_subscription(
            request={"subscription": changed, "update_mask": {"paths": ["dead_letter_policy"]}}
        )
        firestore.document("a/b").set({"x": 1})
        (forwarded,) = eventually(lambda: pubsub.pull(reader) or cloud.advance(seconds=60), within_s=60)
        assert forwarded.message.attributes["ce-document"] == "a/b"
        assert forwarded.message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
        eventually(lambda: len(receiver.requests) == 5)


def test_events_wait_out_a_restart(
    cloud: Cloud, eventarc: eventarc_v1.EventarcClient, firestore: google_firestore.Client
) -> None:
    answers = [500]
    with Receiver(lambda _: answers.pop() if answers else 200) as receiver:
        make(eventarc, event_filters=_of("written"), destination=_to(receiver))
        firestore.document("a/b").set({"x": 1})
        eventually(lambda: len(receiver.requests) == 1)
        _settled(cloud)
        cloud.restart()
        cloud.advance(seconds=10)
        eventually(lambda: len(receiver.requests) == 2)


def test_a_deleted_trigger_leaves_nothing_behind(
    cloud: Cloud, eventarc: eventarc_v1.EventarcClient, firestore: google_firestore.Client
) -> None:
    from fogbank.gcp.services.eventarc import state
    from fogbank.gcp.services.firestore import feed

    def listened(tx: Any) -> tuple[bool, int]:
        return feed.is_open(tx, PROJECT), len(state.RECEIVERS.all(tx))

    names = [make(eventarc, name, event_filters=_of("written")).name for name in ("one", "two")]
    assert cloud.run(cloud.server.store.transact(listened)) == (True, 2)
    for at, name in enumerate(names):
        eventarc.delete_trigger(name=name).result(timeout=30)
        assert cloud.run(cloud.server.store.transact(listened)) == (at == 0, 1 - at)
    firestore.document("a/b").set({"x": 1})
    assert cloud.run(cloud.server.store.transact(_is_empty))


def test_to_empty_a_database_is_no_event(
    cloud: Cloud, eventarc: eventarc_v1.EventarcClient, firestore: google_firestore.Client
) -> None:
    with Receiver() as receiver:
        firestore.document("a/b").set({"x": 1})
        make(eventarc, event_filters=_of("deleted"), destination=_to(receiver))
        documents = f"projects/{PROJECT}/databases/(default)/documents"
        assert httpx.delete(f"{cloud.url}/emulator/v1/{documents}").status_code == 200
        assert not firestore.document("a/b").get().exists
        firestore.document("a/c").set({"x": 1})
        firestore.document("a/c").delete()
        eventually(lambda: receiver.requests)
        assert [one.headers["ce-document"] for one in receiver.requests] == ["a/c"]


def test_a_trigger_with_an_account_sends_its_token(eventarc: eventarc_v1.EventarcClient, pubsub: PubSub) -> None:
    with Receiver() as receiver:
        topic = pubsub.topic("orders")
        account = "robot-1@fog.iam.gserviceaccount.com"
        settings = {"transport": {"pubsub": {"topic": topic}}, "service_account": account}
        make(eventarc, destination=_to(receiver), **settings)
        pubsub.publish(topic, "hello")
        eventually(lambda: receiver.requests)
        _, claims, _ = receiver.requests[0].headers["authorization"].removeprefix("Bearer ").split(".")
        told = json.loads(base64.urlsafe_b64decode(claims + "=="))
        assert (told["email"], told["aud"]) == (account, receiver.url)
        assert timedelta(seconds=told["exp"] - told["iat"]) == timedelta(hours=1)


def test_a_push_endpoint_of_somebodys_own_that_looks_like_ours_is_just_an_endpoint(pubsub: PubSub) -> None:
    with Receiver() as receiver:
        topic = pubsub.topic("orders")
        push = {"push_endpoint": f"{receiver.url}?__GCP_CloudEventsMode=CUSTOM_PUBSUB_projects%2Fp%2Ftopics%2Ft"}
        pubsub.subscription(topic, push_config=push)
        pubsub.publish(topic, "hello")
        eventually(lambda: receiver.requests)
        assert json.loads(receiver.requests[0].body)["message"]["data"] == base64.b64encode(b"hello").decode()
