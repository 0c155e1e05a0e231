"""Databases: made by name or by their first write, listed, deleted; and emptied, as test suites ask the emulator to."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import Code, RpcError, Service
from fogbank.gcp.services.firestore import messages, names, state
from fogbank.gcp.services.firestore.changes import Change
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
_admin, _operations = Package("google.firestore.admin.v1"), Package("google.longrunning")


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
        if request.database.type == _admin.Database.DatabaseType.Value("DATASTORE_MODE"):
            raise not_served("A database in Datastore mode")
        if _find(tx, database) is not None:
            raise RpcError(Code.ALREADY_EXISTS, f"Database already exists: {database.name}")
        now_us = call.now_ms * 1000
        uid = Documents.open_or_create(tx, database, uid=call.new_id(), now_us=now_us).uid
        row = state.DatabaseRow(uid, now_us, location=request.database.location_id)
        state.DATABASES.put(tx, database.project, database.id, row=row)
        return _done(database, row, _admin.CreateDatabaseMetadata())

    def get_database(self, tx: Tx, call: Call, request: Any) -> Any:
        database = names.database(request.name)
        return _described(database, _existing(tx, database))

    def list_databases(self, tx: Tx, call: Call, request: Any) -> Any:
        project = _project(request.parent)
        answer = _admin.ListDatabasesResponse()
        for key, row in state.DATABASES.scan(tx, project):
            if not row.deleted:
                answer.databases.append(_described(names.Database(project, str(key[-1])), row))
        return answer

    async def delete_database(self, call: Call, request: Any) -> Any:
        database = names.database(request.name)
        row = await self.house.store.transact(_existing, database)
        await self._empty(database)
        await self.house.store.transact(_forget, database)
        return _done(database, row, _admin.DeleteDatabaseMetadata())

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
    row = _existing(tx, database)
    state.DATABASES.put(tx, database.project, database.id, row=replace(row, deleted=True))


def _project(parent: str) -> str:
    found = _PROJECT.fullmatch(parent)
    if found is None:
        raise invalid(f'Invalid parent "{parent}": it must be of the form "projects/{{project_id}}".')
    return found[1]


def _find(tx: Tx, database: Database) -> DatabaseRow | None:
    row = state.DATABASES.get(tx, database.project, database.id)
    return None if row is None or row.deleted else row


def _existing(tx: Tx, database: Database) -> DatabaseRow:
    row = _find(tx, database)
    if row is None:
        raise RpcError(Code.NOT_FOUND, f"Project '{database.project}' or database '{database.id}' does not exist.")
    return row


def _described(database: Database, row: DatabaseRow) -> Any:
    created = messages.timestamp(row.created_us)
    return _admin.Database(
        name=database.name, uid=row.uid, create_time=created, update_time=created, location_id=row.location or "nam5",
        type="FIRESTORE_NATIVE", concurrency_mode="OPTIMISTIC", database_edition="STANDARD",
        point_in_time_recovery_enablement="POINT_IN_TIME_RECOVERY_DISABLED",
        delete_protection_state="DELETE_PROTECTION_DISABLED", app_engine_integration_mode="DISABLED",
    )  # fmt: skip


def _done(database: Database, row: DatabaseRow, metadata: Any) -> Any:
    operation = _operations.Operation(name=f"{database.name}/operations/{row.uid}", done=True)
    operation.metadata.Pack(metadata)
    operation.response.Pack(_described(database, row))
    return operation
