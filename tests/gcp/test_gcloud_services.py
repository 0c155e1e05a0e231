"""gcloud, as people have it installed, drives Secret Manager, Cloud Tasks, Cloud Scheduler and Cloud Logging."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.cloud import Cloud
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Gcloud = Callable[..., str]

_APIS = ("secretmanager", "cloudtasks", "cloudscheduler", "logging")
_LONGEST_S = 120
pytestmark = [
    pytest.mark.skipif(not shutil.which("gcloud"), reason="this machine has no gcloud"),
    pytest.mark.skipif("FOGBANK_TEST_STORE" in os.environ, reason="gcloud sees no difference between the stores"),
    pytest.mark.slow,
    pytest.mark.timeout(4 * _LONGEST_S),
]


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """On the machine's own clock: gcloud goes by that."""
    running = Cloud(tmp_path / "data", moving=True)
    yield running
    running.stop()


@pytest.fixture
def gcloud(cloud: Cloud, tmp_path: Path) -> Gcloud:
    """Runs a command, and gives what it printed."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CLOUDSDK_")},
        **{f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": f"{cloud.url}/" for api in _APIS},
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"), "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "1",
        "CLOUDSDK_CORE_PROJECT": "fog-project", "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1", "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
    }  # fmt: skip

    def run(command: str, *more: str, given: str = "", ok: bool = True) -> str:
        done = subprocess.run(
            ["gcloud", *command.split(), *more], input=given, env=environment, capture_output=True, text=True,
            timeout=_LONGEST_S, check=False,
        )  # fmt: skip
        assert (done.returncode == 0) is ok, f"{command}: {done.stdout}\n{done.stderr}"
        return done.stdout if ok else done.stderr

    return run


def test_a_secret_is_made_and_read(gcloud: Gcloud) -> None:
    gcloud("secrets create password --replication-policy=automatic --data-file=-", given="hunter2")
    assert gcloud("secrets versions access latest --secret=password") == "hunter2"
    refused = gcloud("secrets versions access 7 --secret=password", ok=False)
    assert "NOT_FOUND" in refused and "/secrets/password/versions/7] not found." in refused


def test_a_task_is_sent(gcloud: Gcloud) -> None:
    with Receiver() as worker:
        gcloud("tasks queues create mail --location=us-central1 --max-attempts=3")
        create = "tasks create-http-task greet --queue=mail --location=us-central1 --body-content=hello"
        gcloud(create, f"--url={worker.url}")
        assert eventually(lambda: worker.requests)[0].body == b"hello"


def test_a_job_is_run(gcloud: Gcloud) -> None:
    with Receiver() as target:
        create = "scheduler jobs create http nightly --location=us-central1 --message-body=go"
        gcloud(create, f"--uri={target.url}", "--schedule=0 3 * * *", "--time-zone=Europe/Berlin")
        gcloud("scheduler jobs run nightly --location=us-central1")
        assert eventually(lambda: target.requests)[0].headers["x-cloudscheduler-jobname"] == "nightly"
        update = "scheduler jobs update http nightly --location=us-central1 --format=value(schedule,timeZone)"
        told = gcloud(update, "--schedule=every 5 minutes")
        assert told.split("\t") == ["every 5 minutes", "Europe/Berlin\n"]


def test_entries_are_written_and_read(gcloud: Gcloud) -> None:
    gcloud("logging write app --payload-type=json", '{"message": "hi", "n": 3}', "--severity=ERROR")
    assert (
        gcloud("logging read", "jsonPayload.n=3 severity>=ERROR", "--format=value(jsonPayload.message)").strip() == "hi"
    )
