"""Tasks: created, told, deleted, sent at once; and the loops that send what is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fogbank.gcp.protocol.descriptors import message
from fogbank.gcp.protocol.paging import filtered
from fogbank.gcp.protocol.times import milliseconds
from fogbank.gcp.service import Call, Later, Service
from fogbank.gcp.services.tasks import attempts, names, settings, state
from fogbank.gcp.services.tasks.dispatching import Dispatching
from fogbank.gcp.services.tasks.state import TASKS, TASKS_V2, Task
from fogbank.primitives import queues
from fogbank.primitives.queues import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.gcp.service import House
    from fogbank.kernel.store import Tx
    from fogbank.kernel.tasks import Background

_PAGE_MAX = 1000
_BASIC, _FULL = 1, 2  # Task.View.
_DIGITS = "0123456789"


class Tasks(Service):
    service = "google.cloud.tasks.v2.CloudTasks"

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self._dispatching = Dispatching(house)

    def backgrounds(self) -> Iterable[Background]:
        return self._dispatching.backgrounds()

    def create_task(self, tx: Tx, call: Call, request: Any) -> Any:
        queue = names.queue(request.parent)
        if request.task.name:
            name = names.task(request.task.name)
            if name.queue != queue:
                raise settings.invalid(
                    f"The queue name from request ('{queue}') must be the same as the queue name in the named task "
                    f"('{name.queue}')."
                )
        else:  # Twenty digits, as the service gives them.
            name = names.TaskName(queue, self.house.ids.token(20, _DIGITS))
        row = state.queue(tx, queue)
        task = settings.new_task(request.task, call.now_ms)
        state.check_unused(tx, row, name.id, call.now_ms)
        task.name = str(name)
        kept = Task(task.SerializeToString(), "", call.now_ms)
        state.plan(tx, row, name.id, kept, milliseconds(task.schedule_time), call.new_id)
        return _seen(task, request.response_view)

    def get_task(self, tx: Tx, call: Call, request: Any) -> Any:
        name = names.task(request.name)
        row = state.queue(tx, name.queue)
        return _seen(state.task(tx, row, name, call.now_ms).settings, request.response_view)

    def list_tasks(self, tx: Tx, call: Call, request: Any) -> Any:
        row = state.queue(tx, names.queue(request.parent))
        found, token = filtered(
            tx, TASKS, row.id, size=request.page_size, token=request.page_token, largest=_PAGE_MAX,
            told=lambda _, task: task.settings if task.created_ms + state.LIVES_MS > call.now_ms else None,
            matches=lambda _: True,
        )  # fmt: skip
        seen = [_seen(task, request.response_view) for task in found]
        return TASKS_V2.ListTasksResponse(tasks=seen, next_page_token=token)

    def delete_task(self, tx: Tx, call: Call, request: Any) -> Any:
        name = names.task(request.name)
        row = state.queue(tx, name.queue)
        state.forget_task(tx, row, name.id, state.task(tx, row, name, call.now_ms), call.now_ms)
        return message("google.protobuf.Empty")()

    def run_task(self, tx: Tx, call: Call, request: Any) -> Any:
        """ "The task that is returned contains the status after the task is dispatched but before the task is received
        by its target." """
        name = names.task(request.name)
        row = state.queue(tx, name.queue)
        task = state.task(tx, row, name, call.now_ms)
        state.unplan(tx, row, name.id, task)
        until_ms = call.now_ms + state.deadline_ms(task.settings) + 60_000
        lent = Message(call.new_id(), name.id, until_ms, task.created_ms, receive_count=1)
        queues.send(tx, row.id, lent)
        sent = attempts.begun(
            tx, row, name.id, replace(task, receipt=lent.receipt, attempt=call.new_id()), call.now_ms, forced=True
        )

        async def send() -> Any:
            self._dispatching.send_now(row.id, name.queue, sent)
            return _seen(sent.row.settings, request.response_view)

        return Later(send)


def _seen(task: Any, view: int) -> Any:
    """ "The basic view omits fields which can be large or can contain sensitive data": bodies."""
    task.view = view or _BASIC
    if task.view != _FULL:
        task.http_request.ClearField("body")
    return task
