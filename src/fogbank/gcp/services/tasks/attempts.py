"""One attempt to send a task: how it begins, what it says of itself, and what its failure means for the task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fogbank.gcp.protocol import targets
from fogbank.gcp.protocol.times import milliseconds
from fogbank.gcp.service import Code
from fogbank.gcp.services.tasks import state
from fogbank.gcp.services.tasks.state import SENDING, TASKS, Queue, Task

if TYPE_CHECKING:
    from fogbank.kernel.posting import Reply
    from fogbank.kernel.store import Tx

SLACK_MS = 60_000  # Beyond its deadline, before it counts as lost with its node.


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt."""

    task_id: str
    row: Task  # As it was kept when the attempt began.
    began_ms: int
    http_target: bytes = b""  # The queue's.
    forced: bool = False  # By RunTask.


def headers(queue_id: str, sent: Sent) -> dict[str, str]:
    """ "Task request headers"; and as the service has been seen to send them."""
    task = sent.row.settings
    at = task.last_attempt.schedule_time
    told = {
        "X-CloudTasks-QueueName": queue_id,
        "X-CloudTasks-TaskName": sent.task_id,
        "X-CloudTasks-TaskRetryCount": str(task.dispatch_count - 1),
        "X-CloudTasks-TaskExecutionCount": str(sent.row.answers),
        "X-CloudTasks-TaskETA": f"{at.seconds}.{at.nanos // 1000:06d}",
    }
    if sent.row.previous:
        told["X-CloudTasks-TaskPreviousResponse"] = str(sent.row.previous)
        told["X-CloudTasks-TaskRetryReason"] = ""
    return told


def begun(tx: Tx, queue: Queue, task_id: str, row: Task, now_ms: int, *, forced: bool = False) -> Sent:
    """The row says that it is being sent."""
    task = row.settings
    task.dispatch_count += 1
    task.last_attempt.Clear()
    task.last_attempt.schedule_time.CopyFrom(task.schedule_time)
    task.last_attempt.dispatch_time.FromMilliseconds(now_ms)
    if not task.HasField("first_attempt"):
        task.first_attempt.dispatch_time.FromMilliseconds(now_ms)
    kept = replace(row, told=task.SerializeToString())
    TASKS.put(tx, queue.id, task_id, row=kept)
    SENDING.put(tx, queue.id, task_id, row=now_ms + state.deadline_ms(task) + SLACK_MS)
    return Sent(task_id, kept, now_ms, queue.http_target, forced)


def failed(task: Any, reply: Reply | None, now_ms: int) -> Any:
    if reply is None:
        code = Code.DEADLINE_EXCEEDED
        task.last_attempt.response_status.code = int(code)
        task.last_attempt.response_status.message = f"{code.name}({int(code)}): No response was received."
        return task
    task.response_count += 1
    task.last_attempt.response_time.FromMilliseconds(now_ms)
    task.last_attempt.response_status.code, task.last_attempt.response_status.message = targets.status(reply)
    return task


def is_used_up(task: Any, retries: Any, now_ms: int) -> bool:
    """ "Once `max_retry_duration` time has passed *and* the task has been attempted `max_attempts` times, no further
    attempts will be made"; -1 and 0 are no limits."""
    limit_ms = milliseconds(retries.max_retry_duration)
    is_late = now_ms - milliseconds(task.first_attempt.dispatch_time) >= limit_ms
    if retries.max_attempts == -1:
        return limit_ms > 0 and is_late
    return bool(task.dispatch_count >= retries.max_attempts) and is_late


def retry_after_ms(reply: Reply | None) -> int:
    """ "The retry specified in the `Retry-After` HTTP response header is considered": of 429 and 503, in seconds."""
    told = reply.headers.get("retry-after", "") if reply is not None and reply.status in (429, 503) else ""
    return min(int(told), 3600) * 1000 if told.isascii() and told.isdigit() and len(told) < 10 else 0
