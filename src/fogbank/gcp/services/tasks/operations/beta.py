"""v2beta3: the same as v2, with HTTP targets of queues beside it, which override what tasks say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fogbank.gcp.protocol.versions import converted
from fogbank.gcp.service import Call, Code, Later, RpcError, Service
from fogbank.gcp.services.tasks import names, overrides, settings, state
from fogbank.gcp.services.tasks.operations.queues import Queues
from fogbank.gcp.services.tasks.operations.tasks import Tasks
from fogbank.gcp.services.tasks.overrides import TASKS_V2BETA3
from fogbank.gcp.services.tasks.state import QUEUES, TASKS_V2

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.gcp.service import House
    from fogbank.kernel.store import Tx

_PUSH = 2  # Queue.Type.
_NOT_OF_V2 = frozenset(("http_target", "type", "stats"))  # What v2's queues have not, and are not asked for.


class Beta(Service):
    service = "google.cloud.tasks.v2beta3.CloudTasks"

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self._queues, self._tasks = Queues(house), Tasks(house)

    # -- queues --------------------------------------------------------------------------------------------------------

    def create_queue(self, tx: Tx, call: Call, request: Any) -> Any:
        if request.queue.type not in (0, _PUSH):
            raise RpcError(Code.UNIMPLEMENTED, "fogbank does not serve pull queues: type must be PUSH.")
        asked = converted(request, TASKS_V2.CreateQueueRequest(), passed_over=_NOT_OF_V2)
        self._queues.create_queue(tx, call, asked)
        return self._with_target(tx, request.queue)

    def update_queue(self, tx: Tx, call: Call, request: Any) -> Any:
        asked = converted(request, TASKS_V2.UpdateQueueRequest(), passed_over=_NOT_OF_V2)
        paths = list(request.update_mask.paths)
        others = [path for path in paths if path.partition(".")[0] != "http_target"]
        if others or not paths:
            del asked.update_mask.paths[:]
            asked.update_mask.paths.extend(others)
            self._queues.update_queue(tx, call, asked)
        if len(others) < len(paths) and any("." in path for path in paths if path not in others):
            raise settings.invalid("Invalid mask for Queue: http_target can be set as a whole only.")
        if len(others) < len(paths) or not paths:
            return self._with_target(tx, request.queue)
        return self._told(tx, request.queue.name)

    def _with_target(self, tx: Tx, given: Any) -> Any:
        name = names.queue(given.name)
        overrides.check(given.http_target)
        told = given.http_target.SerializeToString() if given.HasField("http_target") else b""
        state.put_queue(tx, name, replace(state.queue(tx, name), http_target=told))
        return self._told(tx, given.name)

    def get_queue(self, tx: Tx, call: Call, request: Any) -> Any:
        _refuse_stats(request)
        return self._told(tx, request.name)

    def _told(self, tx: Tx, text: str) -> Any:
        return _queue(state.queue(tx, names.queue(text)))

    def list_queues(self, tx: Tx, call: Call, request: Any) -> Any:
        _refuse_stats(request)
        asked = converted(request, TASKS_V2.ListQueuesRequest(), passed_over=frozenset(("read_mask",)))
        found = self._queues.list_queues(tx, call, asked)
        return TASKS_V2BETA3.ListQueuesResponse(
            queues=[self._told(tx, queue.name) for queue in found.queues], next_page_token=found.next_page_token
        )

    def delete_queue(self, tx: Tx, call: Call, request: Any) -> Any:
        return self._queues.delete_queue(tx, call, request)

    def purge_queue(self, tx: Tx, call: Call, request: Any) -> Any:
        self._queues.purge_queue(tx, call, request)
        return self._told(tx, request.name)

    def pause_queue(self, tx: Tx, call: Call, request: Any) -> Any:
        self._queues.pause_queue(tx, call, request)
        return self._told(tx, request.name)

    def resume_queue(self, tx: Tx, call: Call, request: Any) -> Any:
        self._queues.resume_queue(tx, call, request)
        return self._told(tx, request.name)

    async def set_iam_policy(self, call: Call, request: Any) -> Any:
        return await self._queues.set_iam_policy(call, request)

    async def get_iam_policy(self, call: Call, request: Any) -> Any:
        return await self._queues.get_iam_policy(call, request)

    async def test_iam_permissions(self, call: Call, request: Any) -> Any:
        return await self._queues.test_iam_permissions(call, request)

    # -- tasks ---------------------------------------------------------------------------------------------------------

    def create_task(self, tx: Tx, call: Call, request: Any) -> Any:
        """A queue that has a URL of its own takes tasks without one."""
        asked = converted(request, TASKS_V2.CreateTaskRequest())
        row = QUEUES.get(tx, names.queue(request.parent).scope, names.queue(request.parent).id)
        if row is not None and row.http_target and not asked.task.http_request.url:
            asked.task.http_request.url = overrides.address(row.http_target)
        return _task(self._tasks.create_task(tx, call, asked))

    def get_task(self, tx: Tx, call: Call, request: Any) -> Any:
        return _task(self._tasks.get_task(tx, call, request))

    def list_tasks(self, tx: Tx, call: Call, request: Any) -> Any:
        found = self._tasks.list_tasks(tx, call, request)
        return TASKS_V2BETA3.ListTasksResponse(
            tasks=[_task(task) for task in found.tasks], next_page_token=found.next_page_token
        )

    def delete_task(self, tx: Tx, call: Call, request: Any) -> Any:
        return self._tasks.delete_task(tx, call, request)

    def run_task(self, tx: Tx, call: Call, request: Any) -> Any:
        return _later(self._tasks.run_task(tx, call, request), _task)


def _refuse_stats(request: Any) -> None:
    if any(path.partition(".")[0] == "stats" for path in request.read_mask.paths):
        raise RpcError(Code.UNIMPLEMENTED, "fogbank does not serve stats of queues.")


def _queue(row: state.Queue) -> Any:
    told = converted(row.settings, TASKS_V2BETA3.Queue())
    told.type = _PUSH
    if row.http_target:
        told.http_target.ParseFromString(row.http_target)
    return told


def _task(task: Any) -> Any:
    return converted(task, TASKS_V2BETA3.Task())


def _later(later: Later, told: Callable[[Any], Any]) -> Later:
    async def finish() -> Any:
        return told(await later.finish())

    return Later(finish)
