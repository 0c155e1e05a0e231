"""The real gcloud, pointed at a server of ours by its own environment, with no account and a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.google import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

needed = [
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not here"),
    pytest.mark.skipif(
        os.environ.get("FOGBANK_TEST_STORE") == "postgresql", reason="the wire is the same on any store"
    ),
    pytest.mark.timeout(900),  # Each command starts a program that takes seconds, and longer where others are at work.
]
_LONGEST_S = 240
_PATHS = {"STORAGE": "storage/v1/"}  # Of services whose endpoint is not the root.


class Gcloud:
    def __init__(self, url: str, folder: Path, *services: str, project: str = PROJECT) -> None:
        """`services`: those whose endpoints it is to find here, as gcloud calls them: "PUBSUB"."""
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CLOUDSDK_")},
            "CLOUDSDK_CONFIG": str(folder), "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "1", "CLOUDSDK_CORE_PROJECT": project,
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1", "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
            **{f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name}": f"{url}/{_PATHS.get(name, '')}" for name in services},
        }  # fmt: skip

    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["gcloud", *arguments], input=given, env=self._environment, capture_output=True, text=True, check=False,
            timeout=_LONGEST_S,
        )  # fmt: skip

    def __call__(self, *arguments: str) -> Any:
        """What it prints, as JSON."""
        return json.loads(self.text(*arguments, "--format=json") or "null")

    def text(self, *arguments: str, given: str = "") -> str:
        """What it prints."""
        done = self.run(*arguments, given=given)
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def refused(self, *arguments: str) -> str:
        """What it says where it fails."""
        done = self.run(*arguments, "--format=json")
        assert done.returncode != 0, done.stdout
        return done.stderr
