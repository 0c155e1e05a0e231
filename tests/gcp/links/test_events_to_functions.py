"""Real clients publish and write; real functions, of both generations, are run by the events and write documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from google.events.cloud import firestore as firestore_events

from fogbank.gcp.identity import projects
from fogbank.primitives import web_tokens
from fogbank.primitives.queues import MESSAGES
from tests.support.google import PROJECT
from tests.support.google_functions import PARENT
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from google.cloud import firestore as google_firestore

    from tests.gcp.links.conftest import Functions
    from tests.support.cloud import Cloud
    from tests.support.google import PubSub

BEGIN = """
import functions_framework
from google.cloud import firestore
db = firestore.Client()
"""
SECOND = (
    BEGIN
    + """
import base64

@functions_framework.cloud_event
def on_message(event):
    text = base64.b64decode(event.data["message"]["data"]).decode()
    db.collection("processed").add({"text": text, "type": event["type"], "at": firestore.SERVER_TIMESTAMP})

@functions_framework.cloud_event
def on_user(event):
    db.collection("seen").add({"type": event["type"], "document": event["document"], "data": event.data})

@functions_framework.http
def on_request(request):
    from google.auth.transport.requests import Request
    from google.oauth2 import id_token
    token = id_token.fetch_id_token(Request(), "https://other.example")
    db.collection("tokens").add({"token": token})
    told = {"path": request.path, "source": request.headers["ce-source"]}
    db.collection("asked").add(told | {"authorization": request.headers["authorization"]})
    return "", 204

@functions_framework.cloud_event
def on_order(event):
    attempts = db.document("attempts/" + event["id"])
    attempts.set({"n": firestore.Increment(1)}, merge=True)
    if attempts.get().get("n") < 3:
        raise RuntimeError("not yet")
"""
)
FIRST = (
    BEGIN
    + """
import base64

def on_message(data, context):
    text = base64.b64decode(data["data"]).decode()
    db.collection("processed").add({"text": text, "type": context.event_type, "resource": context.resource})

def on_user(data, context):
    db.collection("seen").add({"value": data["value"], "type": context.event_type, "resource": context.resource})
