"""Queues: made, set, paused, emptied, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fogbank.gcp.protocol import filters, places, policies
from fogbank.gcp.protocol.descriptors import message
from fogbank.gcp.protocol.paging import filtered
from fogbank.gcp.service import Call, Code, RpcError, Service
from fogbank.gcp.services.tasks import names, settings, state
from fogbank.gcp.services.tasks.state import QUEUES, TASKS_V2, Queue

if TYPE_CHECKING:
    from fogbank.gcp.services.tasks.names import QueueName
    from fogbank.kernel.store import Tx

_PAGE_MAX = 9800


class Queues(Service):
    service = "google.cloud.tasks.v2.CloudTasks"

    def create_queue(self, tx: Tx, call: Call, request: Any) -> Any:
        places.scope(request.parent)
        name = names.queue(request.queue.name)
        if not request.queue.name.startswith(f"{request.parent}/"):
            raise settings.invalid(f"{request.queue.name} must begin with {request.parent}.")
        if QUEUES.get(tx, name.scope, name.id, lock=True) is not None:
            raise RpcError(Code.ALREADY_EXISTS, "Queue already exists")
        return self._create(tx, call, name, request.queue)

    def _create(self, tx: Tx, call: Call, name: QueueName, given: Any) -> Any:
        if state.is_buried(tx, name, call.now_ms):
            raise RpcError(
                Code.FAILED_PRECONDITION,
                "The queue cannot be created because a queue with this name existed too recently.",
            )
        queue = settings.new_queue(given)
        burst = float(queue.rate_limits.max_burst_size)
        row = Queue(call.new_id(), str(name), queue.SerializeToString(), burst, call.now_ms)
        state.put_queue(tx, name, row)
        return queue

    def update_queue(self, tx: Tx, call: Call, request: Any) -> Any:
        """ "This method creates the queue if it does not exist and updates the queue if it does exist." """
        name = names.queue(request.queue.name)
        row = QUEUES.get(tx, name.scope, name.id, lock=True)
        if row is None:
            return self._create(tx, call, name, request.queue)
        return self._put(tx, name, row, settings.changed_queue(row.settings, request))

    def _put(self, tx: Tx, name: QueueName, row: Queue, queue: Any) -> Any:
        state.put_queue(tx, name, replace(row, told=queue.SerializeToString()))
        return queue

    def get_queue(self, tx: Tx, call: Call, request: Any) -> Any:
        return state.queue(tx, names.queue(request.name)).settings

    def list_queues(self, tx: Tx, call: Call, request: Any) -> Any:
        found, token = filtered(
            tx, QUEUES, places.scope(request.parent), size=request.page_size, token=request.page_token,
            largest=_PAGE_MAX, told=lambda _, row: row.settings,
            matches=filters.compiled(request.filter, TASKS_V2.Queue.DESCRIPTOR),
        )  # fmt: skip
        return TASKS_V2.ListQueuesResponse(queues=found, next_page_token=token)

    def delete_queue(self, tx: Tx, call: Call, request: Any) -> Any:
        name = names.queue(request.name)
        row = QUEUES.get(tx, name.scope, name.id, lock=True)
        if row is None:
            raise RpcError(Code.NOT_FOUND, "Requested entity was not found.")
        state.forget_queue(tx, name, row, call.now_ms)
        return message("google.protobuf.Empty")()

    def purge_queue(self, tx: Tx, call: Call, request: Any) -> Any:
        name = names.queue(request.name)
        row = state.queue(tx, name)
        queue = row.settings
        state.empty(tx, row)
        queue.purge_time.FromMilliseconds(call.now_ms)
        return self._put(tx, name, row, queue)

    def pause_queue(self, tx: Tx, call: Call, request: Any) -> Any:
        return self._set_state(tx, request.name, state.PAUSED)

    def resume_queue(self, tx: Tx, call: Call, request: Any) -> Any:
        return self._set_state(tx, request.name, state.RUNNING)

    def _set_state(self, tx: Tx, text: str, wanted: int) -> Any:
        name = names.queue(text)
        row = state.queue(tx, name)
        queue = row.settings
        queue.state = wanted
        return self._put(tx, name, row, queue)

    # -- IAM keeps the policies ----------------------------------------------------------------------------------------

    get_iam_policy = policies.get_iam_policy
    set_iam_policy = policies.set_iam_policy

    async def test_iam_permissions(self, call: Call, request: Any) -> Any:
        """ "If the resource does not exist, this will return an empty set of permissions, not a NOT_FOUND error." """
        try:
            return await policies.test_iam_permissions(self, call, request)
        except RpcError as error:
            if error.code != Code.NOT_FOUND:
                raise
            return message("google.iam.v1.TestIamPermissionsResponse")()
