"""Transactions: what one has read, at which moment, and whether anything of it has changed when it commits.

A read-write transaction is optimistic: all that it reads is as it was at the moment of its first read, nothing is
locked, and its commit is refused if any of it has changed since. A query that was read has changed if a document that
it matches, or matched, has. All of this is in the store: a transaction survives a restart, as its client may.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from fogbank.gcp.services.firestore import messages, state
from fogbank.gcp.services.firestore.queries import shape
from fogbank.gcp.services.firestore.queries.view import View
from fogbank.gcp.services.firestore.refusals import (
    contention,
    invalid,
    invalid_transaction,
    read_time_in_the_future,
    read_time_too_old,
    transaction_gone,
)
from fogbank.kernel.store import within
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fogbank.gcp.services.firestore.names import Path
    from fogbank.gcp.services.firestore.queries.shape import Query
    from fogbank.gcp.services.firestore.state import Documents
    from fogbank.kernel.store import Tx

# "Transactions and batched writes", transaction limitations.
LIFE_MS: Final = 270_000
IDLE_MS: Final = 60_000
_ID_BYTES: Final = 17
_MARK: Final = b"\x11"


@dataclass(frozen=True, slots=True)
class Row:
    began_ms: int
    used_ms: int
    read_only: bool = False
    read_us: int | None = None  # The moment of all its reads: a commit's. None: it has not read yet.

    def expires_ms(self) -> int:
        return min(self.began_ms + LIFE_MS, self.used_ms + IDLE_MS)


ROWS: Final = Records(Row, "firestore", "transaction")  # By the database's incarnation and the id.
_READ: Final = ("firestore", "transaction-read")  # The same, and what was read: a path, or a query.


def begin(documents: Documents, options: Any, *, new_id: str, now_ms: int) -> bytes:
    """The new transaction's id. Raises `RpcError`."""
    transaction_id = _MARK + UUID(new_id).bytes
    mode = options.WhichOneof("mode")
    read_us: int | None = None
    if mode == "read_only":
        selected = options.read_only
        read_us = documents.last_commit_us()
        if selected.WhichOneof("consistency_selector"):
            read_us = check_read_time(documents, selected.read_time, now_ms=now_ms)
    elif mode == "read_write" and options.read_write.retry_transaction:
        _check_id(options.read_write.retry_transaction)  # Nothing is locked: no older one has a right of way.
    ROWS.put(documents.tx, documents.uid, transaction_id, row=Row(now_ms, now_ms, mode == "read_only", read_us))
    documents.tx.emit(state.AGING)
    return transaction_id


def check_read_time(documents: Documents, moment: Any, *, now_ms: int) -> int:
    """ "read_time" of the reference: within the past hour. In microseconds."""
    at_us = messages.microseconds(moment)
    if at_us > documents.read_us(now_ms * 1000):
        raise read_time_in_the_future()
    if at_us < now_ms * 1000 - state.RETENTION_US:
        raise read_time_too_old()
    return at_us


def _check_id(transaction_id: bytes) -> None:
    if len(transaction_id) != _ID_BYTES or not transaction_id.startswith(_MARK):
        raise invalid_transaction()


def _find(documents: Documents, transaction_id: bytes, *, now_ms: int) -> Row:
    _check_id(transaction_id)
    row = ROWS.get(documents.tx, documents.uid, transaction_id)
    if row is None or now_ms >= row.expires_ms():
        raise transaction_gone()
    return row


def use(documents: Documents, transaction_id: bytes, *, now_ms: int) -> Row:
    """It reads now. Raises `RpcError`."""
    row = _find(documents, transaction_id, now_ms=now_ms)
    read_us = documents.last_commit_us() if row.read_us is None else row.read_us
    used = replace(row, used_ms=now_ms, read_us=read_us)
    if used != row:
        ROWS.put(documents.tx, documents.uid, transaction_id, row=used)
    return used


def has_read(documents: Documents, transaction_id: bytes, paths: Iterable[Path]) -> None:
    for path in paths:
        documents.tx.put((*_READ, documents.uid, transaction_id, "document", "/".join(path)), b"")


def has_queried(documents: Documents, transaction_id: bytes, parent: Path, query: Any) -> None:
    asked = query.SerializeToString(deterministic=True)
    documents.tx.put((*_READ, documents.uid, transaction_id, "query", "/".join(parent), asked), b"")


def finish(documents: Documents, transaction_id: bytes, *, writes: bool, now_ms: int) -> None:
    """It commits now: nothing that it has read has changed. Raises `RpcError`."""
    row = _find(documents, transaction_id, now_ms=now_ms)
    if row.read_only and writes:
        raise invalid("Cannot modify entities in a read-only transaction.")
    if not row.read_only and row.read_us is not None and _changed(documents, transaction_id, row.read_us):
        raise contention()
    forget(documents.tx, documents.uid, transaction_id)


def roll_back(documents: Documents, transaction_id: bytes) -> None:
    """One that is over already may be rolled back again. Raises `RpcError`."""
    _check_id(transaction_id)
    forget(documents.tx, documents.uid, transaction_id)


def forget(tx: Tx, uid: str, transaction_id: bytes) -> None:
    ROWS.delete(tx, uid, transaction_id)
    for key, _ in list(tx.scan(*within(*_READ, uid, transaction_id))):
        tx.delete(key)


def _changed(documents: Documents, transaction_id: bytes, read_us: int) -> bool:
    queries: list[Query] = []
    for key, _ in documents.tx.scan(*within(*_READ, documents.uid, transaction_id)):
        path = tuple(part for part in str(key[5]).split("/") if part)
        if key[4] == "document":
            if documents.changed_after(path, read_us):
                return True
        else:
            queries.append(shape.read(path, messages.StructuredQuery.FromString(key[6])))
    return bool(queries) and _any_result_changed(documents, queries, read_us)


def _any_result_changed(documents: Documents, queries: list[Query], read_us: int) -> bool:
    for path in {path for _, path in documents.changed(after_us=read_us)}:
        asked = [query for query in queries if query.has(path)]
        if asked:
            rows = (documents.raw(path, read_us), documents.raw(path))
            views = [View(documents.database, path, row) for row in rows if row is not None]
            if any(query.matches(view) for query in asked for view in views):
                return True
    return False


def expiries(tx: Tx) -> Iterator[int]:
    return (row.expires_ms() for row in ROWS.all(tx))


def expired(tx: Tx, *, now_ms: int, limit: int) -> list[tuple[str, bytes]]:
    """(the database's incarnation, id) of transactions that nobody will end."""
    found: list[tuple[str, bytes]] = []
    for key, row in ROWS.scan(tx):
        if now_ms >= row.expires_ms():
            found.append((str(key[2]), bytes(key[3])))  # type: ignore[arg-type]  # As `begin` writes them.
        if len(found) == limit:
            break
    return found
