"""Databases: made by name or by their first write, listed, deleted; and emptied, as test suites ask the emulator to."""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.protocol import masks
from fogbank.gcp.service import Code, RpcError, Service
from fogbank.gcp.services.firestore import configs, messages, names, state
from fogbank.gcp.services.firestore.changes import Change
from fogbank.gcp.services.firestore.configs import ADMIN
from fogbank.gcp.services.firestore.refusals import invalid, not_served
from fogbank.gcp.services.firestore.state import Documents
from fogbank.gcp.services.firestore.writes import Commit
from fogbank.kernel.gateway.messages import Response, Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.gcp.service import Call
    from fogbank.gcp.services.firestore.names import Database
    from fogbank.gcp.services.firestore.state import DatabaseRow
    from fogbank.kernel.gateway.messages import Request
    from fogbank.kernel.store import Tx

# "database_id" of CreateDatabaseRequest.
_ID: Final = re.compile(r"[a-z](?=.{3,62}$)[a-z0-9-]*[a-z0-9]|\(default\)")
_PROJECT: Final = re.compile(r"projects/([^/]+)")
_CLEAR: Final = re.compile(r"/emulator/v1/(projects/[^/]+/databases/[^/]+)/documents")
_AT_ONCE: Final = 500
_MUTABLE: Final = (
    "type", "concurrency_mode", "point_in_time_recovery_enablement", "app_engine_integration_mode",
    "delete_protection_state", "realtime_updates_mode", "tags",
)  # fmt: skip
_CREATABLE: Final = (*_MUTABLE, "location_id")


class DatabaseOperations(Service):
    service = "google.firestore.admin.v1.FirestoreAdmin"

    def routes(self) -> Iterable[Route]:
        return (Route(self._clear, path=_CLEAR),)

    def create_database(self, tx: Tx, call: Call, request: Any) -> Any:
        database = names.Database(_project(request.parent), request.database_id)
        if not _ID.fullmatch(database.id):
            raise invalid(
                f'Invalid database id "{database.id}": it must be "(default)" or 4-63 characters of [a-z0-9-].'
            )
        _refuse(request.database)
        if _find(tx, database) is not None:
            raise RpcError(Code.ALREADY_EXISTS, f"Database already exists: {database.name}")
        now_us = call.now_ms * 1000
        uid = Documents.open_or_create(tx, database, uid=call.new_id(), now_us=now_us).uid
        row = state.DatabaseRow(uid, now_us, told=_settings(request.database, _CREATABLE))
        state.DATABASES.put(tx, database.project, database.id, row=row)
        return _done(database, row, ADMIN.CreateDatabaseMetadata())

    def update_database(self, tx: Tx, call: Call, request: Any) -> Any:
        database = names.database(request.database.name)
        _refuse(request.database)
        row = _checked(tx, database, request.database.etag)
        paths = list(request.update_mask.paths) or [
            field.name for field, _ in request.database.ListFields() if field.name in _MUTABLE
        ]
        if other := [path for path in paths if path not in _MUTABLE]:
            raise invalid(f"Invalid update mask: the field {other[0]} of a database cannot be updated.")
        settings = ADMIN.Database.FromString(row.told)
        masks.apply(paths, request.database, settings)
        row = replace(row, told=_settings(settings, _CREATABLE), updated_us=call.now_ms * 1000)
        state.DATABASES.put(tx, database.project, database.id, row=row)
        return _done(database, row, ADMIN.UpdateDatabaseMetadata())

    def get_database(self, tx: Tx, call: Call, request: Any) -> Any:
        database = names.database(request.name)
        return _described(database, configs.existing(tx, database))

    def list_databases(self, tx: Tx, call: Call, request: Any) -> Any:
        project = _project(request.parent)
        answer = ADMIN.ListDatabasesResponse()
        for key, row in state.DATABASES.scan(tx, project):
            if not row.deleted:
                answer.databases.append(_described(names.Database(project, str(key[-1])), row))
        return answer

    async def delete_database(self, call: Call, request: Any) -> Any:
        database = names.database(request.name)
        row = await self.house.store.transact(_checked, database, request.etag)
        if ADMIN.Database.FromString(row.told).delete_protection_state == _PROTECTED:
            raise RpcError(
                Code.FAILED_PRECONDITION,
                f"Database '{database.id}' has delete protection enabled. Disable it before you delete the database.",
            )
        await self._empty(database)
        await self.house.store.transact(_forget, database)
        return _done(database, row, ADMIN.DeleteDatabaseMetadata())

    async def _clear(self, request: Request) -> Response:
        """`DELETE /emulator/v1/projects/P/databases/D/documents`, of the official emulator."""
        found = _CLEAR.fullmatch(request.path)
        if found is None or request.method != "DELETE":
            return Response(404, [("content-type", "text/plain")], b"Not Found\n")
        await self._empty(names.database(found[1]))
        return Response(200, [("content-type", "application/json")], b"{}\n")

    async def _empty(self, database: Database) -> None:
        """As deletes, bit by bit: listeners see them, and what was there can still be read at a time."""
        while await self.house.store.transact(_delete_some, database, self.house.clock.now_ms() * 1000):
            pass


