"""Schemas: made, revised, and held against messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fogbank.gcp.protocol.descriptors import message
from fogbank.gcp.protocol.paging import page
from fogbank.gcp.service import Call, Code, RpcError, Service
from fogbank.gcp.services.pubsub import names, schemas, state
from fogbank.gcp.services.pubsub.schemas import SCHEMAS, Revision, Schema
from fogbank.gcp.services.pubsub.settings import invalid
from fogbank.gcp.services.pubsub.state import PUBSUB, TOPICS

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_PAGE_MAX = 1000


class Schemas(Service):
    service = "google.pubsub.v1.SchemaService"

    def create_schema(self, tx: Tx, call: Call, request: Any) -> Any:
        project = names.read_project(request.parent)
        at = names.read(f"projects/{project}/schemas/{request.schema_id}", "schemas")
        if SCHEMAS.get(tx, at.project, at.id, lock=True) is not None:
            raise names.taken(at)
        kind = schemas.check(request.schema)
        made = Schema(f"projects/{at.project}/schemas/{at.id}", [_revision(call, request.schema.definition)], kind)
        SCHEMAS.put(tx, at.project, at.id, row=made)
        return made.told(made.revisions[-1], full=True)

    def get_schema(self, tx: Tx, call: Call, request: Any) -> Any:
        schema = schemas.find(tx, request.name)
        named = request.name.partition("@")[2]
        return schema.told(schemas.revision(schema, named), full=request.view != _BASIC, at_revision=bool(named))

    def list_schemas(self, tx: Tx, call: Call, request: Any) -> Any:
        project = names.read_project(request.parent)
        rows, token = page(tx, SCHEMAS, project, size=request.page_size, token=request.page_token, largest=_PAGE_MAX)
        told = [row.told(row.revisions[-1], full=request.view == _FULL) for _, row in rows]
        return PUBSUB.ListSchemasResponse(schemas=told, next_page_token=token)

    def list_schema_revisions(self, tx: Tx, call: Call, request: Any) -> Any:
        schema = schemas.find(tx, request.name)
        told = [schema.told(one, full=request.view == _FULL, at_revision=True) for one in schema.revisions[::-1]]
        return PUBSUB.ListSchemaRevisionsResponse(schemas=told)

    def commit_schema(self, tx: Tx, call: Call, request: Any) -> Any:
        schema = schemas.find(tx, request.name)
        if schemas.check(request.schema) != schema.kind:
            raise invalid(f"The type of a schema does not change: it is {schema.kind}.")
        return self._add(tx, schema, _revision(call, request.schema.definition))

    def rollback_schema(self, tx: Tx, call: Call, request: Any) -> Any:
        """ "Creates a new schema revision that is a copy of the provided revision_id." """
        schema = schemas.find(tx, request.name)
        if not request.revision_id:
            raise invalid("The revision_id in the RollbackSchemaRequest must be set.")
        return self._add(tx, schema, _revision(call, schemas.revision(schema, request.revision_id).definition))

    def delete_schema_revision(self, tx: Tx, call: Call, request: Any) -> Any:
        schema = schemas.find(tx, request.name)
        named = request.name.partition("@")[2] or request.revision_id
        gone = schemas.revision(schema, named)
        if not named:
            raise invalid("The name in the DeleteSchemaRevisionRequest must have a revision.")
        if len(schema.revisions) == 1:
            raise RpcError(Code.FAILED_PRECONDITION, "The only revision of a schema cannot be deleted.")
        left = replace(schema, revisions=[one for one in schema.revisions if one.id != gone.id])
        _put(tx, left)
        return left.told(left.revisions[-1], full=True)

    def delete_schema(self, tx: Tx, call: Call, request: Any) -> Any:
        schema = schemas.find(tx, request.name)
        at = names.read(schema.name, "schemas")
        SCHEMAS.delete(tx, at.project, at.id)
        for topic in TOPICS.all(tx):
            if topic.settings.schema_settings.schema == schema.name:
                told = PUBSUB.Topic()
                told.CopyFrom(topic.settings)
                told.schema_settings.schema = schemas.DELETED
                state.put_topic(tx, replace(topic, told=told.SerializeToString()))
        return message("google.protobuf.Empty")()

    def validate_schema(self, tx: Tx, call: Call, request: Any) -> Any:
        names.read_project(request.parent)
        schemas.check(request.schema)
        return PUBSUB.ValidateSchemaResponse()

    def validate_message(self, tx: Tx, call: Call, request: Any) -> Any:
        names.read_project(request.parent)
        if request.WhichOneof("schema_spec") == "name":
            schema = schemas.find(tx, request.name)
            kind, definition = schema.kind, schemas.revision(schema, request.name.partition("@")[2]).definition
        else:
            kind, definition = schemas.check(request.schema), request.schema.definition
        if request.encoding not in (1, 2):
            raise invalid("Invalid encoding given: it must be JSON or BINARY.")
        if not schemas.fits(kind, definition, request.message, request.encoding):
            raise invalid("Invalid data in message: Message failed schema validation.")
        return PUBSUB.ValidateMessageResponse()

    def _add(self, tx: Tx, schema: Schema, revision: Revision) -> Any:
        if len(schema.revisions) >= schemas.REVISIONS_MAX:
            raise RpcError(
                Code.FAILED_PRECONDITION, f"A schema can have at most {schemas.REVISIONS_MAX} revisions: delete one."
            )
        changed = replace(schema, revisions=[*schema.revisions, revision])
        _put(tx, changed)
        return changed.told(revision, full=True)


_BASIC, _FULL = 1, 2  # google.pubsub.v1.SchemaView.


def _revision(call: Call, definition: str) -> Revision:
    """ "The revision ID is an auto-generated eight-character UUID": of moment and count, so that none repeats."""
    digits = call.new_id().replace("-", "")
    return Revision(digits[7:12] + digits[13:16], definition, call.now_ms)


def _put(tx: Tx, schema: Schema) -> None:
    at = names.read(schema.name, "schemas")
    SCHEMAS.put(tx, at.project, at.id, row=schema)
