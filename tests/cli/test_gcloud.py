"""gcloud, run by `fogbank exec`: whom it asks, and what source it is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from fogbank.cli.support.environment import redirected, removed
from fogbank.cli.support.gcloud_sources import completed

DEPLOY = ["gcloud", "functions", "deploy", "create_item", "--runtime", "python311", "--trigger-http"]


def test_gcloud_asks_this_cloud_with_a_configuration_of_its_own(tmp_path: Path) -> None:
    variables = redirected("http://127.0.0.1:4566", "us-east-1", {}, tmp_path)
    assert variables["CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDFUNCTIONS"] == "http://127.0.0.1:4566/"
    assert variables["CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE"] == "http://127.0.0.1:4566/storage/v1/"
    assert variables["CLOUDSDK_CONFIG"] == str(tmp_path / "gcloud")
    assert variables["CLOUDSDK_AUTH_DISABLE_CREDENTIALS"] == variables["CLOUDSDK_CORE_DISABLE_PROMPTS"] == "1"
    assert variables["CLOUDSDK_CORE_PROJECT"] == variables["GOOGLE_CLOUD_PROJECT"] == "fogbank"
    assert variables["CLOUDSDK_FUNCTIONS_REGION"] == "us-central1"


def test_what_a_person_has_set_for_the_real_cloud_is_taken_away() -> None:
    current = {
        "CLOUDSDK_CORE_ACCOUNT": "me@example.com", "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": "t", "CLOUDSDK_PYTHON": "python3",
        "CLOUDSDK_FUNCTIONS_REGION": "europe-west1", "GOOGLE_APPLICATION_CREDENTIALS": "key.json",
    }  # fmt: skip
    assert set(removed(current)) == {
        "CLOUDSDK_CORE_ACCOUNT", "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "GOOGLE_APPLICATION_CREDENTIALS",
    }  # fmt: skip


@pytest.mark.parametrize("options", [[], ["--source", "{}"], ["--source={}"]])
def test_a_source_without_requirements_is_given_to_gcloud_as_a_copy_that_has_them(
    tmp_path: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "main.py").write_text("import functions_framework\nfrom google.cloud import firestore\n")
    monkeypatch.chdir(folder)
    command, note = completed([*DEPLOY, *(option.format(folder) for option in options)], tmp_path / "state")
    assert command[:-1] == DEPLOY
    copy = tmp_path / "state" / "gcloud" / "sources" / command[-1].rpartition("/")[2]
    assert command[-1] == f"--source={copy}"
    assert (copy / "requirements.txt").read_text() == "functions-framework\ngoogle-cloud-firestore\n"
    assert (copy / "main.py").read_text() == (folder / "main.py").read_text()
    assert "requirements.txt" in note and not (folder / "requirements.txt").exists()


@pytest.mark.parametrize("state", [".fogbank", "elsewhere/cloud"])
def test_the_state_of_this_cloud_is_not_uploaded(tmp_path: Path, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("package.json", "index.js", ".gcloudignore", f"{state}/store.db", "lib/a.js"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    command, note = completed(DEPLOY, tmp_path / state)
    copy = Path(command[-1].partition("=")[2])
    assert sorted(str(file.relative_to(copy)) for file in copy.rglob("*") if file.is_file()) == [
        ".gcloudignore", "index.js", "lib/a.js", "package.json",
    ]  # fmt: skip
    assert note == ""


@pytest.mark.parametrize(
    "command",
    [
        ["gcloud", "functions", "list"],
        ["python", "functions", "deploy"],
        [*DEPLOY, "--source", "gs://bucket/source.zip"],
        [*DEPLOY, "--source=/nowhere"],
    ],
)
def test_other_commands_are_run_as_they_are(tmp_path: Path, command: list[str]) -> None:
    assert completed(command, tmp_path / "state") == (command, "")
