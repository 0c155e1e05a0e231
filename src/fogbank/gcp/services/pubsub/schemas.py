"""Schemas with their revisions, and what they say of messages: Avro's, and Protocol Buffers'."""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from fogbank.gcp.services.pubsub import names
from fogbank.gcp.services.pubsub.settings import invalid
from fogbank.gcp.services.pubsub.state import PUBSUB
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.gcp.services.pubsub.state import Topic
    from fogbank.kernel.store import Tx

REVISIONS_MAX = 20  # "The maximum number of revisions … is 20" ("Schema overview").
_DEFINITION_MAX = 300_000  # "Schema definitions … 300 KB" ("Pub/Sub quotas and limits").
DELETED = "_deleted-schema_"
_KINDS = {1: "PROTOCOL_BUFFER", 2: "AVRO"}  # google.pubsub.v1.Schema.Type.
_READERS = {"PROTOCOL_BUFFER": "protos", "AVRO": "avro"}  # Loaded with the first schema of their kind.


class Revision(msgspec.Struct, frozen=True):
    id: str  # Eight hexadecimal digits.
    definition: str
    created_ms: int


class Schema(msgspec.Struct, frozen=True):
    name: str
    revisions: list[Revision]  # The oldest first.
    kind: str = "AVRO"  # Or "PROTOCOL_BUFFER".

    def told(self, revision: Revision, *, full: bool, at_revision: bool = False) -> Any:
        """As the API's Schema."""
        told = PUBSUB.Schema(
            name=f"{self.name}@{revision.id}" if at_revision else self.name, type=self.kind, revision_id=revision.id,
            definition=revision.definition if full else "",
        )  # fmt: skip
        told.revision_create_time.FromMilliseconds(revision.created_ms)
        return told


SCHEMAS = Records(Schema, "pubsub", "schema")  # (project, id)


def find(tx: Tx, name: str) -> Schema:
    """By its name, with or without a revision. Raises `RpcError`."""
    at = names.read(name.partition("@")[0], "schemas")
    found = SCHEMAS.get(tx, at.project, at.id)
    if found is None:
        raise names.missing(at)
    return found


def revision(schema: Schema, revision_id: str) -> Revision:
    """The newest where none is named. Raises `RpcError`."""
    if not revision_id:
        return schema.revisions[-1]
    for one in schema.revisions:
        if one.id == revision_id:
            return one
    raise names.missing(names.Name("", f"{schema.name.rpartition('/')[2]}@{revision_id}"))


def check(schema: Any) -> str:
    """Of the API's Schema: that it is a definition we know; its kind. Raises `RpcError`."""
    kind = _KINDS.get(schema.type)
    if kind is None:
        raise invalid("Invalid schema type given: it must be AVRO or PROTOCOL_BUFFER.")
    if len(schema.definition.encode()) > _DEFINITION_MAX:
        raise invalid(f"The schema definition is too long: the maximum is {_DEFINITION_MAX} bytes.")
    parsed(kind, schema.definition)
    return kind


@lru_cache(64)
def parsed(kind: str, definition: str) -> Any:
    """Raises `RpcError`."""
    reader = importlib.import_module(f"fogbank.gcp.services.pubsub.{_READERS[kind]}")
    try:
        return reader.Schema(definition)
    except reader.NoSchema as error:
        raise invalid(f"Invalid schema definition: {error}") from error


def fits(kind: str, definition: str, data: bytes, encoding: int) -> bool:
    schema = parsed(kind, definition)
    fits_it = schema.fits_json if encoding == PUBSUB.Encoding.Value("JSON") else schema.fits_binary
    return bool(fits_it(data))


def validate(tx: Tx, topic: Topic, messages: Iterable[Any]) -> None:
    """Mark each with the revision that it is of: the newest that takes it, of those that the topic allows
    ("Publish messages with schema"). Raises `RpcError`."""
    settings = topic.settings.schema_settings
    if settings.schema == DELETED:
        raise invalid("The topic's schema is deleted: nothing can be published to it.")
    schema = find(tx, settings.schema)
    allowed = _allowed(schema, settings)
    for message in messages:
        taken = next(
            (one for one in allowed if fits(schema.kind, one.definition, message.data, settings.encoding)), None
        )
        if taken is None:
            raise invalid("Invalid data in message: Message failed schema validation.")
        message.attributes["googclient_schemaname"] = schema.name
        message.attributes["googclient_schemaencoding"] = PUBSUB.Encoding.Name(settings.encoding)
        message.attributes["googclient_schemarevisionid"] = taken.id


def _allowed(schema: Schema, settings: Any) -> list[Revision]:
    """The newest first."""
    ids = [one.id for one in schema.revisions]
    first = ids.index(settings.first_revision_id) if settings.first_revision_id in ids else 0
    last = ids.index(settings.last_revision_id) if settings.last_revision_id in ids else len(ids) - 1
    return schema.revisions[first : last + 1][::-1]
