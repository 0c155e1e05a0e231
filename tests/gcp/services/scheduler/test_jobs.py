"""Jobs: what they are made with, and how they change."""

from __future__ import annotations

import asyncio
import datetime
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.cloud import scheduler_v1

from tests.support.google_services import LOCATION, PROJECT, Scheduler, client

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

_HTTP = {"uri": "http://127.0.0.1:9/nobody"}
_TOPIC = f"projects/{PROJECT}/topics/news"
_STATES = scheduler_v1.Job.State


def _at(hour: int, minute: int = 0) -> datetime.datetime:
    return datetime.datetime(2027, 1, 15, hour, minute, tzinfo=datetime.UTC)


def test_a_job_has_the_services_usual_settings(each_wire: Scheduler) -> None:
    made = each_wire.create(http_target={**_HTTP, "body": b"{}"})
    assert made.state == _STATES.ENABLED and made.schedule_time == _at(9) and made.time_zone == "UTC"
    assert made.user_update_time == _at(8) and made.attempt_deadline == datetime.timedelta(minutes=3)
    retries = made.retry_config
    assert (retries.retry_count, retries.max_doublings) == (0, 5)
    assert retries.min_backoff_duration == datetime.timedelta(seconds=5)
    assert retries.max_backoff_duration == datetime.timedelta(hours=1)
    assert made.http_target.http_method == scheduler_v1.HttpMethod.POST
    headers = {"User-Agent": "Google-Cloud-Scheduler", "Content-Type": "application/octet-stream"}
    assert dict(made.http_target.headers) == headers
    assert each_wire.get(made) == made


def test_a_time_zone_tells_when_it_is_due(scheduler: Scheduler) -> None:
    made = scheduler.create(schedule="0 9 * * *", time_zone="America/New_York", http_target=_HTTP)
    assert made.schedule_time == _at(14)


def test_a_job_without_a_name_is_given_one(scheduler: Scheduler) -> None:
    job = {"schedule": "every 5 minutes", "http_target": _HTTP}
    made = scheduler.client.create_job(request={"parent": LOCATION, "job": job})
    assert made.name.startswith(f"{LOCATION}/jobs/") and made.schedule_time == _at(8, 5)


def test_a_name_is_used_once(each_wire: Scheduler) -> None:
    made = each_wire.create(http_target=_HTTP)
    with pytest.raises(exceptions.Conflict, match=f"Job {made.name} already exists"):
        each_wire.create(http_target=_HTTP)


def test_a_job_that_is_not_there_is_not_found(each_wire: Scheduler) -> None:
    calls: list[Any] = [each_wire.client.get_job, each_wire.client.delete_job, each_wire.client.run_job]
    for call in calls:
        with pytest.raises(exceptions.NotFound, match=r"Job not found\."):
            call(name=f"{LOCATION}/jobs/none")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"schedule": "61 * * * *"}, "Schedule or time zone is invalid."),
        ({"schedule": ""}, "Schedule or time zone is invalid."),
        ({"time_zone": "Asia/Munbai"}, "Schedule or time zone is invalid."),
        ({"http_target": {"uri": "ftp://x"}}, "HttpTarget.uri must start with 'http://' or 'https://'."),
        ({"http_target": {**_HTTP, "http_method": "GET", "body": b"x"}}, "must be empty for the HTTP method GET"),
        ({"http_target": {**_HTTP, "headers": {"a b": "c"}}}, "has an invalid header"),
        ({"attempt_deadline": datetime.timedelta(seconds=14)}, r"must be between \[15s, 30m\]"),
        ({"retry_config": {"retry_count": 6}}, "RetryConfig.retryCount must be between 0 and 5."),
        ({"http_target": None}, "Job.target is required"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(scheduler: Scheduler, settings: dict[str, Any], text: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=text):
        scheduler.create(**{"http_target": _HTTP, **settings})
    assert list(scheduler.client.list_jobs(parent=LOCATION)) == []


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ({"topic_name": "news", "data": b"x"}, "PubsubTarget.topicName must be formatted"),
        ({"topic_name": "projects/other/topics/news", "data": b"x"}, "must be in the same project"),
        ({"topic_name": _TOPIC}, "must contain either non-empty data, or at least one attribute"),
    ],
)
def test_a_message_that_cannot_be_is_refused(scheduler: Scheduler, target: dict[str, Any], text: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=text):
        scheduler.create(pubsub_target=target)


def test_app_engine_is_refused_by_name(scheduler: Scheduler) -> None:
    with pytest.raises(exceptions.MethodNotImplemented, match="app_engine_http_target"):
        scheduler.create(app_engine_http_target={"relative_uri": "/cron"})


def test_an_update_changes_what_its_mask_names_and_plans_anew(each_wire: Scheduler) -> None:
    made = each_wire.create(http_target=_HTTP, description="kept")
    changed = each_wire.update(made, schedule="30 * * * *")
    assert changed.description == "kept" and changed.schedule_time == _at(8, 30)
    with pytest.raises(exceptions.BadRequest, match="Schedule or time zone is invalid"):
        each_wire.update(made, time_zone="nowhere")


def test_a_mask_with_what_a_job_has_not_is_refused(scheduler: Scheduler) -> None:
    made = scheduler.create(http_target=_HTTP)
    request = {"job": {"name": made.name}, "update_mask": {"paths": ["timeZone"]}}
    with pytest.raises(exceptions.InvalidArgument, match="Invalid mask for Job: timeZone"):
        scheduler.client.update_job(request=request)


def test_without_a_mask_all_is_changed(scheduler: Scheduler) -> None:
    made = scheduler.create(http_target=_HTTP, description="gone")
    scheduler.client.pause_job(name=made.name)
    job = {"name": made.name, "schedule": "30 * * * *", "http_target": _HTTP}
    changed = scheduler.client.update_job(request={"job": job})
    assert (changed.description, changed.schedule, changed.state) == ("", "30 * * * *", _STATES.PAUSED)


def test_only_an_enabled_job_is_paused_and_only_a_paused_one_resumed(each_wire: Scheduler) -> None:
    made = each_wire.create(http_target=_HTTP)
    with pytest.raises(exceptions.BadRequest, match="must be in state PAUSED"):
        each_wire.client.resume_job(name=made.name)
    assert each_wire.client.pause_job(name=made.name).state == _STATES.PAUSED
    with pytest.raises(exceptions.BadRequest, match="must be in state ENABLED"):
        each_wire.client.pause_job(name=made.name)
    assert each_wire.client.resume_job(name=made.name).state == _STATES.ENABLED


def test_jobs_are_listed_in_pages(each_wire: Scheduler) -> None:
    for job_id in ("b", "a", "c"):
        each_wire.create(job_id, http_target=_HTTP)
    pages = each_wire.client.list_jobs(request={"parent": LOCATION, "page_size": 2}).pages
    assert [[job.name[-1] for job in page.jobs] for page in pages] == [["a", "b"], ["c"]]


def test_the_asyncio_client_creates_a_job(cloud: Cloud, scheduler: Scheduler) -> None:
    async def create() -> None:
        asking = client(scheduler_v1.CloudSchedulerAsyncClient, cloud.server.port, "grpc_asyncio")
        await asking.create_job(parent=LOCATION, job={"schedule": "* * * * *", "http_target": _HTTP})
        await asking.transport.close()

    asyncio.run(create())
    assert len(list(scheduler.client.list_jobs(parent=LOCATION))) == 1