"""
)
PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"
USERS = [
    {"attribute": "database", "value": "(default)"},
    {"attribute": "document", "value": "users/{user}", "operator": "match-path-pattern"},
]


def _documents(firestore: google_firestore.Client, collection: str, count: int = 1) -> list[dict[str, Any]]:
    def found() -> list[dict[str, Any]] | None:
        documents = [each.to_dict() for each in firestore.collection(collection).stream()]
        return documents if len(documents) >= count else None

    return eventually(found, within_s=60)


def test_a_message_and_a_document_run_functions_of_the_2nd_generation(
    functions: Functions, pubsub: PubSub, firestore: google_firestore.Client
) -> None:
    topic = f"projects/{PROJECT}/topics/orders"
    functions.deploy("on_message", SECOND, {"eventType": PUBLISHED, "pubsubTopic": topic})
    written = "google.cloud.firestore.document.v1.written"
    functions.deploy("on_user", SECOND, {"eventType": written, "eventFilters": USERS})
    pubsub.publish(topic, "hello")
    firestore.document("users/marie").set({"name": "Marie"})
    (processed,) = _documents(firestore, "processed")
    assert processed["text"] == "hello" and processed["type"] == PUBLISHED and processed["at"]
    (seen,) = _documents(firestore, "seen")
    assert (seen["type"], seen["document"]) == (written, "users/marie")
    told = firestore_events.DocumentEventData.deserialize(seen["data"])
    assert told.value.fields["name"].string_value == "Marie" and not told.old_value.name


def test_a_message_and_a_document_run_functions_of_the_1st_generation(
    functions: Functions, pubsub: PubSub, firestore: google_firestore.Client
) -> None:
    topic = pubsub.topic("orders")
    functions.deploy_first("on_message", FIRST, {"eventType": "google.pubsub.topic.publish", "resource": topic})
    (name,) = pubsub.publisher.list_topic_subscriptions(request={"topic": topic})
    assert name == f"projects/{PROJECT}/subscriptions/gcf-on_message-us-central1-orders"
    create = "providers/cloud.firestore/eventTypes/document.create"
    resource = f"projects/{PROJECT}/databases/(default)/documents/users/{{user}}"
    functions.deploy_first("on_user", FIRST, {"eventType": create, "resource": resource})
    pubsub.publish(topic, "hello")
    firestore.document("users/marie").set({"name": "Marie"})
    firestore.document("users/marie").set({"name": "Marie Curie"})
    (processed,) = _documents(firestore, "processed")
    assert processed["text"] == "hello" and processed["type"] == "google.pubsub.topic.publish"
    assert processed["resource"]["name"] == topic
    (seen,) = _documents(firestore, "seen")
    assert seen["resource"] == f"projects/{PROJECT}/databases/(default)/documents/users/marie"
    assert seen["type"] == create and seen["value"]["fields"] == {"name": {"stringValue": "Marie"}}
    functions.delete_first("on_message")
    assert list(pubsub.publisher.list_topic_subscriptions(request={"topic": topic})) == []


@pytest.mark.parametrize(("retry", "attempts"), [(True, 3), (False, 1)])
def test_a_function_that_fails_is_tried_again_if_it_asks_for_that(
    cloud: Cloud, functions: Functions, pubsub: PubSub, firestore: google_firestore.Client, retry: bool, attempts: int
) -> None:
    topic = f"projects/{PROJECT}/topics/orders"
    functions.deploy("on_order", SECOND, {"eventType": PUBLISHED, "pubsubTopic": topic}, retry=retry)
    (sent,) = pubsub.publish(topic, "hello")

    def made() -> int:
        found = firestore.document(f"attempts/{sent}").get()
        return int(found.get("n")) if found.exists else 0

    eventually(lambda: made() == attempts or cloud.advance(seconds=10), within_s=60)
    eventually(lambda: cloud.run(cloud.server.store.transact(_nothing_is_on_its_way)))
    cloud.advance(seconds=3600)
    assert made() == attempts


def _nothing_is_on_its_way(tx: Any) -> bool:
    return not list(MESSAGES.scan(tx))


def test_a_trigger_may_go_to_the_service_behind_a_function(
    cloud: Cloud, functions: Functions, pubsub: PubSub, firestore: google_firestore.Client
) -> None:
    topic = pubsub.topic("orders")
    functions.deploy("on_request", SECOND, None)
    trigger = {
        "eventFilters": [{"attribute": "type", "value": PUBLISHED}], "transport": {"pubsub": {"topic": topic}},
        "destination": {"cloudRun": {"service": "on-request", "region": "us-central1", "path": "/events"}},
        "serviceAccount": "robot-1@fog-project.iam.gserviceaccount.com",
    }  # fmt: skip
    made = httpx.post(f"{cloud.url}/v1/{PARENT}/triggers?triggerId=mine", json=trigger)
    assert made.status_code == 200, made.text
    pubsub.publish(topic, "hello")
    (asked,) = _documents(firestore, "asked")
    assert (asked["path"], asked["source"]) == ("/events", f"//pubsub.googleapis.com/{topic}")
    claims = web_tokens.unverified_claims(asked["authorization"].removeprefix("Bearer "))
    assert claims["email"] == "robot-1@fog-project.iam.gserviceaccount.com"
    assert claims["aud"].startswith("https://on-request-") and claims["aud"].endswith("-uc.a.run.app")
    (fetched,) = _documents(firestore, "tokens")  # Whom the function itself is, by the metadata server.
    issuer = cloud.server.google_services[0].house.identity
    claims = cloud.run(issuer.verify(fetched["token"], ["https://other.example"]))
    assert claims["email"] == projects.compute_account(PROJECT)
