"""A change of an object as the events that receivers get; who changes it is told by the change alone."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from cloudevents.http import from_http
from google.events.cloud import storage as storage_events

from fogbank.gcp.links import storage_to_eventarc
from tests.support.google import PROJECT
from tests.support.google_functions import PARENT
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.cloud import firestore as google_firestore

    from tests.gcp.links.conftest import Functions
    from tests.support.cloud import Cloud

AT_MS = 1_799_999_999_123  # Before the moment at which a virtual clock begins.


@dataclass(frozen=True)
class Change:
    kind: str
    bucket: str = "pictures"
    name: str = "a/cat one.png"
    project: str = PROJECT
    at_ms: int = AT_MS
    id: str = "7042"
    new_id: Callable[[], str] = field(default=lambda: str(uuid.uuid4()))

    @property
    def resource(self) -> dict[str, Any]:
        return {"kind": "storage#object", "bucket": self.bucket, "name": self.name, "size": "3", "generation": "17"}


def _change(cloud: Cloud, *changes: Change) -> None:
    for change in changes:
        cloud.run(cloud.server.store.transact(storage_to_eventarc.object_changed, change))


def test_the_objects_of_a_bucket_arrive_as_cloud_events(cloud: Cloud) -> None:
    with Receiver() as receiver:
        kind = {"attribute": "type", "value": "google.cloud.storage.object.v1.finalized"}
        trigger = {
            "eventFilters": [kind, {"attribute": "bucket", "value": "pictures"}],
            "destination": {"httpEndpoint": {"uri": receiver.url}},
        }
        made = httpx.post(f"{cloud.url}/v1/{PARENT}/triggers?triggerId=mine", json=trigger)
        assert made.status_code == 200, made.text
        _change(cloud, Change("deleted"), Change("finalized", bucket="other"), Change("finalized"))
        eventually(lambda: receiver.requests)
        (request,) = receiver.requests
        event = from_http(request.headers, request.body)
        assert event["source"] == "//storage.googleapis.com/projects/_/buckets/pictures"
        assert (event["id"], event["bucket"], event["time"]) == ("7042", "pictures", "2027-01-15T07:59:59.123Z")
        assert event["subject"] == "objects/a/cat%20one.png"
        told = storage_events.StorageObjectData.from_json(json.dumps(event.data))
        assert (told.bucket, told.name, told.generation) == ("pictures", "a/cat one.png", 17)


def test_a_function_of_the_1st_generation_is_run_by_an_object(
    cloud: Cloud, functions: Functions, firestore: google_firestore.Client
) -> None:
    code = (
        "from google.cloud import firestore\n"
        "db = firestore.Client()\n"
        "def on_object(data, context):\n"
        "    told = {'name': data['name'], 'type': context.event_type, 'resource': context.resource}\n"
        "    db.collection('seen').add(told)\n"
    )
    finalize = "google.storage.object.finalize"
    functions.deploy_first("on_object", code, {"eventType": finalize, "resource": "projects/_/buckets/pictures"})
    _change(cloud, Change("archived"), Change("finalized"))

    def seen() -> list[dict[str, Any]]:
        return [one for each in firestore.collection("seen").stream() if (one := each.to_dict())]

    (told,) = eventually(seen, within_s=60)
    assert told["name"] == "a/cat one.png" and told["type"] == finalize
    assert told["resource"]["name"] == "projects/_/buckets/pictures/objects/a/cat one.png"
