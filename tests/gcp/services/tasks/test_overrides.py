"""v2beta3: the same queues and tasks, and what a queue's HTTP target says in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from google.api_core import exceptions
from google.cloud import tasks_v2beta3

from tests.support.google_services import LOCATION, WIRES, Tasks, client
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud
    from tests.support.receiver import Receiver

_NAME = f"{LOCATION}/queues/mail"
_ACCOUNT = "worker@fog-project.iam.gserviceaccount.com"


@pytest.fixture(params=WIRES)
def beta(cloud: Cloud, request: pytest.FixtureRequest) -> Any:
    return client(tasks_v2beta3.CloudTasksClient, cloud.server.port, request.param)


def _queue(beta: Any, **settings: Any) -> Any:
    return beta.create_queue(request={"parent": LOCATION, "queue": {"name": _NAME, **settings}})


def test_both_versions_tell_of_the_same_queue_and_its_tasks(beta: Any, tasks: Tasks) -> None:
    made = _queue(beta, rate_limits={"max_dispatches_per_second": 5}, retry_config={"max_attempts": 7})
    assert made.type_ == tasks_v2beta3.Queue.Type.PUSH
    assert tasks.client.get_queue(name=_NAME).retry_config.max_attempts == 7
    tasks.client.pause_queue(name=_NAME)
    assert beta.get_queue(name=_NAME).state == tasks_v2beta3.Queue.State.PAUSED
    task = {"http_request": {"url": "http://127.0.0.1:9/nobody", "body": b"x", "headers": {"a": "b"}}}
    told = beta.create_task(request={"parent": _NAME, "task": task, "response_view": "FULL"})
    assert told.http_request.body == b"x" and told.http_request.headers["a"] == "b"
    assert tasks.ids(_NAME) == [one.name.rpartition("/")[2] for one in beta.list_tasks(parent=_NAME)]


def test_a_queues_target_overrides_what_its_tasks_say(cloud: Cloud, beta: Any, worker: Receiver) -> None:
    place = urlsplit(worker.url)
    override = {"scheme": "HTTP", "host": place.hostname, "port": place.port,
                "path_override": {"path": "/all"}, "query_override": {"query_params": "a=b"}}  # fmt: skip
    target = {
        "uri_override": override, "http_method": "PUT", "oidc_token": {"service_account_email": _ACCOUNT},
        "header_overrides": [{"header": {"key": "X-Mine", "value": "queue"}}],
    }  # fmt: skip
    assert _queue(beta, http_target=target).http_target.uri_override.host == place.hostname
    http = {"url": "https://example.com/one?c=d", "headers": {"x-mine": "task"}, "body": b"hello"}
    beta.create_task(parent=_NAME, task={"http_request": http})
    (sent,) = eventually(lambda: worker.requests)
    assert (sent.method, sent.path, sent.body) == ("PUT", "/all?a=b", b"hello")
    assert sent.headers["x-mine"] == "queue"
    token = sent.headers["authorization"].removeprefix("Bearer ")
    audience = f"{place.scheme}://{place.netloc}/all?a=b"
    assert cloud.run(cloud.server.google_services[0].house.identity.verify(token, [audience]))["email"] == _ACCOUNT


def test_a_queue_with_a_url_takes_tasks_without_one(beta: Any, worker: Receiver) -> None:
    place = urlsplit(worker.url)
    override = {"scheme": "HTTP", "host": place.hostname, "port": place.port}
    _queue(beta)
    beta.update_queue(
        request={
            "queue": {"name": _NAME, "http_target": {"uri_override": override}},
            "update_mask": {"paths": ["http_target"]},
        }
    )
    beta.create_task(parent=_NAME, task={"http_request": {"body": b"hello"}})
    assert eventually(lambda: worker.requests)[0].body == b"hello"


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"http_target": {"uri_override": {"host": ""}}}, exceptions.InvalidArgument, "host cannot be empty"),
        ({"type_": "PULL"}, exceptions.MethodNotImplemented, "pull queues"),
        ({"task_ttl": {"seconds": 864_000}}, exceptions.MethodNotImplemented, "task_ttl"),
    ],
)
def test_what_is_not_served_is_refused_by_name(
    cloud: Cloud, settings: dict[str, Any], error: type[Exception], text: str
) -> None:
    beta = client(tasks_v2beta3.CloudTasksClient, cloud.server.port)
    with pytest.raises(error, match=text):
        _queue(beta, **settings)
    assert list(beta.list_queues(parent=LOCATION)) == []
