"""What the admin API sets of a database's collection groups: composite indexes, and fields other than usual."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.firestore import messages, names, state, ttl
from fogbank.gcp.services.firestore.refusals import invalid
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from fogbank.gcp.services.firestore.state import DatabaseRow
    from fogbank.kernel.store import Tx

ADMIN: Final = Package("google.firestore.admin.v1")
OPERATIONS: Final = Package("google.longrunning")
INDEXES: Final = Records(bytes, "firestore", "index")  # (incarnation, collection's id, id): an Index without its name.
FIELDS: Final = Records(bytes, "firestore", "field")  # (incarnation, collection's id, path): a Field without its name.
_PAGE_MAX: Final = 1000
EVERY: Final = "*"
DEFAULT: Final = "__default__"
_GROUP: Final = re.compile(r"(projects/[^/]+/databases/[^/]+)/collectionGroups/([^/]+)(?:/(indexes|fields)/(.+))?")


@dataclass(frozen=True, slots=True)
class Name:
    """Of a collection group ("-": all), or of an index or a field in it."""

    database: names.Database
    group: str
    id: str = ""

    @property
    def collection(self) -> str:
        return f"{self.database.name}/collectionGroups/{self.group}"


def read(name: str, kind: str = "") -> Name:
    """`kind`: "indexes", "fields", or none for the group itself. Raises `RpcError`."""
    found = _GROUP.fullmatch(name)
    if found is None or (found[3] or "") != kind:
        raise invalid(f'Invalid resource name "{name}".')
    return Name(names.database(found[1]), found[2], found[4] or "")


def existing(tx: Tx, database: names.Database) -> DatabaseRow:
    """Raises `RpcError`."""
    row = state.DATABASES.get_shared(tx, database.project, database.id)
    if row is None or row.deleted:
        raise RpcError(Code.NOT_FOUND, f"Project '{database.project}' or database '{database.id}' does not exist.")
    return row


def incarnation(tx: Tx, database: names.Database) -> str:
    """To look: a database that nobody has written to has nothing set."""
    row = state.DATABASES.get_shared(tx, database.project, database.id)
    return "" if row is None or row.deleted else row.uid


def opened(tx: Tx, database: names.Database, *, uid: str, now_us: int) -> str:
    """To set something: a database is there from then on, as from its first document."""
    return state.Documents.open_or_create(tx, database, uid=uid, now_us=now_us).uid


def forget(tx: Tx, uid: str) -> None:
    """All of a database that is deleted."""
    INDEXES.clear(tx, uid)
    FIELDS.clear(tx, uid)
    for key, _ in list(ttl.POLICIES.scan(tx, uid)):
        ttl.end(tx, uid, str(key[3]))


def page(told: list[Any], request: Any) -> tuple[list[Any], str]:
    """Of a list that is not long, in the order of names: a page of it, and the token of the next. Raises `RpcError`."""
    if request.page_size < 0:
        raise invalid("The value for page_size is negative.")
    size = min(request.page_size or _PAGE_MAX, _PAGE_MAX)
    rest = sorted((one for one in told if one.name > request.page_token), key=lambda one: str(one.name))
    return rest[:size], str(rest[size - 1].name) if len(rest) > size else ""


def done(name: str, answer: Any, metadata: Any) -> Any:
    """An operation that is over already."""
    operation = OPERATIONS.Operation(name=name, done=True)
    operation.metadata.Pack(metadata)
    operation.response.Pack(answer)
    return operation


def progressed(metadata: Any, now_ms: int) -> Any:
    """Metadata of what was done at one moment."""
    metadata.state = ADMIN.OperationState.Value("SUCCESSFUL")
    for moment in (metadata.start_time, metadata.end_time):
        moment.CopyFrom(messages.timestamp(now_ms * 1000))
    return metadata
