"""Names of queues and tasks: "projects/PROJECT/locations/LOCATION/queues/QUEUE/tasks/TASK"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fogbank.gcp.protocol.descriptors import message
from fogbank.gcp.protocol.places import PLACE, Located
from fogbank.gcp.service import Code, RpcError

if TYPE_CHECKING:
    from google.protobuf.message import Message

_QUEUE = re.compile(PLACE + r"/queues/([A-Za-z0-9-]{1,100})")
_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,500}")
_REFERENCE = "https://cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues"


class QueueName(Located):
    __slots__ = ()
    collection = "queues"


@dataclass(frozen=True, slots=True)
class TaskName:
    queue: QueueName
    id: str

    def __str__(self) -> str:
        return f"{self.queue}/tasks/{self.id}"


def queue(name: str) -> QueueName:
    found = _QUEUE.fullmatch(name)
    if found is None:
        raise RpcError(
            Code.INVALID_ARGUMENT,
            'Queue name must be formatted: "projects/<PROJECT_ID>/locations/<LOCATION_ID>/queues/<QUEUE_ID>".',
            [_help("Definition of queue name", f"{_REFERENCE}#Queue.FIELDS.name")],
        )
    return QueueName(found[1], found[2], found[3])


def task(name: str) -> TaskName:
    parent, slash, task_id = name.rpartition("/tasks/")
    if not slash or not _QUEUE.fullmatch(parent):
        raise RpcError(
            Code.INVALID_ARGUMENT,
            'Task name must be formatted: "projects/<PROJECT_ID>/locations/<LOCATION_ID>/queues/<QUEUE_ID>/tasks/'
            '<TASK_ID>"',
        )
    if not _TASK_ID.fullmatch(task_id):
        raise RpcError(
            Code.INVALID_ARGUMENT,
            f'Task ID "{task_id[:512]}" can contain only letters ([A-Za-z]), numbers ([0-9]), hyphens (-), or '
            "underscores (_). Task ID must between 1 and 500 characters.",
            [_help("Definition of task ID", f"{_REFERENCE}.tasks#Task.FIELDS.name")],
        )
    return TaskName(queue(parent), task_id)


def _help(description: str, url: str) -> Message:
    return message("google.rpc.Help")(links=[{"description": description, "url": url}])
