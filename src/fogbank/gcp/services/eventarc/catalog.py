"""Which events there are, who gives them, and by which attributes a trigger may choose among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_SCHEMAS: Final = "https://googleapis.github.io/google-cloudevents/jsonschema/google/events/cloud"
AUDIT: Final = "google.cloud.audit.log.v1.written"
MESSAGE_PUBLISHED: Final = "google.cloud.pubsub.topic.v1.messagePublished"
JSON: Final = "application/json"
PROTOBUF: Final = "application/protobuf"


@dataclass(frozen=True, slots=True)
class Attribute:
    name: str
    description: str
    required: bool = False
    patterns: bool = False  # `match-path-pattern` may be asked of it.
    usual: str = ""  # What is meant where a trigger says nothing of it.


@dataclass(frozen=True, slots=True)
class EventType:
    type: str
    source: str  # Whose events these are: "firestore".
    description: str
    attributes: tuple[Attribute, ...]
    schema: str
    content_types: tuple[str, ...] = (JSON,)


@dataclass(frozen=True, slots=True)
class Provider:
    id: str  # "firestore.googleapis.com".
    display_name: str
    types: tuple[EventType, ...]


_BUCKET: Final = (Attribute("bucket", "The bucket name being watched.", required=True),)
_DOCUMENT: Final = (
    Attribute("database", "The database being watched.", required=True, patterns=True),
    Attribute("namespace", "The namespace being watched.", patterns=True, usual="(default)"),
    Attribute("document", "The document path being watched.", patterns=True),
)
_OBJECT_KINDS: Final = {
    "finalized": "A new object, or a new generation of an existing object, is created.",
    "deleted": "An object has been permanently deleted.",
    "archived": "The live version of an object has become a noncurrent version.",
    "metadataUpdated": "The metadata of an existing object has changed.",
}
_DOCUMENT_KINDS: Final = {
    "created": "A new document is created.",
    "updated": "An existing document is updated.",
    "deleted": "A document is deleted.",
    "written": "A document is created, updated or deleted.",
}


def _documents() -> tuple[EventType, ...]:
    schema = f"{_SCHEMAS}/firestore/v1/DocumentEventData.json"
    return tuple(
        EventType(
            f"google.cloud.firestore.document.v1.{kind}{suffix}", "firestore", text + more, _DOCUMENT, schema,
            (PROTOBUF, JSON),
        )
        for suffix, more in (("", ""), (".withAuthContext", " The event tells who has done it."))
        for kind, text in _DOCUMENT_KINDS.items()
    )  # fmt: skip


def _objects() -> tuple[EventType, ...]:
    schema = f"{_SCHEMAS}/storage/v1/StorageObjectData.json"
    return tuple(
        EventType(f"google.cloud.storage.object.v1.{kind}", "storage", text, _BUCKET, schema)
        for kind, text in _OBJECT_KINDS.items()
    )


_MESSAGES: Final = EventType(
    MESSAGE_PUBLISHED, "pubsub", "A message is published to the topic.", (),
    f"{_SCHEMAS}/pubsub/v1/MessagePublishedData.json",
)  # fmt: skip

PROVIDERS: Final = {
    provider.id: provider
    for provider in (
        Provider("firestore.googleapis.com", "Cloud Firestore", _documents()),
        Provider("pubsub.googleapis.com", "Cloud Pub/Sub", (_MESSAGES,)),
        Provider("storage.googleapis.com", "Cloud Storage", _objects()),
    )
}
TYPES: Final = {one.type: one for provider in PROVIDERS.values() for one in provider.types}
