"""Moving dead letters back: a task per dead-letter queue, done in small transactions, so that it goes on after a crash.

SQS Developer Guide, "Configuring a dead-letter queue redrive": moved messages are new, with their own ids and times.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.service import Background, Call, Operations, ServiceError
from fogbank.aws.services.sqs import attributes, state
from fogbank.kernel.store.records import Records
from fogbank.primitives import queues

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.kernel.store import Tx

_STARTED = "sqs.moves"
_PER_STEP = 100
_LISTED_MAX = 10
_RUNNING, _CANCELLED, _COMPLETED, _FAILED = "RUNNING", "CANCELLED", "COMPLETED", "FAILED"


@dataclass(frozen=True, slots=True)
class Task:
    id: str
    source: str  # ARNs.
    destination: str  # "": each message goes where it came from.
    per_second: int  # 0: as fast as it goes.
    started_ms: int
    to_move: int
    status: str = _RUNNING
    moved: int = 0
    reason: str = ""

    @property
    def handle(self) -> str:
        return b64encode(orjson.dumps({"taskId": self.id, "sourceArn": self.source})).decode()


TASKS = Records(Task, "sqs", "move")  # (source ARN, id): ids sort by time
ACTIVE = Records(Task, "sqs", "moving")  # (source ARN,): what is running


class Moves(Operations):
    service: ClassVar = "sqs"

    def backgrounds(self) -> list[Background]:
        return [Background("sqs: move dead letters back", self._work)]

    def start_message_move_task(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        source, destination = request["SourceArn"], request.get("DestinationArn", "")
        queue = _queue(tx, source, "SourceArn")
        if destination:
            target = _queue(tx, destination, "DestinationArn")
            if target.id == queue.id:
                told = "Source queue arn and destination queue arn cannot be the same."
                raise ServiceError("InvalidParameterValue", told)
        every = state.QUEUES.all(tx, queue.account, queue.region)
        if not any((attributes.redrive(one.attributes) or ("", 0))[0] == source for one in every):
            raise ServiceError("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue.")
        per_second = request.get("MaxNumberOfMessagesPerSecond", 0)
        if "MaxNumberOfMessagesPerSecond" in request and not 1 <= per_second <= 500:
            told = (
                f"Value {per_second} for parameter MaxNumberOfMessagesPerSecond is invalid. "
                "Reason: Must be between 1 and 500."
            )
            raise ServiceError("InvalidParameterValue", told)
        if ACTIVE.get(tx, source, lock=True) is not None:
            told = (
                "There is already a task running. "
                "Only one active task is allowed for a source queue arn at a given time."
            )
            raise ServiceError("UnsupportedOperation", told)
        there = queues.counts(tx, queue.id, call.now_ms).visible
        task = Task(call.new_id(), source, destination, per_second, call.now_ms, there)
        ACTIVE.put(tx, source, row=task)
        tx.emit(_STARTED)
        return {"TaskHandle": task.handle}

    def list_message_move_tasks(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """The newest first: the one that runs and at most ten in all."""
        source = request["SourceArn"]
        _queue(tx, source, "SourceArn")
        limit = request.get("MaxResults", 1)
        if not 1 <= limit <= _LISTED_MAX:
            told = f"Value {limit} for parameter MaxResults is invalid. Reason: Must be between 1 and 10."
            raise ServiceError("InvalidParameterValue", told)
        running = ACTIVE.get(tx, source)
        ended = [task for _, task in TASKS.scan(tx, source, reverse=True, limit=limit)]
        return {"Results": [_shown(task) for task in ([running] if running else []) + ended][:limit]}

    def cancel_message_move_task(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        try:
            named = orjson.loads(b64decode(request["TaskHandle"], validate=True))
            source, task_id = str(named["sourceArn"]), str(named["taskId"])
        except (ValueError, TypeError, KeyError) as error:
            told = "Value for parameter TaskHandle is invalid."
            raise ServiceError("InvalidParameterValue", told) from error
        running = ACTIVE.get(tx, source, lock=True)
        if running is None or running.id != task_id:
            if any(task.id == task_id for task in TASKS.all(tx, source)):
                raise ServiceError("UnsupportedOperation", "Only active tasks can be cancelled.")
            raise ServiceError("ResourceNotFoundException", "Task does not exist.", status=404)
        _end(tx, replace(running, status=_CANCELLED))
        return {"ApproximateNumberOfMessagesMoved": running.moved}

    # -- the loop --

    async def _work(self) -> None:
        house = self.house
        next_ms: dict[str, int] = {}  # By task, where it has a rate.
        with house.signals.watch(_STARTED) as watch:
            while True:
                running = await house.store.transact(ACTIVE.all)
                now_ms = house.clock.now_ms()
                next_ms = {task.id: next_ms.get(task.id, now_ms) for task in running if task.per_second}
                for task in running:
                    if next_ms.get(task.id, now_ms) > now_ms:
                        continue
                    if task.per_second:
                        next_ms[task.id] = now_ms + 1000
                    try:
                        await house.store.transact(_step, task.source, house.clock.now_ms(), house.ids.new)
                    except ServiceError as error:  # A queue is gone: what this step did is undone.
                        await house.store.transact(_fail, task.source, error.code)
                if len(next_ms) == len(running):  # None that goes as fast as it can.
                    await watch.wait(min(next_ms.values(), default=None))


def _step(tx: Tx, source: str, now_ms: int, new_id: Callable[[], str]) -> None:
    """Move a second's worth, or a handful; the task ends when nothing is left that could be received."""
    task = ACTIVE.get(tx, source, lock=True)
    if task is None:
        return
    queue = state.by_arn(tx, source)
    fixed = state.by_arn(tx, task.destination) if task.destination else None
    moved = 0

    def move(tx: Tx, one: queues.Message) -> None:
        nonlocal moved
        system = dict(one.notes.get("system", {}))
        origin = system.pop("DeadLetterQueueSourceArn", "")
        target = fixed or state.by_arn(tx, origin)
        notes = {**one.notes, "system": system}
        if target.fifo:
            system["SequenceNumber"] = state.next_sequence(tx, target)
        end_ms = now_ms + target.retention_ms
        queues.send(
            tx, target.id, queues.Message(new_id(), one.body, now_ms, now_ms, end_ms, group=one.group, notes=notes)
        )
        moved += 1

    limit = task.per_second or _PER_STEP
    queues.take_out(tx, queue.id, limit=limit, now_ms=now_ms, then=move)
    task = replace(task, moved=task.moved + moved)
    if moved:
        ACTIVE.put(tx, source, row=task)
    else:
        _end(tx, replace(task, status=_COMPLETED))


def _fail(tx: Tx, source: str, reason: str) -> None:
    task = ACTIVE.get(tx, source, lock=True)
    if task is not None:
        _end(tx, replace(task, status=_FAILED, reason=reason))


def _end(tx: Tx, task: Task) -> None:
    ACTIVE.delete(tx, task.source)
    TASKS.put(tx, task.source, task.id, row=task)


def _queue(tx: Tx, arn: str, parameter: str) -> state.Queue:
    try:
        return state.by_arn(tx, arn)
    except ServiceError as error:
        told = f"The resource that you specified for the {parameter} parameter doesn't exist."
        raise ServiceError("ResourceNotFoundException", told, status=404) from error


def _shown(task: Task) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Status": task.status, "SourceArn": task.source, "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.to_move, "StartedTimestamp": task.started_ms,
    }  # fmt: skip
    further = {
        "TaskHandle": task.handle if task.status == _RUNNING else "",
        "DestinationArn": task.destination, "MaxNumberOfMessagesPerSecond": task.per_second,
        "FailureReason": task.reason,
    }  # fmt: skip
    return shown | {name: value for name, value in further.items() if value}
