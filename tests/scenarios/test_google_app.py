"""A folder of Google's functions as a person deploys and uses it: by `fogbank up`, and by gcloud itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fogbank.assembly import google_served
from tests.support import google_functions
from tests.support.google_functions import ask
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.command import Fogbank

EXAMPLE = Path(__file__).parents[2] / "examples" / "google-items"
HTTP_ONLY = """
import functions_framework

@functions_framework.http
def greet(request):
    return "hello"
"""
needs_gcloud = pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not on this machine")


def serves(service: str, rpc: str) -> bool:
    return rpc in google_served().get(service, [])


needs_eventarc = pytest.mark.skipif(
    not serves("google.cloud.eventarc.v1.Eventarc", "CreateTrigger"), reason="Eventarc is not served"
)
needs_metadata = pytest.mark.skipif(
    not serves("google.iam.credentials.v1.IAMCredentials", "GenerateIdToken"),
    reason="the metadata server is not served",
)


pytestmark = pytest.mark.timeout(600)  # Gcloud takes seconds for each command, many where others are busy too.


@pytest.fixture(autouse=True)
def framework(tmp_path: Path) -> None:
    google_functions.ready(tmp_path / "framework")


def documents(fogbank: Fogbank, collection: str) -> list[dict[str, Any]]:
    told = ask(f"{fogbank.url}/v1/projects/fogbank/databases/(default)/documents/{collection}")
    return list(json.loads(told.text).get("documents", []))


def gcloud(fogbank: Fogbank, *words: str, ok: bool = True) -> Any:
    result = fogbank.run("exec", "--", "gcloud", *words, "--format=json", ok=ok)
    return json.loads(result.stdout) if ok and result.stdout.strip() else result.stderr


@needs_eventarc
def test_up_deploys_a_folder_and_its_events_arrive(fogbank: Fogbank) -> None:
    shutil.copytree(EXAMPLE, fogbank.folder, dirs_exist_ok=True)
    functions = fogbank.json("up", "--no-watch")["functions"]
    made = ask(functions["make_item"]["url"], b'{"name": "lamp"}', content_type="application/json")
    assert made.status == 201
    [item] = documents(fogbank, "items")
    assert item["fields"]["name"] == {"stringValue": "lamp"} and "timestampValue" in item["fields"]["made_at"]
    assert functions["note_item"]["topic"] == "projects/fogbank/topics/item-notes"
    url = f"{fogbank.url}/v1/projects/fogbank/topics/item-notes:publish"
    ask(url, b'{"messages": [{"data": "YnJpZ2h0"}]}', content_type="application/json")
    [note] = eventually(lambda: documents(fogbank, "notes"))
    assert note["fields"] == {"text": {"stringValue": "bright"}}
    assert fogbank.json("up", "--no-watch")["functions"]["make_item"]["changed"] is False


def test_up_says_where_functions_are_and_a_kill_loses_nothing(fogbank: Fogbank) -> None:
    (fogbank.folder / "main.py").write_text(HTTP_ONLY)
    told = fogbank.run("up", "--no-watch").stdout
    url = f"{fogbank.url}/us-central1-fogbank.cloudfunctions.net/greet"
    assert f"greet runs at {url}" in told
    assert ask(url).text == "hello"
    assert fogbank.run("invoke", "greet").stdout == "hello\n"
    os.kill(fogbank.json("status")["pid"], signal.SIGKILL)
    fogbank.run("start", "--detach")
    assert ask(f"{fogbank.url}/us-central1-fogbank.cloudfunctions.net/greet").text == "hello"


def test_a_function_that_does_not_start_is_told_of_with_its_reason(fogbank: Fogbank) -> None:
    (fogbank.folder / "main.py").write_text(HTTP_ONLY + "\nraise RuntimeError('no coffee')\n")
    told = fogbank.run("up", "--no-watch", ok=False).stderr
    assert "greet: Could not create or update Cloud Run service greet" in told and "RuntimeError: no coffee" in told
    assert "`fogbank logs` shows what it wrote" in told
    eventually(lambda: "main.py" in fogbank.run("logs", "greet").stdout)
    (fogbank.folder / "main.py").write_text(HTTP_ONLY)
    assert ask(fogbank.json("up", "--no-watch")["functions"]["greet"]["url"]).text == "hello", "it is open to all, late"


def test_source_that_cannot_be_read_is_named_once(fogbank: Fogbank) -> None:
    (fogbank.folder / "main.py").write_text("import functions_framework\ndef broken(:\n")
    told = fogbank.run("up", "--no-watch", ok=False).stderr
    assert "main.py, line 2" in told and told.count(str(fogbank.folder / "main.py")) == 1
    assert f"{fogbank.folder}: " not in told


def test_a_function_that_was_closed_by_hand_stays_closed(fogbank: Fogbank) -> None:
    (fogbank.folder / "main.py").write_text(HTTP_ONLY)
    url = fogbank.json("up", "--no-watch")["functions"]["greet"]["url"]
    policy = f"{fogbank.url}/v2/projects/fogbank/locations/us-central1/services/greet:setIamPolicy"
    ask(policy, b'{"policy": {}}', content_type="application/json")
    (fogbank.folder / "main.py").write_text(HTTP_ONLY.replace("hello", "good day"))
    fogbank.run("up", "--no-watch")
    assert ask(url).status == 403


def test_who_asks_for_a_function_that_is_not_there_is_told_which_are(fogbank: Fogbank) -> None:
    (fogbank.folder / "main.py").write_text(HTTP_ONLY)
    fogbank.run("up", "--no-watch")
    for command in ("invoke", "logs"):
        told = fogbank.run(command, "great", ok=False).stderr
        assert "no function is called 'great'; there are: greet" in told
    assert "pubsub" in fogbank.run("status").stdout


@pytest.fixture
def watching(fogbank: Fogbank) -> Iterator[subprocess.Popen[str]]:
    """`fogbank up` on a folder with a function, once that runs."""
    (fogbank.folder / "main.py").write_text(HTTP_ONLY)
    with (fogbank.folder.parent / "up.log").open("w") as log:
        command = [sys.executable, "-m", "fogbank", "up"]
        environment = {**os.environ, "FOGBANK_PORT": "0"}
        process = subprocess.Popen(command, cwd=fogbank.folder, env=environment, stdout=log, stderr=log, text=True)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(90)


def test_a_save_is_what_the_next_request_finds(fogbank: Fogbank, watching: subprocess.Popen[str]) -> None:
    log = fogbank.folder.parent / "up.log"
    eventually(lambda: "watching;" in log.read_text(), within_s=90)
    url = f"{fogbank.url}/us-central1-fogbank.cloudfunctions.net/greet"
    assert ask(url).text == "hello"
    (fogbank.folder / "main.py").write_text(HTTP_ONLY.replace("hello", "good day"))
    eventually(lambda: ask(url).text == "good day", within_s=60)
    (fogbank.folder / "main.py").write_text("import functions_framework\ndef broken(:\n")
    eventually(lambda: "main.py, line 2" in log.read_text(), within_s=60)
    assert ask(url).text == "good day", "what ran goes on running"


@needs_gcloud
def test_gcloud_deploys_lists_describes_and_deletes(fogbank: Fogbank) -> None:
    (fogbank.folder / "main.py").write_text(HTTP_ONLY)
    fogbank.run("start", "--detach")
    deploy = ("functions", "deploy", "greet", "--runtime", google_functions.RUNTIME, "--trigger-http")
    made = gcloud(fogbank, *deploy, "--allow-unauthenticated")
    assert made["state"] == "ACTIVE" and ask(made["url"]).text == "hello"
    assert not (fogbank.folder / "requirements.txt").exists(), "a person's folder stays as it is"
    changed = gcloud(fogbank, *deploy, "--set-env-vars", "A=b", "--memory", "512Mi")
    assert changed["serviceConfig"]["availableMemory"] == "512Mi"
    assert changed["serviceConfig"]["environmentVariables"]["A"] == "b"
    [listed] = gcloud(fogbank, "functions", "list")
    assert listed["name"] == made["name"]
    fogbank.run("exec", "--", "gcloud", "functions", "remove-invoker-policy-binding", "greet", "--member=allUsers")
    assert ask(made["url"]).status == 403
    gcloud(fogbank, "functions", "delete", "greet")
    assert gcloud(fogbank, "functions", "list") == []


@needs_gcloud
def test_gcloud_deploys_the_1st_generation_and_calls_it(fogbank: Fogbank) -> None:
    (fogbank.folder / "main.py").write_text(HTTP_ONLY)
    fogbank.run("start", "--detach")
    runtime = "python312" if sys.version_info >= (3, 13) else google_functions.RUNTIME
    options = ("--no-gen2", "--runtime", runtime, "--trigger-http", "--allow-unauthenticated")
    made = gcloud(fogbank, "functions", "deploy", "greet", *options)
    assert made["status"] == "ACTIVE" and ask(made["httpsTrigger"]["url"]).text == "hello"
    assert gcloud(fogbank, "functions", "call", "greet", "--data", "{}")["result"] == "hello"


@needs_gcloud
@needs_metadata
def test_gcloud_calls_a_function_that_is_not_open_to_all(fogbank: Fogbank) -> None:
    (fogbank.folder / "main.py").write_text(HTTP_ONLY)
    fogbank.run("start", "--detach")
    deploy = ("functions", "deploy", "greet", "--runtime", google_functions.RUNTIME, "--trigger-http")
    gcloud(fogbank, *deploy, "--no-allow-unauthenticated")
    assert "hello" in fogbank.run("exec", "--", "gcloud", "functions", "call", "greet").stdout


@needs_gcloud
def test_gcloud_tells_why_a_function_was_not_deployed(fogbank: Fogbank) -> None:
    (fogbank.folder / "main.py").write_text(HTTP_ONLY + "\nraise RuntimeError('no coffee')\n")
    fogbank.run("start", "--detach")
    deploy = ("functions", "deploy", "greet", "--runtime", google_functions.RUNTIME, "--trigger-http")
    told = gcloud(fogbank, *deploy, "--allow-unauthenticated", ok=False)
    assert "Container Healthcheck failed" in told and "no coffee" in told