def _delete_some(tx: Tx, database: Database, now_us: int) -> bool:
    documents = Documents.open(tx, database)
    paths = [path for path, _ in documents.scan_below((), limit=_AT_ONCE)]
    if paths:
        commit = Commit(documents, now_us=now_us)
        for path in paths:
            commit.apply(Change(path, database.document(path), deletes=True))
        commit.keep(tells=False)  # Neither a database that goes nor the emulator's clearing runs functions.
    return len(paths) == _AT_ONCE


def _forget(tx: Tx, database: Database) -> None:
    """The row stays: a database of that name goes on where this one ends, later than all that it told."""
    row = configs.existing(tx, database)
    configs.forget(tx, row.uid)
    state.DATABASES.put(tx, database.project, database.id, row=replace(row, deleted=True))


def _project(parent: str) -> str:
    found = _PROJECT.fullmatch(parent)
    if found is None:
        raise invalid(f'Invalid parent "{parent}": it must be of the form "projects/{{project_id}}".')
    return found[1]


def _find(tx: Tx, database: Database) -> DatabaseRow | None:
    row = state.DATABASES.get(tx, database.project, database.id)
    return None if row is None or row.deleted else row


def _refuse(database: Any) -> None:
    if database.type == ADMIN.Database.DatabaseType.Value("DATASTORE_MODE"):
        raise not_served("A database in Datastore mode")
    if database.database_edition == ADMIN.Database.DatabaseEdition.Value("ENTERPRISE"):
        raise not_served("A database of the Enterprise edition")
    if database.cmek_config.kms_key_name:  # Tools send an empty one.
        raise not_served("A database with a key of one's own (cmek_config)")


def _checked(tx: Tx, database: Database, etag: str) -> DatabaseRow:
    """Raises `RpcError` where it is not there, or is not what the caller knows."""
    row = configs.existing(tx, database)
    if etag and etag != _described(database, row).etag:
        raise RpcError(Code.FAILED_PRECONDITION, "The etag of the request is not that of the database.")
    return row


_PROTECTED: Final = 2  # DeleteProtectionState: DELETE_PROTECTION_ENABLED.


def _settings(given: Any, members: tuple[str, ...]) -> bytes:
    """What of a Database is kept as it was given."""
    kept = ADMIN.Database()
    masks.apply(members, given, kept)
    return bytes(kept.SerializeToString())


def _described(database: Database, row: DatabaseRow) -> Any:
    told = ADMIN.Database(
        name=database.name, uid=row.uid, create_time=messages.timestamp(row.created_us),
        update_time=messages.timestamp(row.updated_us or row.created_us), location_id=row.location or "nam5",
        type="FIRESTORE_NATIVE", concurrency_mode="OPTIMISTIC", database_edition="STANDARD",
        point_in_time_recovery_enablement="POINT_IN_TIME_RECOVERY_DISABLED",
        delete_protection_state="DELETE_PROTECTION_DISABLED", app_engine_integration_mode="DISABLED",
    )  # fmt: skip
    told.version_retention_period.seconds = state.RETENTION_US // 1_000_000
    told.MergeFrom(ADMIN.Database.FromString(row.told))
    told.etag = sha256(told.SerializeToString(deterministic=True)).hexdigest()[:16]
    return told


def _done(database: Database, row: DatabaseRow, metadata: Any) -> Any:
    return configs.done(f"{database.name}/operations/{row.uid}", _described(database, row), metadata)
