"""At which moment a request reads: now, at a time that it names, or as its transaction does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fogbank.gcp.services.firestore import messages, rules, transactions
from fogbank.gcp.services.firestore.state import Documents

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.gcp.service import Call
    from fogbank.gcp.services.firestore.names import Database, Path
    from fogbank.kernel.store import Tx


@dataclass(frozen=True, slots=True)
class Reading:
    documents: Documents
    at_us: int | None  # None: what is there now.
    told_us: int  # What the answer says about when that was.
    transaction: bytes = b""
    begun: bytes = b""  # The transaction, if the request began it.
    tracked: bool = False  # Whether the transaction must know what was read.

    @property
    def time(self) -> Any:
        return messages.timestamp(self.told_us)

    def get(self, paths: Iterable[Path]) -> list[Any]:
        """The `Document` at each path, or None."""
        wanted = list(paths)
        if self.tracked:
            transactions.has_read(self.documents, self.transaction, wanted)
        return [self.documents.get(path, self.at_us) for path in wanted]

    def note_query(self, parent: Path, query: Any) -> None:
        if self.tracked:
            transactions.has_queried(self.documents, self.transaction, parent, query)


def begin(tx: Tx, call: Call, database: Database, request: Any) -> Reading:
    """By the request's `consistency_selector`. Raises `RpcError`."""
    rules.check(call)
    now_us = call.now_ms * 1000
    selector = request.WhichOneof("consistency_selector")
    if selector == "new_transaction":
        documents = Documents.open_or_create(tx, database, uid=call.new_id(), now_us=now_us)
        options = request.new_transaction
        transaction = transactions.begin(documents, options, new_id=call.new_id(), now_ms=call.now_ms)
        return _of_transaction(documents, transaction, transaction, call)
    documents = Documents.open(tx, database)
    if selector == "transaction":
        return _of_transaction(documents, request.transaction, b"", call)
    if selector == "read_time":
        at_us = transactions.check_read_time(documents, request.read_time, now_ms=call.now_ms)
        return Reading(documents, at_us, at_us)
    return Reading(documents, None, documents.read_us(now_us))


def _of_transaction(documents: Documents, transaction: bytes, begun: bytes, call: Call) -> Reading:
    row = transactions.use(documents, transaction, now_ms=call.now_ms)
    told_us = max(row.read_us or 0, row.began_ms * 1000)
    return Reading(documents, row.read_us, told_us, transaction, begun, tracked=not row.read_only)
