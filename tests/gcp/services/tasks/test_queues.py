"""Queues: what they are made with, how they change, and what is refused in the service's own words."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.cloud import tasks_v2

from tests.support.google_services import LOCATION, Tasks

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

_MISSING = "Queue does not exist. If you just created the queue, wait at least a minute for the queue to initialize."
_STATES = tasks_v2.Queue.State


def test_a_queue_has_the_services_usual_settings(each_wire: Tasks) -> None:
    queue = each_wire.client.get_queue(name=each_wire.queue())
    assert queue.state == _STATES.RUNNING
    rates, retries = queue.rate_limits, queue.retry_config
    assert (rates.max_dispatches_per_second, rates.max_burst_size, rates.max_concurrent_dispatches) == (500, 100, 1000)
    assert (retries.max_attempts, retries.max_doublings) == (100, 16)
    assert retries.min_backoff == datetime.timedelta(milliseconds=100)
    assert retries.max_backoff == datetime.timedelta(hours=1)


def test_a_slow_queue_has_a_burst_of_ten(tasks: Tasks) -> None:
    queue = tasks.queue(rate_limits={"max_dispatches_per_second": 1, "max_concurrent_dispatches": 1})
    assert tasks.client.get_queue(name=queue).rate_limits.max_burst_size == 10


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"rate_limits": {"max_dispatches_per_second": -1}}, "RateLimits.maxDispatchesPerSecond cannot be negative."),
        (
            {"rate_limits": {"max_dispatches_per_second": 501}},
            "RateLimits.maxDispatchesPerSecond must be less than or equal to 500.",
        ),
        (
            {"rate_limits": {"max_concurrent_dispatches": 5001}},
            "RateLimits.maxConcurrentDispatches must be less than or equal to 5000.",
        ),
        ({"retry_config": {"max_attempts": -2}}, "RetryConfig.maxAttempts must be greater or equal to -1."),
        ({"retry_config": {"max_doublings": -1}}, "RetryConfig.maxDoublings cannot be negative."),
        (
            {"retry_config": {"min_backoff": datetime.timedelta(hours=2)}},
            "RetryConfig.minBackoff must be less than or equal to RetryConfig.maxBackoff.",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_refused(tasks: Tasks, settings: dict[str, Any], text: str) -> None:
    with pytest.raises(exceptions.InvalidArgument) as refused:
        tasks.queue(**settings)
    assert refused.value.message == text


def test_a_name_that_is_none_is_refused_with_a_link_to_what_is(tasks: Tasks) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="Queue name must be formatted") as refused:
        tasks.queue("not a queue")
    assert "Queue.FIELDS.name" in str(refused.value.details)


def test_a_name_is_used_once_and_not_again_for_a_week(cloud: Cloud, each_wire: Tasks) -> None:
    queue = each_wire.queue()
    with pytest.raises(exceptions.Conflict, match="Queue already exists"):
        each_wire.queue()
    each_wire.client.delete_queue(name=queue)
    with pytest.raises(exceptions.BadRequest, match="a queue with this name existed too recently"):
        each_wire.queue()
    cloud.advance(seconds=7 * 86_400)
    each_wire.queue()


def test_a_queue_that_is_not_there_is_not_found(each_wire: Tasks) -> None:
    name = f"{LOCATION}/queues/none"
    calls: list[Any] = [each_wire.client.get_queue, each_wire.client.pause_queue, each_wire.client.purge_queue]
    for call in calls:
        with pytest.raises(exceptions.NotFound, match=_MISSING):
            call(name=name)
    with pytest.raises(exceptions.NotFound, match=r"Requested entity was not found\."):
        each_wire.client.delete_queue(name=name)


def test_an_update_changes_what_its_mask_names_or_makes_the_queue(each_wire: Tasks) -> None:
    name = f"{LOCATION}/queues/mail"
    made = each_wire.client.update_queue(request={"queue": {"name": name, "retry_config": {"max_attempts": 7}}})
    assert made.retry_config.max_attempts == 7
    changed = each_wire.client.update_queue(
        request={
            "queue": {"name": name, "rate_limits": {"max_dispatches_per_second": 50}, "retry_config": {}},
            "update_mask": {"paths": ["rate_limits.max_dispatches_per_second"]},
        }
    )
    assert changed.rate_limits.max_dispatches_per_second == 50 and changed.retry_config.max_attempts == 7


def test_queues_are_listed_by_name_and_found_by_a_filter(each_wire: Tasks) -> None:
    for queue_id in ("b", "a", "c"):
        each_wire.queue(queue_id)
    each_wire.client.pause_queue(name=f"{LOCATION}/queues/b")
    pages = each_wire.client.list_queues(request={"parent": LOCATION, "page_size": 2}).pages
    assert [[queue.name[-1] for queue in page.queues] for page in pages] == [["a", "b"], ["c"]]
    found = each_wire.client.list_queues(request={"parent": LOCATION, "filter": "state: PAUSED"})
    assert [queue.name[-1] for queue in found] == ["b"]


def test_a_queue_has_a_policy(each_wire: Tasks) -> None:
    queue = each_wire.queue()
    policy = {"bindings": [{"role": "roles/cloudtasks.enqueuer", "members": ["user:ann@example.com"]}]}
    each_wire.client.set_iam_policy(request={"resource": queue, "policy": policy})
    kept = each_wire.client.get_iam_policy(request={"resource": queue})
    assert kept.bindings[0].members == ["user:ann@example.com"]
    asked = {"resource": f"{LOCATION}/queues/none", "permissions": ["cloudtasks.tasks.create"]}
    assert not each_wire.client.test_iam_permissions(request=asked).permissions


def test_app_engine_is_refused_by_name(tasks: Tasks) -> None:
    with pytest.raises(exceptions.MethodNotImplemented, match="app_engine_routing_override"):
        tasks.queue(app_engine_routing_override={"service": "worker"})
    queue = tasks.queue()
    with pytest.raises(exceptions.MethodNotImplemented, match="app_engine_http_request"):
        tasks.client.create_task(parent=queue, task={"app_engine_http_request": {"relative_uri": "/"}})
