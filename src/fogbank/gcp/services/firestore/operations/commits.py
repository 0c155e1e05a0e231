"""Writes and transactions: Commit, BatchWrite, the Write stream; BeginTransaction, Rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import RpcError, Service
from fogbank.gcp.services.firestore import changes, expiring, messages, names, rules, transactions, upkeep
from fogbank.gcp.services.firestore.refusals import invalid, not_served
from fogbank.gcp.services.firestore.state import Documents
from fogbank.gcp.services.firestore.writes import Commit, write_all
from fogbank.kernel.tasks import Background

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from fogbank.gcp.service import Call
    from fogbank.gcp.services.firestore.names import Database
    from fogbank.kernel.store import Tx

REQUEST_BYTES_MAX: Final = 11_534_336  # What the service names when it refuses: 11 MiB, of which 10 are promised.
_rpc = Package("google.rpc")


class CommitOperations(Service):
    service = "google.firestore.v1.Firestore"

    def backgrounds(self) -> Iterable[Background]:
        return (
            Background("firestore: forget what is past", lambda: upkeep.keep_forgetting(self.house)),
            Background("firestore: time to live", lambda: expiring.keep_expiring(self.house)),
        )

    def begin_transaction(self, tx: Tx, call: Call, request: Any) -> Any:
        documents = _documents(tx, call, names.database(request.database))
        begun = transactions.begin(documents, request.options, new_id=call.new_id(), now_ms=call.now_ms)
        return messages.BeginTransactionResponse(transaction=begun)

    def rollback(self, tx: Tx, call: Call, request: Any) -> Any:
        transactions.roll_back(Documents.open(tx, names.database(request.database)), request.transaction)
        return messages.empty()

    def commit(self, tx: Tx, call: Call, request: Any) -> Any:
        _check_size(request)
        documents = _documents(tx, call, names.database(request.database))
        if request.transaction:
            transactions.finish(documents, request.transaction, writes=len(request.writes) > 0, now_ms=call.now_ms)
        results, at_us = write_all(documents, request.writes, now_us=call.now_ms * 1000)
        return messages.CommitResponse(write_results=results, commit_time=messages.timestamp(at_us))

    def batch_write(self, tx: Tx, call: Call, request: Any) -> Any:
        """ "Each write succeeds or fails independently", and one document is written once."""
        _check_size(request)
        documents = _documents(tx, call, names.database(request.database))
        read = [changes.read(documents.database, write) for write in request.writes]
        if len({change.path for change in read}) < len(read):
            raise invalid("the same document cannot be written more than once in a single request")
        commit = Commit(documents, now_us=call.now_ms * 1000)
        answer = messages.BatchWriteResponse()
        for change in read:
            try:
                answer.write_results.append(commit.apply(change))
                answer.status.append(_rpc.Status())
            except RpcError as error:
                answer.write_results.append(messages.WriteResult())
                answer.status.append(_rpc.Status(code=error.code, message=error.message))
        commit.keep()
        return answer

    async def write(self, call: Call, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The first request names the database and opens the stream; each one after it is a commit of its own, and the
        answer's token acknowledges it."""
        database: Database | None = None
        stream_id, acknowledged = "", 0
        async for request in requests:
            if database is None:
                database = names.database(request.database)
                stream_id = call.new_id()
                if request.stream_id:
                    raise not_served("Resuming a write stream (stream_id)")
                if request.writes:
                    raise invalid("The first request of a write stream must not contain writes.")
                yield messages.WriteResponse(stream_id=stream_id, stream_token=acknowledged.to_bytes(8))
                continue
            rules.check(call)  # Not before: an app's client takes a refusal of the opening for one that passes.
            if request.stream_token and int.from_bytes(request.stream_token[:8]) > acknowledged:
                raise invalid("The stream token was not given by this stream.")
            now_us = self.house.clock.now_ms() * 1000
            results, at_us = await self.house.store.transact(
                _commit, database, list(request.writes), call.new_id, now_us=now_us
            )
            acknowledged += 1
            yield messages.WriteResponse(
                stream_token=acknowledged.to_bytes(8), write_results=results, commit_time=messages.timestamp(at_us)
            )


def _check_size(request: Any) -> None:
    """ "Usage and limits", maximum API request size."""
    if request.ByteSize() > REQUEST_BYTES_MAX:
        raise invalid(f"Request payload size exceeds the limit: {REQUEST_BYTES_MAX} bytes.")


def _documents(tx: Tx, call: Call, database: Database) -> Documents:
    rules.check(call)
    return Documents.open_or_create(tx, database, uid=call.new_id(), now_us=call.now_ms * 1000)


def _commit(
    tx: Tx, database: Database, writes: list[Any], new_id: Callable[[], str], *, now_us: int
) -> tuple[list[Any], int]:
    documents = Documents.open_or_create(tx, database, uid=new_id(), now_us=now_us)
    return write_all(documents, writes, now_us=now_us)
