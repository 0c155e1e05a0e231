"""What is declared of functions, by gcloud commands or fogbank.toml, and what is asked of the API then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fogbank.deploy.google import declared
from fogbank.deploy.google.plan import PlanError, plan

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
import functions_framework

@functions_framework.http
def create_item(request): ...

@functions_framework.cloud_event
def process(cloud_event): ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(SOURCE)
    return tmp_path


def made(folder: Path, **topics: str) -> dict[str, Any]:
    return {one.name: one for one in plan(folder, "shop", "us-central1", topics).functions}


def test_http_functions_are_open_to_all_and_event_functions_get_a_topic_of_their_name(folder: Path) -> None:
    planned = plan(folder, "shop", "us-central1", {})
    create_item, process = planned.functions
    assert create_item.public and "eventTrigger" not in create_item.settings
    assert process.settings["eventTrigger"] == {
        "eventType": "google.cloud.pubsub.topic.v1.messagePublished", "pubsubTopic": "projects/shop/topics/process",
    }  # fmt: skip
    assert not process.public
    assert [note for note in planned.notes if "--trigger-topic process=TOPIC" in note]


@pytest.mark.parametrize("topics", [{"process": "news"}, {"": "news"}])
def test_the_person_may_name_the_topic(folder: Path, topics: dict[str, str]) -> None:
    planned = plan(folder, "shop", "us-central1", topics)
    trigger = planned.functions[1].settings["eventTrigger"]
    assert trigger["pubsubTopic"] == "projects/shop/topics/news" and planned.notes == []


def test_a_deploy_script_says_what_gcloud_would_be_told(folder: Path) -> None:
    (folder / "deploy.sh").write_text(
        "#!/bin/sh\n# gcloud functions deploy nobody --trigger-http\nset -e\n"
        "gcloud functions deploy create_item \\\n  --runtime python312 \\\n  --trigger-http \\\n"
        "  --no-allow-unauthenticated --memory=512MB --timeout 2m --set-env-vars A=1,B=2 \\\n"
        "  --set-secrets KEY=api-key:3,/etc/keys/main=main-key:latest --concurrency 10 --cpu 1 && echo done\n"
        "gcloud beta functions deploy process --trigger-event-filters=type=google.cloud.firestore.document.v1.written "
        "--trigger-event-filters=database='(default)' --retry "
        "--trigger-event-filters-path-pattern=document='items/{id}'\n"
    )
    functions = made(folder)
    create_item = functions["create_item"]
    assert not create_item.public
    assert create_item.settings["buildConfig"]["runtime"] == "python312"
    assert create_item.settings["serviceConfig"] == {
        "availableMemory": "512M", "timeoutSeconds": 120, "environmentVariables": {"A": "1", "B": "2"},
        "maxInstanceRequestConcurrency": 10, "availableCpu": "1",
        "secretEnvironmentVariables": [{"key": "KEY", "secret": "api-key", "version": "3"}],
        "secretVolumes": [
            {"mountPath": "/etc/keys", "secret": "main-key", "versions": [{"version": "latest", "path": "main"}]}
        ],
    }  # fmt: skip
    assert functions["process"].settings["eventTrigger"] == {
        "eventType": "google.cloud.firestore.document.v1.written",
        "eventFilters": [
            {"attribute": "database", "value": "(default)"},
            {"attribute": "document", "value": "items/{id}", "operator": "match-path-pattern"},
        ],
        "retryPolicy": "RETRY_POLICY_RETRY",
    }


def test_fogbank_toml_goes_before_a_script(folder: Path) -> None:
    (folder / "deploy.sh").write_text("gcloud functions deploy process --trigger-topic old --memory 1Gi\n")
    (folder / "fogbank.toml").write_text('[functions.process]\ntrigger-topic = "news"\nmin-instances = 1\n')
    process = made(folder)["process"]
    assert process.settings["eventTrigger"]["pubsubTopic"] == "projects/shop/topics/news"
    assert process.settings["serviceConfig"] == {"availableMemory": "1Gi", "minInstanceCount": 1}


def test_a_function_deployed_by_another_name_is_not_deployed_by_its_own(folder: Path) -> None:
    (folder / "fogbank.toml").write_text('[functions.make]\nentry-point = "create_item"\ntrigger-http = true\n')
    functions = made(folder)
    assert set(functions) == {"make", "process"}
    assert functions["make"].settings["buildConfig"]["entryPoint"] == "create_item"


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("[functions.process]\ncolour = 'red'\n", "colour"),
        ("functions = 3\n", "table"),
        ("[functions", "fogbank.toml"),
        ("[functions.process]\ntimeout = 'soon'\n", "soon"),
        ("[functions.process]\nruntime = 'cobol74'\n", "cobol74"),
        ("[functions.process]\nregion = 'atlantis1'\n", "atlantis1"),
        ("[functions.nobody]\nmemory = '1Gi'\n", "nobody"),
        ("[functions.process]\nset-env-vars = 'A'\n", "KEY=VALUE"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(folder: Path, toml: str, text: str) -> None:
    (folder / "fogbank.toml").write_text(toml)
    with pytest.raises(PlanError, match=text):
        made(folder)


def test_names_with_variables_are_for_a_shell_to_read() -> None:
    text = 'gcloud functions deploy "$NAME" --trigger-http\nfor x in a b; do echo gcloud functions; done\n'
    assert list(declared.commands(text)) == []
