"""Sending: what targets are sent, how fast, and what becomes of their answers."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest

from tests.support.command import Fogbank
from tests.support.google_services import Tasks
from tests.support.killing import kill
from tests.support.receiver import Held, Received, Receiver
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cloud import Cloud
    from tests.support.google import PubSub

_START = datetime.datetime(2027, 1, 15, 8, tzinfo=datetime.UTC)
_ACCOUNT = "worker@fog-project.iam.gserviceaccount.com"


def test_a_task_is_sent_with_what_it_says_and_what_it_is(tasks: Tasks, worker: Receiver) -> None:
    queue = tasks.queue()
    http = {"http_method": "PUT", "body": b"hello", "headers": {"Content-Type": "text/plain", "X-Google-Evil": "x"}}
    tasks.create(queue, f"{worker.url}?a=b c", "greet", http=http)
    (sent,) = eventually(lambda: worker.requests)
    assert (sent.method, sent.path, sent.body) == ("PUT", "/hook?a=b%20c", b"hello")
    headers = sent.headers
    assert headers["user-agent"] == "Google-Cloud-Tasks" and headers["content-type"] == "text/plain"
    assert headers["x-cloudtasks-queuename"] == "mail" and headers["x-cloudtasks-taskname"] == "greet"
    assert headers["x-cloudtasks-taskretrycount"] == headers["x-cloudtasks-taskexecutioncount"] == "0"
    assert headers["x-cloudtasks-tasketa"] == "1800000000.000000"
    assert "x-cloudtasks-taskpreviousresponse" not in headers and "x-google-evil" not in headers
    eventually(lambda: not tasks.ids(queue))


def test_a_task_waits_for_its_time(cloud: Cloud, tasks: Tasks, worker: Receiver) -> None:
    queue = tasks.queue()
    tasks.create(queue, worker.url, "later", schedule_time=_START + datetime.timedelta(hours=1))
    tasks.create(queue, worker.url, "now")
    eventually(lambda: tasks.ids(queue) == ["later"])
    cloud.advance(seconds=3600)
    eventually(lambda: not tasks.ids(queue))
    assert [sent.headers["x-cloudtasks-taskname"] for sent in worker.requests] == ["now", "later"]


def test_what_fails_is_tried_again_after_pauses_that_double(cloud: Cloud, tasks: Tasks) -> None:
    answers = [503, 404, 500, 200]
    with Receiver(lambda _: answers.pop(0)) as worker:
        queue = tasks.queue(retry_config={"min_backoff": datetime.timedelta(seconds=10)})
        tasks.create(queue, worker.url, "retried")
        for sent, pause in enumerate((10, 20, 40), start=1):
            _is_scheduled(tasks, f"{queue}/tasks/retried", sent)
            assert len(worker.requests) == sent
            cloud.advance(seconds=pause)
        eventually(lambda: not tasks.ids(queue))
    told = [_counts(sent) for sent in worker.requests]
    # Retries, answers of a handler that ran (which a 5xx is not), and the last answer.
    assert told == [("0", "0", None), ("1", "0", "503"), ("2", "1", "404"), ("3", "1", "500")]


def _is_scheduled(tasks: Tasks, name: str, attempts: int) -> None:
    """The answer to so many attempts has been kept."""
    eventually(lambda: tasks.client.get_task(name=name).response_count == attempts)


def _counts(sent: Received) -> tuple[str, str, str | None]:
    names = ("taskretrycount", "taskexecutioncount", "taskpreviousresponse")
    retries, answers, previous = (sent.headers.get(f"x-cloudtasks-{name}") for name in names)
    return str(retries), str(answers), previous


def test_a_task_tells_of_its_attempts(cloud: Cloud, tasks: Tasks) -> None:
    with Receiver(lambda _: 500) as worker:
        queue = tasks.queue(retry_config={"min_backoff": datetime.timedelta(seconds=10)})
        made = tasks.create(queue, worker.url)
        _is_scheduled(tasks, made.name, 1)
        task = tasks.client.get_task(name=made.name)
    assert (task.dispatch_count, task.response_count) == (1, 1)
    assert task.first_attempt.dispatch_time == task.last_attempt.dispatch_time == _START
    assert task.last_attempt.response_status.message == "INTERNAL(13): HTTP status code 500"
    assert task.schedule_time == _START + datetime.timedelta(seconds=10)


def test_a_task_is_given_up_after_its_last_attempt(cloud: Cloud, tasks: Tasks) -> None:
    with Receiver(lambda _: 500) as worker:
        second = datetime.timedelta(seconds=1)
        queue = tasks.queue(retry_config={"max_attempts": 2, "min_backoff": second, "max_backoff": second})
        tasks.create(queue, worker.url, "hopeless")
        _is_scheduled(tasks, f"{queue}/tasks/hopeless", 1)
        cloud.advance(seconds=1)
        eventually(lambda: not tasks.ids(queue))
        assert len(worker.requests) == 2


def test_attempts_go_on_until_the_retry_duration_is_over_too(cloud: Cloud, tasks: Tasks) -> None:
    """ "Once `max_retry_duration` time has passed *and* the task has been attempted `max_attempts` times"."""
    with Receiver(lambda _: 500) as worker:
        second = datetime.timedelta(seconds=1)
        retries = {"max_attempts": 1, "min_backoff": second, "max_backoff": second, "max_retry_duration": 2 * second}
        queue = tasks.queue(retry_config=retries)
        made = tasks.create(queue, worker.url)
        for attempts in (1, 2):
            _is_scheduled(tasks, made.name, attempts)
            cloud.advance(seconds=1)
        eventually(lambda: not tasks.ids(queue))
        assert len(worker.requests) == 3


def test_nobody_there_is_a_failed_attempt_too(tasks: Tasks, worker: Receiver) -> None:
    queue = tasks.queue(retry_config={"min_backoff": datetime.timedelta(hours=1)})
    made = tasks.create(queue, "http://127.0.0.1:9/nobody")
    task = eventually(lambda: _tried(tasks, made.name))
    assert (task.dispatch_count, task.response_count) == (1, 0)
    assert task.last_attempt.response_status.code == 4 and task.schedule_time == _START + datetime.timedelta(hours=1)


def _tried(tasks: Tasks, name: str) -> object:
    task = tasks.client.get_task(name=name)
    return task if task.last_attempt.response_status.code else None


def test_a_target_says_itself_when_to_come_again(cloud: Cloud, tasks: Tasks) -> None:
    with Receiver(lambda _: 429, tells={"Retry-After": "120"}) as worker:
        queue = tasks.queue()
        made = tasks.create(queue, worker.url)
        _is_scheduled(tasks, made.name, 1)
        assert tasks.client.get_task(name=made.name).schedule_time == _START + datetime.timedelta(seconds=120)


def test_a_redirect_is_followed(tasks: Tasks, worker: Receiver) -> None:
    with Receiver(lambda _: 307, tells={"Location": worker.url}) as first:
        queue = tasks.queue()
        tasks.create(queue, first.url, http={"body": b"hello"})
        assert eventually(lambda: worker.requests)[0].body == b"hello"
        eventually(lambda: not tasks.ids(queue))


def test_a_paused_queue_sends_nothing_until_it_is_resumed(tasks: Tasks, worker: Receiver) -> None:
    paused, running = tasks.queue("paused"), tasks.queue("running")
    tasks.client.pause_queue(name=paused)
    tasks.create(paused, worker.url, "first")
    tasks.create(running, worker.url, "second")
    eventually(lambda: not tasks.ids(running))
    assert [sent.headers["x-cloudtasks-taskname"] for sent in worker.requests] == ["second"]
    tasks.client.resume_queue(name=paused)
    eventually(lambda: not tasks.ids(paused))


def test_a_task_can_be_run_at_once_whatever_its_queue_may(tasks: Tasks, worker: Receiver) -> None:
    queue = tasks.queue()
    tasks.client.pause_queue(name=queue)
    made = tasks.create(queue, worker.url, schedule_time=_START + datetime.timedelta(days=1))
    told = tasks.client.run_task(name=made.name)
    assert told.dispatch_count == 1 and told.last_attempt.dispatch_time == _START
    eventually(lambda: not tasks.ids(queue))
    assert len(worker.requests) == 1


def test_a_queue_sends_a_burst_and_then_at_its_rate(cloud: Cloud, tasks: Tasks, worker: Receiver) -> None:
    queue = tasks.queue(rate_limits={"max_dispatches_per_second": 1})
    for number in range(13):
        tasks.create(queue, worker.url, f"t{number:02}")
    eventually(lambda: len(tasks.ids(queue)) == 3)  # The burst of ten; the clock stands still.
    for left in (2, 1, 0):
        cloud.advance(seconds=1)
        eventually(lambda left=left: len(tasks.ids(queue)) == left)  # type: ignore[misc]
    assert len(worker.requests) == 13


def test_a_queue_has_no_more_requests_open_than_it_may(tasks: Tasks) -> None:
    held = Held()
    with Receiver(held) as worker:
        queue = tasks.queue(rate_limits={"max_concurrent_dispatches": 2})
        for number in range(5):
            tasks.create(queue, worker.url, f"t{number}")
        eventually(lambda: len(worker.requests) == 2)
        under_way = [task for task in tasks.client.list_tasks(parent=queue) if task.dispatch_count]
        assert len(under_way) == 2
        held.release()
        eventually(lambda: not tasks.ids(queue))


def test_an_identity_token_says_who_sends(cloud: Cloud, tasks: Tasks, worker: Receiver) -> None:
    queue = tasks.queue()
    http = {"oidc_token": {"service_account_email": _ACCOUNT}, "headers": {"Authorization": "Basic x"}}
    made = tasks.create(queue, worker.url, http=http)
    assert made.http_request.oidc_token.audience == worker.url
    (sent,) = eventually(lambda: worker.requests)
    token = sent.headers["authorization"].removeprefix("Bearer ")
    identity = cloud.server.google_services[0].house.identity
    claims = cloud.run(identity.verify(token, [worker.url]))
    assert claims["email"] == _ACCOUNT


def test_an_access_token_says_who_sends(cloud: Cloud, tasks: Tasks, worker: Receiver) -> None:
    tasks.create(tasks.queue(), worker.url, http={"oauth_token": {"service_account_email": _ACCOUNT}})
    (sent,) = eventually(lambda: worker.requests)
    token = sent.headers["authorization"].removeprefix("Bearer ")
    claims = cloud.run(cloud.server.google_services[0].house.identity.verify_access(token))
    assert claims["email"] == _ACCOUNT and claims["scope"].endswith("/auth/cloud-platform")


def test_googles_own_hosts_are_this_server(tasks: Tasks, pubsub: PubSub) -> None:
    queue = tasks.queue()
    url = "https://pubsub.googleapis.com/v1/projects/fog-project/topics/made"
    oauth = {"service_account_email": _ACCOUNT}
    tasks.create(queue, url, http={"http_method": "PUT", "body": b"{}", "oauth_token": oauth})
    eventually(lambda: not tasks.ids(queue))
    assert pubsub.publisher.get_topic(topic="projects/fog-project/topics/made").name


def test_tasks_attempts_and_tokens_outlive_a_restart(cloud: Cloud, tasks: Tasks) -> None:
    answers = [500, 200]
    with Receiver(lambda _: answers.pop(0)) as worker:
        queue = tasks.queue(retry_config={"min_backoff": datetime.timedelta(seconds=30)})
        made = tasks.create(queue, worker.url)
        _is_scheduled(tasks, made.name, 1)
        cloud.restart()
        again = Tasks(cloud.server.port)
        assert again.client.get_task(name=made.name).dispatch_count == 1
        cloud.advance(seconds=29)
        assert again.ids(queue) and len(worker.requests) == 1
        cloud.advance(seconds=1)
        eventually(lambda: not again.ids(queue))
    assert worker.requests[1].headers["x-cloudtasks-taskretrycount"] == "1"


@pytest.mark.faults
def test_what_was_being_sent_is_sent_again_after_kill_9(tmp_path: Path) -> None:
    held, program = Held(), Fogbank(tmp_path)
    program.run("start", "--detach")
    try:
        with Receiver(held) as worker:
            tasks = Tasks(program.port)
            queue = tasks.queue()
            tasks.create(queue, worker.url, "sent")
            later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
            tasks.create(queue, worker.url, "waiting", schedule_time=later)
            eventually(lambda: worker.requests)
            kill(program)
            held.release()
            program.run("start", "--detach")
            tasks = Tasks(program.port)
            eventually(lambda: tasks.ids(queue) == ["waiting"])
            assert [sent.headers["x-cloudtasks-taskretrycount"] for sent in worker.requests] == ["0", "1"]
    finally:
        program.stop()
