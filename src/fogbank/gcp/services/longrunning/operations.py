"""google.longrunning.Operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.protocol import longrunning, paging
from fogbank.gcp.protocol.descriptors import message
from fogbank.gcp.protocol.longrunning import LONGRUNNING, OPERATIONS
from fogbank.gcp.protocol.times import milliseconds
from fogbank.gcp.service import Call, Code, RpcError, Service

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_PAGE_MAX = 500


class Operations(Service):
    service = "google.longrunning.Operations"

    def get_operation(self, tx: Tx, call: Call, request: Any) -> Any:
        return _found(tx, request.name)

    def list_operations(self, tx: Tx, call: Call, request: Any) -> Any:
        """Without a filter: `name` says whose."""
        if request.filter:
            raise RpcError(Code.UNIMPLEMENTED, "fogbank lists operations without a filter only.")
        owner = request.name.removesuffix("operations").rstrip("/")
        rows, token = paging.page(
            tx, OPERATIONS, owner, size=request.page_size, token=request.page_token, largest=_PAGE_MAX
        )
        operations = [kept.operation for _, kept in rows]
        return LONGRUNNING.ListOperationsResponse(operations=operations, next_page_token=token)

    def delete_operation(self, tx: Tx, call: Call, request: Any) -> Any:
        """ "This method indicates that the client is no longer interested in the operation result." """
        if not _found(tx, request.name).done:
            raise RpcError(Code.FAILED_PRECONDITION, f"Operation {request.name} is not done.")
        longrunning.forget(tx, request.name)
        return message("google.protobuf.Empty")()

    async def wait_operation(self, call: Call, request: Any) -> Any:
        """Until it is done, or the time is over that the request names; then as it is."""
        house = self.house
        limit_ms = milliseconds(request.timeout) if request.HasField("timeout") else None
        until_ms = None if limit_ms is None else call.now_ms + limit_ms
        with house.signals.watch(longrunning.CHANGED, (request.name,)) as watch:
            while True:
                operation = await house.store.transact(_found, request.name)
                if operation.done or (until_ms is not None and house.clock.now_ms() >= until_ms):
                    return operation
                await watch.wait(until_ms)


def _found(tx: Tx, name: str) -> Any:
    operation = longrunning.find(tx, name)
    if operation is None:
        raise RpcError(Code.NOT_FOUND, f"Operation not found: {name[:512]}")
    return operation
