"""Running: what jobs send when they are due, and what becomes of the answers."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest

from tests.support.command import Fogbank
from tests.support.google_services import PROJECT, Scheduler
from tests.support.killing import kill
from tests.support.receiver import Held, Receiver
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cloud import Cloud
    from tests.support.google import PubSub

_START = datetime.datetime(2027, 1, 15, 8, tzinfo=datetime.UTC)
_ACCOUNT = "cron@fog-project.iam.gserviceaccount.com"
_HOUR = datetime.timedelta(hours=1)


def _attempted(scheduler: Scheduler, job: object, at: datetime.datetime) -> object:
    """The job, once the attempt that began then has been answered."""
    told = scheduler.get(job)
    return told if told.last_attempt_time == at and told.schedule_time > at else None


def test_a_job_is_sent_with_what_it_says_and_what_it_is(cloud: Cloud, scheduler: Scheduler, target: Receiver) -> None:
    http = {"uri": target.url, "http_method": "PUT", "body": b"go", "headers": {"X-Mine": "yes"}}
    made = scheduler.create(http_target=http)
    cloud.advance(seconds=3600)
    job = eventually(lambda: _attempted(scheduler, made, _START + _HOUR))
    assert job.status.code == 0 and job.schedule_time == _START + 2 * _HOUR  # type: ignore[attr-defined]
    (sent,) = target.requests
    assert (sent.method, sent.body, sent.headers["x-mine"]) == ("PUT", b"go", "yes")
    assert sent.headers["user-agent"] == "Google-Cloud-Scheduler" and sent.headers["x-cloudscheduler"] == "true"
    assert sent.headers["x-cloudscheduler-jobname"] == "nightly"
    assert sent.headers["x-cloudscheduler-scheduletime"] == "2027-01-15T09:00:00Z"


def test_a_day_has_24_hours_when_the_clock_is_moved_over_it(cloud: Cloud, scheduler: Scheduler, pubsub: PubSub) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic)
    scheduler.create(pubsub_target={"topic_name": topic, "data": b"tick", "attributes": {"from": "cron"}})
    cloud.advance(seconds=86_400)
    received = pubsub.pull(reader)
    assert [one.message.data for one in received] == [b"tick"] * 24
    assert dict(received[0].message.attributes) == {"from": "cron"}


def test_a_topic_that_is_not_there_is_a_failed_attempt(cloud: Cloud, scheduler: Scheduler) -> None:
    made = scheduler.create(pubsub_target={"topic_name": f"projects/{PROJECT}/topics/none", "data": b"x"})
    cloud.advance(seconds=3600)
    job = eventually(lambda: _attempted(scheduler, made, _START + _HOUR))
    assert job.status.code == 5 and job.schedule_time == _START + 2 * _HOUR  # type: ignore[attr-defined]


def test_a_failed_job_is_not_tried_again_unless_it_says_so(cloud: Cloud, scheduler: Scheduler) -> None:
    with Receiver(lambda _: 500) as target:
        made = scheduler.create(http_target={"uri": target.url})
        cloud.advance(seconds=3600)
        job = eventually(lambda: _attempted(scheduler, made, _START + _HOUR))
        assert job.status.code == 13 and job.schedule_time == _START + 2 * _HOUR  # type: ignore[attr-defined]
        cloud.advance(seconds=3599)
        assert len(target.requests) == 1


def test_retries_wait_twice_as_long_each_time_until_they_are_used_up(cloud: Cloud, scheduler: Scheduler) -> None:
    with Receiver(lambda _: 503) as target:
        made = scheduler.create(http_target={"uri": target.url}, retry_config={"retry_count": 3})
        cloud.advance(seconds=3600)
        at = _START + _HOUR
        for number, pause_s in enumerate((5, 10, 20), start=1):
            job = eventually(lambda at=at: _attempted(scheduler, made, at))  # type: ignore[misc]
            at += datetime.timedelta(seconds=pause_s)
            assert job.schedule_time == at and len(target.requests) == number
            cloud.advance(seconds=pause_s)
        job = eventually(lambda: _attempted(scheduler, made, at))
        assert job.schedule_time == _START + 2 * _HOUR and len(target.requests) == 4  # type: ignore[attr-defined]
        times = {sent.headers["x-cloudscheduler-scheduletime"] for sent in target.requests}
        assert times == {"2027-01-15T09:00:00Z"}


def test_a_retry_that_would_come_after_the_next_run_is_not_made(cloud: Cloud, scheduler: Scheduler) -> None:
    with Receiver(lambda _: 500) as target:
        hours = {"retry_count": 5, "min_backoff_duration": _HOUR, "max_backoff_duration": 5 * _HOUR}
        made = scheduler.create(schedule="* * * * *", http_target={"uri": target.url}, retry_config=hours)
        cloud.advance(seconds=60)
        minute = datetime.timedelta(minutes=1)
        job = eventually(lambda: _attempted(scheduler, made, _START + minute))
        assert job.schedule_time == _START + 2 * minute  # type: ignore[attr-defined]


def test_a_paused_job_does_not_run_and_makes_up_for_nothing(cloud: Cloud, scheduler: Scheduler, pubsub: PubSub) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic)
    made = scheduler.create(pubsub_target={"topic_name": topic, "data": b"tick"})
    scheduler.client.pause_job(name=made.name)
    cloud.advance(seconds=3 * 3600)
    resumed = scheduler.client.resume_job(name=made.name)
    assert resumed.schedule_time == _START + 4 * _HOUR and pubsub.texts(reader) == []
    cloud.advance(seconds=3600)
    assert pubsub.texts(reader) == ["tick"]


def test_a_job_can_be_run_at_once_even_if_it_is_paused(scheduler: Scheduler, target: Receiver) -> None:
    made = scheduler.create(http_target={"uri": target.url})
    scheduler.client.pause_job(name=made.name)
    assert scheduler.client.run_job(name=made.name).last_attempt_time == _START
    (sent,) = eventually(lambda: target.requests)
    assert sent.headers["x-cloudscheduler-scheduletime"] == "2027-01-15T08:00:00Z"


def test_of_a_job_one_execution_runs_at_a_time(cloud: Cloud, scheduler: Scheduler) -> None:
    held = Held()
    with Receiver(held) as target:
        made = scheduler.create(schedule="* * * * *", http_target={"uri": target.url})
        cloud.advance(seconds=60)
        eventually(lambda: target.requests)
        cloud.advance(seconds=600)
        assert len(target.requests) == 1
        held.release()
        # What was missed is made up for once: after that comes the next minute.
        eventually(lambda: _attempted(scheduler, made, _START + datetime.timedelta(minutes=11)))
        assert len(target.requests) == 2
        assert scheduler.get(made).schedule_time == _START + datetime.timedelta(minutes=12)


def test_an_identity_token_says_who_sends(cloud: Cloud, scheduler: Scheduler, target: Receiver) -> None:
    oidc = {"service_account_email": _ACCOUNT, "audience": "https://api.example.com"}
    made = scheduler.create(http_target={"uri": target.url, "oidc_token": oidc})
    scheduler.client.run_job(name=made.name)
    (sent,) = eventually(lambda: target.requests)
    identity = cloud.server.google_services[0].house.identity
    token = sent.headers["authorization"].removeprefix("Bearer ")
    assert cloud.run(identity.verify(token, ["https://api.example.com"]))["email"] == _ACCOUNT


def test_a_deleted_job_runs_no_more(cloud: Cloud, scheduler: Scheduler, pubsub: PubSub) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic)
    made = scheduler.create(pubsub_target={"topic_name": topic, "data": b"tick"})
    scheduler.client.delete_job(name=made.name)
    cloud.advance(seconds=7200)
    assert pubsub.texts(reader) == []


def test_jobs_outlive_a_restart(cloud: Cloud, scheduler: Scheduler, target: Receiver) -> None:
    made = scheduler.create(http_target={"uri": target.url})
    cloud.restart()
    cloud.advance(seconds=3600)
    eventually(lambda: _attempted(Scheduler(cloud.server.port), made, _START + _HOUR))
    assert len(target.requests) == 1


@pytest.mark.faults
def test_an_attempt_that_kill_9_cut_off_is_made_again(tmp_path: Path) -> None:
    held, program = Held(), Fogbank(tmp_path)
    program.run("start", "--detach")
    try:
        with Receiver(held) as target:
            scheduler = Scheduler(program.port)
            scheduler.create(schedule="* * * * *", http_target={"uri": target.url})
            program.run("clock", "advance", "1m")
            eventually(lambda: target.requests)
            kill(program)
            held.release()
            program.run("start", "--detach")
            eventually(lambda: len(target.requests) >= 2)
            times = [sent.headers["x-cloudscheduler-scheduletime"] for sent in target.requests]
            assert times[0] == times[1]
    finally:
        program.stop()
