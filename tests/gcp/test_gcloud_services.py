"""gcloud, as people have it installed, drives Secret Manager, Cloud Tasks, Cloud Scheduler and Cloud Logging."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.gcloud import Gcloud, needed
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cloud import Cloud

_APIS = ("SECRETMANAGER", "CLOUDTASKS", "CLOUDSCHEDULER", "LOGGING")
pytestmark = [*needed, pytest.mark.slow]


@pytest.fixture
def gcloud(today: Cloud, tmp_path: Path) -> Gcloud:
    return Gcloud(today.url, tmp_path / "gcloud", *_APIS)


def test_a_secret_is_made_and_read(gcloud: Gcloud) -> None:
    gcloud.text("secrets", "create", "password", "--replication-policy=automatic", "--data-file=-", given="hunter2")
    assert gcloud.text("secrets", "versions", "access", "latest", "--secret=password") == "hunter2"
    refused = gcloud.refused("secrets", "versions", "access", "7", "--secret=password")
    assert "NOT_FOUND" in refused and "/secrets/password/versions/7] not found." in refused


def test_a_task_is_sent(gcloud: Gcloud) -> None:
    with Receiver() as worker:
        gcloud.text("tasks", "queues", "create", "mail", "--location=us-central1", "--max-attempts=3")
        of = ("--queue=mail", "--location=us-central1", "--body-content=hello")
        gcloud.text("tasks", "create-http-task", "greet", *of, f"--url={worker.url}")
        assert eventually(lambda: worker.requests)[0].body == b"hello"


def test_a_job_is_run(gcloud: Gcloud) -> None:
    with Receiver() as target:
        create = ("scheduler", "jobs", "create", "http", "nightly", "--location=us-central1", "--message-body=go")
        gcloud.text(*create, f"--uri={target.url}", "--schedule=0 3 * * *", "--time-zone=Europe/Berlin")
        gcloud.text("scheduler", "jobs", "run", "nightly", "--location=us-central1")
        assert eventually(lambda: target.requests)[0].headers["x-cloudscheduler-jobname"] == "nightly"
        update = ("scheduler", "jobs", "update", "http", "nightly", "--location=us-central1")
        told = gcloud.text(*update, "--schedule=every 5 minutes", "--format=value(schedule,timeZone)")
        assert told.split("\t") == ["every 5 minutes", "Europe/Berlin\n"]


def test_entries_are_written_and_read(gcloud: Gcloud) -> None:
    gcloud.text("logging", "write", "app", "--payload-type=json", '{"message": "hi", "n": 3}', "--severity=ERROR")
    read = ("logging", "read", "jsonPayload.n=3 severity>=ERROR")
    assert gcloud.text(*read, "--format=value(jsonPayload.message)").strip() == "hi"
