"""What a Python source without requirements.txt is given: Google's own clients, by what it imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.gcp.services.functions import implied

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_imported_of_googles_clients_is_needed(source: Path) -> None:
    (source / "main.py").write_text(
        "import functions_framework\nfrom flask import jsonify\nfrom google.cloud import firestore, storage\n"
        "import google.cloud.pubsub_v1\nimport logging, json, numpy\nfrom . import helper\n"
    )
    (source / "helper.py").write_text("def late():\n    from google.cloud.tasks_v2 import CloudTasksClient\n")
    assert implied.requirements(source) == [
        "functions-framework", "google-cloud-firestore", "google-cloud-pubsub", "google-cloud-storage",
        "google-cloud-tasks",
    ]  # fmt: skip


def test_a_source_that_says_what_it_needs_is_given_nothing_else(source: Path) -> None:
    (source / "main.py").write_text("from google.cloud import firestore\n")
    (source / "requirements.txt").write_text("")
    assert implied.add(source) == [] and (source / "requirements.txt").read_text() == ""


def test_what_is_no_python_is_passed_over(source: Path) -> None:
    (source / "main.py").write_text("def broken(:\n")
    (source / "deep.py").write_text("x = " + "(" * 5000 + ")" * 5000)
    assert implied.requirements(source) == ["functions-framework"]
