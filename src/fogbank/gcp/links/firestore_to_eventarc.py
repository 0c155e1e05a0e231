"""Firestore → Eventarc: a change of a document, as events of both generations.

Eventarc, "Google Cloud Firestore"; Cloud Functions (1st gen), "Google Cloud Firestore triggers".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from fogbank.gcp.links import eventarc_to_pubsub
from fogbank.gcp.services.eventarc import catalog, patterns, state
from fogbank.gcp.services.eventarc.filters import matches
from fogbank.gcp.services.firestore import feed
from fogbank.gcp.services.firestore.events import Happened
from fogbank.gcp.services.firestore.state import DATABASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.gcp.services.eventarc.state import Listener
    from fogbank.gcp.services.firestore.feed import Changed
    from fogbank.kernel.store import Tx

    Event = tuple[dict[str, str], bytes]  # Attributes and data.

LISTENS_TO: Final = "firestore"
QUEUE: Final = feed.QUEUE  # What the loop that moves changes on waits for.
_TYPE: Final = "google.cloud.firestore.document.v1."
_WITH_AUTH: Final = ".withAuthContext"
_LEGACY: Final = "providers/cloud.firestore/eventTypes/document."
_LEGACY_KINDS: Final = {"create": "created", "update": "updated", "delete": "deleted", "write": "written"}
_SCHEMA: Final = (
    "https://github.com/googleapis/google-cloudevents/blob/main/proto/google/events/cloud/firestore/v1/data.proto"
)
_AT_ONCE: Final = 25  # A change may have 2 MiB.
_USUAL_LOCATION: Final = "nam5"  # Of a database that was made by its first write.


def is_legacy(event_type: str) -> bool:
    return event_type.startswith(_LEGACY) and event_type.removeprefix(_LEGACY) in _LEGACY_KINDS


def listened(tx: Tx, project: str, *, listened: bool) -> None:
    (feed.open_ if listened else feed.shut)(tx, project)


def move(tx: Tx, now_ms: int, new_id: Callable[[], str]) -> bool:
    """Some changes from the feed to the topics of those who listen; whether there may be more."""
    taken = feed.take(tx, limit=_AT_ONCE, now_ms=now_ms, then=lambda tx, one: _tell(tx, one, now_ms, new_id))
    return taken == _AT_ONCE


def _tell(tx: Tx, changed: Changed, now_ms: int, new_id: Callable[[], str]) -> None:
    happened, event_id = Happened(changed), new_id()
    row = DATABASES.get_shared(tx, changed.project, changed.database)
    location = (row.location if row is not None else "") or _USUAL_LOCATION
    for listener in state.listeners(tx, LISTENS_TO, changed.project):
        made = _event(listener, happened, event_id, location)
        if made is not None:
            eventarc_to_pubsub.send(tx, listener.topic, *made, now_ms, new_id)


def _event(listener: Listener, happened: Happened, event_id: str, location: str) -> Event | None:
    """If that is what the listener asks for."""
    if is_legacy(listener.type):
        wanted = _LEGACY_KINDS[listener.type.removeprefix(_LEGACY)]
        return _legacy(listener, happened, event_id) if wanted in (happened.kind, "written") else None
    wanted = listener.type.removeprefix(_TYPE).removesuffix(_WITH_AUTH)
    attributes = {"database": happened.changed.database, "namespace": "(default)", "document": happened.document}
    if wanted not in (happened.kind, "written") or not matches(listener.filters, attributes):
        return None
    return _cloud_event(listener, happened, {**attributes, "location": location}, event_id)


def _cloud_event(listener: Listener, happened: Happened, attributes: dict[str, str], event_id: str) -> Event:
    told = {
        "specversion": "1.0", "id": event_id, "type": listener.type, "time": happened.time,
        "source": f"//firestore.googleapis.com/{happened.database}", "subject": f"documents/{happened.document}",
        "project": happened.changed.project, "dataschema": _SCHEMA, **attributes,
    }  # fmt: skip
    if listener.type.endswith(_WITH_AUTH):
        told["authtype"] = "unknown"  # Callers are not told apart here.
    headers = {"content-type": listener.content_type, **{f"ce-{name}": value for name, value in told.items()}}
    return headers, happened.protobuf if listener.content_type == catalog.PROTOBUF else happened.json


def _legacy(listener: Listener, happened: Happened, event_id: str) -> Event | None:
    """What the names in the trigger's path stand for ("params") is beside the event's own facts."""
    named = {one.attribute: one.value for one in listener.filters}
    params = patterns.compiled(named["document"]).match(happened.document)
    if named["database"] != happened.changed.database or params is None:
        return None
    event = {
        "data": happened.legacy, "eventId": event_id, "eventType": listener.type, "notSupported": {},
        "params": params, "resource": f"{happened.database}/documents/{happened.document}",
        "timestamp": happened.time,
    }  # fmt: skip
    return {"content-type": catalog.JSON}, orjson.dumps(event)
