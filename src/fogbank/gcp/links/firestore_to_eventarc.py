"""Firestore → Eventarc: a change of a document, as events of both generations.

Eventarc, "Google Cloud Firestore"; Cloud Functions (1st gen), "Google Cloud Firestore triggers".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from google.protobuf import json_format

from fogbank.gcp.links import eventarc_to_pubsub
from fogbank.gcp.services.eventarc import catalog, patterns, state
from fogbank.gcp.services.eventarc.filters import matches
from fogbank.gcp.services.firestore import feed, fieldpaths, messages
from fogbank.gcp.services.firestore.state import DATABASES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fogbank.gcp.services.eventarc.state import Listener
    from fogbank.gcp.services.firestore.feed import Changed
    from fogbank.kernel.store import Tx

LISTENS_TO: Final = "firestore"
QUEUE: Final = feed.QUEUE  # What the loop that moves changes on waits for.
_TYPE: Final = "google.cloud.firestore.document.v1."
_WITH_AUTH: Final = ".withAuthContext"
_LEGACY: Final = "providers/cloud.firestore/eventTypes/document."
_LEGACY_KINDS: Final = {"create": "created", "update": "updated", "delete": "deleted", "write": "written"}
_SCHEMA: Final = (
    "https://github.com/googleapis/google-cloudevents/blob/main/proto/google/events/cloud/firestore/v1/data.proto"
)
_AT_ONCE: Final = 100
_USUAL_LOCATION: Final = "nam5"  # Of a database that was made by its first write.


def is_legacy(event_type: str) -> bool:
    return event_type.removeprefix(_LEGACY) in _LEGACY_KINDS and event_type.startswith(_LEGACY)


def listened(tx: Tx, project: str, *, listened: bool) -> None:
    (feed.open_ if listened else feed.shut)(tx, project)


def move(tx: Tx, now_ms: int, new_id: Callable[[], str]) -> bool:
    """Some changes from the feed to the topics of those who listen; whether there may be more."""
    taken = feed.take(tx, limit=_AT_ONCE, now_ms=now_ms, then=lambda tx, one: _tell(tx, one, now_ms, new_id))
    return taken == _AT_ONCE


def _tell(tx: Tx, changed: Changed, now_ms: int, new_id: Callable[[], str]) -> None:
    event_id, location = new_id(), _location(tx, changed)
    for listener in state.listeners(tx, LISTENS_TO, changed.project):
        made = _event(listener, changed, event_id, location)
        if made is not None:
            eventarc_to_pubsub.send(tx, listener.topic, *made, now_ms, new_id)


def _location(tx: Tx, changed: Changed) -> str:
    row = DATABASES.get_shared(tx, changed.project, changed.database)
    return (row.location if row is not None else "") or _USUAL_LOCATION


def _event(listener: Listener, changed: Changed, event_id: str, location: str) -> tuple[dict[str, str], bytes] | None:
    """(attributes, data), if that is what the listener asks for."""
    happened = "created" if not changed.was else "updated" if changed.now else "deleted"
    if listener.type.startswith(_LEGACY):
        kind = _LEGACY_KINDS.get(listener.type.removeprefix(_LEGACY), "")
        return _legacy(listener, changed, event_id) if kind in (happened, "written") else None
    kind = listener.type.removeprefix(_TYPE).removesuffix(_WITH_AUTH)
    attributes = {"database": changed.database, "namespace": "(default)", "document": "/".join(changed.path)}
    if kind not in (happened, "written") or not matches(listener.filters, attributes):
        return None
    return _cloud_event(listener, changed, {**attributes, "location": location}, event_id)


def _cloud_event(
    listener: Listener, changed: Changed, attributes: dict[str, str], event_id: str
) -> tuple[dict[str, str], bytes]:
    told = {
        "specversion": "1.0", "id": event_id, "type": listener.type, "time": _time(changed),
        "source": f"//firestore.googleapis.com/projects/{changed.project}/databases/{changed.database}",
        "subject": f"documents/{attributes['document']}", "project": changed.project,
        "dataschema": _SCHEMA, **attributes,
    }  # fmt: skip
    if listener.type.endswith(_WITH_AUTH):
        told["authtype"] = "unknown"  # "An unknown principal": callers are not told apart here.
    headers = {"content-type": listener.content_type, **{f"ce-{name}": value for name, value in told.items()}}
    return headers, _protobuf(changed) if listener.content_type == catalog.PROTOBUF else _json(changed)


def _protobuf(changed: Changed) -> bytes:
    """A google.events.cloud.firestore.v1.DocumentEventData: its documents are, byte for byte, Firestore's own."""
    parts = ((1, changed.now), (2, changed.was), (3, _mask(changed).SerializeToString()))
    return b"".join(bytes((number << 3 | 2,)) + _varint(len(part)) + part for number, part in parts if part)


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def _json(changed: Changed) -> bytes:
    parts = {"value": changed.now, "oldValue": changed.was}
    told = {name: _shown(raw) for name, raw in parts.items() if raw}
    mask = _mask(changed)
    if mask.field_paths:
        told["updateMask"] = {"fieldPaths": list(mask.field_paths)}
    return orjson.dumps(told)


def _legacy(listener: Listener, changed: Changed, event_id: str) -> tuple[dict[str, str], bytes] | None:
    """The names in the trigger's path stand beside the event's own ("params")."""
    named = {one.attribute: one.value for one in listener.filters}
    if named["database"] != changed.database:
        return None
    params = patterns.compiled(named["document"]).match("/".join(changed.path))
    if params is None:
        return None
    database = f"projects/{changed.project}/databases/{changed.database}"
    mask = {"fieldPaths": list(_mask(changed).field_paths)} if changed.was and changed.now else {}
    event = {
        "data": {"oldValue": _shown(changed.was), "updateMask": mask, "value": _shown(changed.now)},
        "eventId": event_id, "eventType": listener.type, "notSupported": {}, "params": params,
        "resource": f"{database}/documents/{'/'.join(changed.path)}", "timestamp": _time(changed),
    }  # fmt: skip
    return {"content-type": catalog.JSON}, orjson.dumps(event)


def _shown(raw: bytes) -> Any:
    return json_format.MessageToDict(messages.Document.FromString(raw)) if raw else {}


def _time(changed: Changed) -> str:
    return str(messages.timestamp(changed.at_us).ToJsonString())


def _mask(changed: Changed) -> Any:
    """Which fields an update has changed; of others nothing."""
    if not changed.was or not changed.now:
        return messages.DocumentMask()
    was, now = (messages.Document.FromString(raw).fields for raw in (changed.was, changed.now))
    return messages.DocumentMask(field_paths=[fieldpaths.show(path) for path in _differences(was, now)])


def _differences(was: Any, now: Any, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Maps that stay maps are looked into."""
    for name in sorted({*was, *now}):
        path = (*prefix, name)
        if name not in was or name not in now:
            yield path
        elif all(side[name].WhichOneof("value_type") == "map_value" for side in (was, now)):
            yield from _differences(was[name].map_value.fields, now[name].map_value.fields, path)
        elif was[name].SerializeToString(deterministic=True) != now[name].SerializeToString(deterministic=True):
            yield path
