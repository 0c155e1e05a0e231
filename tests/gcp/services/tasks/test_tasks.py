"""Tasks: how they are created, told and deleted."""

from __future__ import annotations

import asyncio
import datetime
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.cloud import tasks_v2

from tests.support.google_services import LOCATION, Tasks, client
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud
    from tests.support.receiver import Receiver

_START = datetime.datetime(2027, 1, 15, 8, tzinfo=datetime.UTC)
_URL = "http://127.0.0.1:9/nobody"


@pytest.fixture
def queue(tasks: Tasks) -> str:
    """A queue that sends nothing."""
    name = tasks.queue()
    tasks.client.pause_queue(name=name)
    return name


def test_a_task_is_told_without_its_body_unless_all_is_asked_for(each_wire: Tasks) -> None:
    queue = each_wire.queue()
    each_wire.client.pause_queue(name=queue)
    made = each_wire.create(queue, _URL, http={"body": b"secret", "headers": {"X-Mixed-Case": "kept"}})
    assert made.http_request.body == b"" and made.view == tasks_v2.Task.View.BASIC
    assert dict(made.http_request.headers) == {"User-Agent": "Google-Cloud-Tasks", "X-Mixed-Case": "kept"}
    assert made.http_request.http_method == tasks_v2.HttpMethod.POST
    assert made.schedule_time == made.create_time == _START
    assert made.dispatch_deadline == datetime.timedelta(minutes=10)
    whole = each_wire.client.get_task(request={"name": made.name, "response_view": "FULL"})
    assert whole.http_request.body == b"secret"
    listed = each_wire.client.list_tasks(request={"parent": queue, "response_view": "FULL"})
    assert [task.http_request.body for task in listed] == [b"secret"]


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ({"http_request": {"url": ""}}, "HttpRequest.url is required."),
        ({"http_request": {"url": "ftp://x"}}, "HttpTarget.url must start with 'http://' or 'https://'."),
        ({"http_request": {"url": _URL, "http_method": "GET", "body": b"x"}}, "must be empty for the HTTP method GET"),
        ({"http_request": {"url": _URL, "headers": {"a": "b\r\nc: d"}}}, "has an invalid header"),
        ({"http_request": {"url": _URL, "body": b"x" * 102_400}}, "Task size too large"),
        (
            {"http_request": {"url": _URL}, "dispatch_deadline": datetime.timedelta(seconds=14)},
            r"Task.dispatchDeadline must be between \[15s, 30m\].",
        ),
        (
            {"http_request": {"url": _URL}, "schedule_time": datetime.datetime(2027, 2, 15, 8, tzinfo=datetime.UTC)},
            r"The Task.scheduleTime, 2027-02-15T00:00:00-08:00, is too far in the future\. Schedule time must be no",
        ),
        (
            {"http_request": {"url": _URL}, "name": f"{LOCATION}/queues/mail/tasks/a b"},
            r'Task ID "a b" can contain only letters',
        ),
        (
            {"http_request": {"url": _URL}, "name": f"{LOCATION}/queues/other/tasks/a"},
            r"must be the same as the queue name in the named task \('.*/queues/other'\)",
        ),
    ],
)
def test_a_task_that_cannot_be_is_refused(tasks: Tasks, queue: str, task: dict[str, Any], text: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=text):
        tasks.client.create_task(parent=queue, task=task)
    assert tasks.ids(queue) == []


def test_a_name_is_used_once_and_not_again_for_an_hour(cloud: Cloud, tasks: Tasks, queue: str) -> None:
    tasks.create(queue, _URL, "once")
    with pytest.raises(exceptions.AlreadyExists, match="Requested entity already exists"):
        tasks.create(queue, _URL, "once")
    tasks.client.delete_task(name=f"{queue}/tasks/once")
    with pytest.raises(exceptions.AlreadyExists, match="a task with this name existed too recently"):
        tasks.create(queue, _URL, "once")
    with pytest.raises(exceptions.NotFound, match="The task no longer exists, though a task with this name existed"):
        tasks.client.get_task(name=f"{queue}/tasks/once")
    cloud.advance(seconds=3600)
    tasks.create(queue, _URL, "once")


def test_a_task_that_never_was_is_not_found(each_wire: Tasks) -> None:
    name = f"{each_wire.queue()}/tasks/none"
    calls: list[Any] = [each_wire.client.get_task, each_wire.client.delete_task, each_wire.client.run_task]
    for call in calls:
        with pytest.raises(exceptions.NotFound, match=r"Requested entity was not found\."):
            call(name=name)


def test_a_queue_that_is_purged_has_no_tasks_and_says_when(tasks: Tasks, queue: str) -> None:
    for number in range(3):
        tasks.create(queue, _URL, f"t{number}")
    assert tasks.client.purge_queue(name=queue).purge_time == _START
    assert tasks.ids(queue) == []


def test_a_task_is_forgotten_after_31_days(cloud: Cloud, tasks: Tasks, queue: str) -> None:
    tasks.create(queue, _URL)
    cloud.advance(seconds=31 * 86_400)
    assert tasks.ids(queue) == []


def test_tasks_are_listed_in_pages(tasks: Tasks, queue: str) -> None:
    for number in range(5):
        tasks.create(queue, _URL, f"t{number}")
    pages = tasks.client.list_tasks(request={"parent": queue, "page_size": 2}).pages
    assert [[task.name[-2:] for task in page.tasks] for page in pages] == [["t0", "t1"], ["t2", "t3"], ["t4"]]


def test_the_asyncio_client_creates_a_task(cloud: Cloud, tasks: Tasks, worker: Receiver) -> None:
    queue = tasks.queue()

    async def create() -> None:
        asking = client(tasks_v2.CloudTasksAsyncClient, cloud.server.port, "grpc_asyncio")
        await asking.create_task(parent=queue, task={"http_request": {"url": worker.url, "body": b"hello"}})
        await asking.transport.close()

    asyncio.run(create())
    assert eventually(lambda: worker.requests)[0].body == b"hello"
