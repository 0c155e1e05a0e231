"""Cloud Storage → Eventarc: a change of an object, as events of both generations, told in the change's transaction.

Eventarc, "Google Cloud Storage"; Cloud Functions (1st gen), "Google Cloud Storage triggers".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

from fogbank.gcp.links import eventarc_to_pubsub
from fogbank.gcp.services.eventarc import catalog, state
from fogbank.gcp.services.eventarc.filters import matches

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.gcp.services.eventarc.state import Listener
    from fogbank.kernel.store import Tx

SOURCE: Final = "storage"
LEGACY_KINDS: Final = {
    "google.storage.object.finalize": "finalized",
    "google.storage.object.delete": "deleted",
    "google.storage.object.archive": "archived",
    "google.storage.object.metadataUpdate": "metadataUpdated",
}
_TYPE: Final = "google.cloud.storage.object.v1."


class Change(Protocol):
    """What Cloud Storage tells of."""

    @property
    def kind(self) -> str: ...  # "finalized", "deleted", "archived" or "metadataUpdated".
    @property
    def project(self) -> str: ...
    @property
    def bucket(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def at_ms(self) -> int: ...
    @property
    def id(self) -> str: ...
    @property
    def new_id(self) -> Callable[[], str]: ...
    @property
    def resource(self) -> dict[str, Any]: ...


def object_changed(tx: Tx, change: Change) -> None:
    for listener in state.listeners(tx, SOURCE, change.project):
        if not matches(listener.filters, {"bucket": change.bucket}):
            continue
        if listener.type == _TYPE + change.kind:
            made = _cloud_event(listener, change)
        elif LEGACY_KINDS.get(listener.type) == change.kind:
            made = _legacy(listener, change)
        else:
            continue
        eventarc_to_pubsub.send(tx, listener.topic, *made, change.at_ms, change.new_id)


def _cloud_event(listener: Listener, change: Change) -> tuple[dict[str, str], bytes]:
    headers = {
        "content-type": catalog.JSON, "ce-specversion": "1.0", "ce-id": change.id, "ce-type": listener.type,
        "ce-source": f"//storage.googleapis.com/projects/_/buckets/{change.bucket}",
        "ce-subject": f"objects/{change.name}", "ce-time": _time(change.at_ms), "ce-bucket": change.bucket,
    }  # fmt: skip
    return headers, orjson.dumps(change.resource)


def _legacy(listener: Listener, change: Change) -> tuple[dict[str, str], bytes]:
    resource = {
        "service": "storage.googleapis.com", "name": f"projects/_/buckets/{change.bucket}/objects/{change.name}",
        "type": "storage#object",
    }  # fmt: skip
    context = {
        "eventId": change.id, "timestamp": _time(change.at_ms), "eventType": listener.type, "resource": resource,
    }  # fmt: skip
    return {"content-type": catalog.JSON}, orjson.dumps({"context": context, "data": change.resource})


def _time(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"
