"""What Cloud Tasks remembers: queues and tasks by name, which tasks are being sent, and which names were used lately.

A task's row says all that the API tells of it. When it is due lies in the queue of `primitives.queues` that has the
queue's id: its message is the task's id, and the row knows the message's receipt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.protocol.times import milliseconds
from fogbank.gcp.service import Code, RpcError
from fogbank.kernel.store.records import Records
from fogbank.primitives import queues
from fogbank.primitives.deduplication import Deduplication, Sent
from fogbank.primitives.queues import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.gcp.services.tasks.names import QueueName, TaskName
    from fogbank.kernel.store import Tx

TASKS_V2 = Package("google.cloud.tasks.v2")
RUNNING, PAUSED = 1, 2  # Queue.State.
CHANGED = "tasks.changed"  # The signal: a queue was made, set otherwise or deleted.
LIVES_MS = 31 * 86_400_000  # "After a task is 31 days old, the task will be deleted …".
_NAME_KEPT_MS = 3_600_000  # "another task with the same name can't be created for ~1hour".
_QUEUE_KEPT_MS = 7 * 86_400_000  # "a queue with the same name can't be created for 7 days."


class Queue(msgspec.Struct, frozen=True):
    id: str  # A new one each time the name is used again.
    name: str
    told: bytes  # A google.cloud.tasks.v2.Queue.
    tokens: float = 0.0  # In its bucket ("RateLimits.max_burst_size"), as of
    filled_ms: int = 0
    http_target: bytes = b""  # A google.cloud.tasks.v2beta3.HttpTarget, if it has one.

    @property
    def settings(self) -> Any:
        return TASKS_V2.Queue.FromString(self.told)


class Task(msgspec.Struct, frozen=True):
    told: bytes  # A google.cloud.tasks.v2.Task.
    receipt: str  # Of its message.
    created_ms: int
    answers: int = 0  # Responses that say that the handler has run: all but 5xx.
    previous: int = 0  # The HTTP status of the last response.
    attempt: str = ""  # The one that is under way.

    @property
    def settings(self) -> Any:
        return TASKS_V2.Task.FromString(self.told)


QUEUES = Records(Queue, "tasks", "queue")  # (project/location, id in its name)
TASKS = Records(Task, "tasks", "task")  # (queue's id, task's id in its name)
SENDING = Records(int, "tasks", "sending")  # (queue's id, task's id) → until when it is lent
_USED = Deduplication("tasks")
_BURIED = Records(int, "tasks", "buried")  # (project/location, id) → until when no queue may have the name


def missing_queue() -> RpcError:
    return RpcError(
        Code.NOT_FOUND,
        "Queue does not exist. If you just created the queue, wait at least a minute for the queue to initialize.",
    )


def queue(tx: Tx, name: QueueName) -> Queue:
    """Raises `RpcError`."""
    row = QUEUES.get(tx, name.scope, name.id, lock=True)
    if row is None:
        raise missing_queue()
    return row


def put_queue(tx: Tx, name: QueueName, row: Queue) -> None:
    QUEUES.put(tx, name.scope, name.id, row=row)
    tx.emit(CHANGED)
    tx.emit(queues.DUE, (row.id,))  # What it may send now is another thing.


def is_buried(tx: Tx, name: QueueName, now_ms: int) -> bool:
    return (_BURIED.get(tx, name.scope, name.id) or 0) > now_ms


def forget_queue(tx: Tx, name: QueueName, row: Queue, now_ms: int) -> None:
    empty(tx, row)
    _USED.forget(tx, row.id)
    QUEUES.delete(tx, name.scope, name.id)
    _BURIED.put(tx, name.scope, name.id, row=now_ms + _QUEUE_KEPT_MS)
    tx.emit(CHANGED)
    tx.emit(queues.DUE, (row.id,))


def empty(tx: Tx, row: Queue) -> None:
    queues.drop(tx, row.id)
    for records in (TASKS, SENDING):
        records.clear(tx, row.id)


def task(tx: Tx, row: Queue, name: TaskName, now_ms: int) -> Task:
    """Raises `RpcError`."""
    found = TASKS.get(tx, row.id, name.id, lock=True)
    if found is not None and found.created_ms + LIVES_MS > now_ms:
        return found
    if found is None and _USED.find(tx, row.id, "", name.id, now_ms) is None:
        raise RpcError(Code.NOT_FOUND, "Requested entity was not found.")
    raise RpcError(
        Code.NOT_FOUND,
        "The task no longer exists, though a task with this name existed recently. The task either successfully "
        "completed or was deleted.",
    )


def check_unused(tx: Tx, row: Queue, task_id: str, now_ms: int) -> None:
    if TASKS.get(tx, row.id, task_id, lock=True) is not None:
        raise RpcError(Code.ALREADY_EXISTS, "Requested entity already exists")
    if _USED.find(tx, row.id, "", task_id, now_ms) is not None:
        raise RpcError(
            Code.ALREADY_EXISTS, "The task cannot be created because a task with this name existed too recently."
        )


def plan(tx: Tx, row: Queue, task_id: str, task_row: Task, due_ms: int, new_id: Callable[[], str]) -> None:
    """Keep the task, and send it at that moment."""
    message = Message(new_id(), task_id, due_ms, task_row.created_ms)
    queues.send(tx, row.id, message)
    TASKS.put(tx, row.id, task_id, row=replace(task_row, receipt=message.receipt))


def unplan(tx: Tx, row: Queue, task_id: str, task_row: Task) -> None:
    queues.delete(tx, row.id, task_row.receipt)
    SENDING.delete(tx, row.id, task_id)


def forget_task(tx: Tx, row: Queue, task_id: str, task_row: Task, now_ms: int) -> None:
    """It is done, deleted or given up: its name stays used for a while."""
    unplan(tx, row, task_id, task_row)
    TASKS.delete(tx, row.id, task_id)
    _USED.keep(tx, row.id, "", task_id, Sent(task_id, "", now_ms + _NAME_KEPT_MS))


def forget_names(tx: Tx, now_ms: int) -> None:
    """Those that may be used again."""
    _USED.expire(tx, now_ms)
    for key, until_ms in list(_BURIED.scan(tx)):
        if until_ms <= now_ms:
            tx.delete(key)


def deadline_ms(task: Any) -> int:
    """How long its target has to answer."""
    return milliseconds(task.dispatch_deadline)
