"""The real gcloud, pointed at a server of ours by its own environment, with no account and a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

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


class Gcloud:
    def __init__(self, url: str, folder: Path, project: str, *services: str) -> None:
        """`services`: those whose endpoints it is to find here, as gcloud calls them: "PUBSUB"."""
        self._environment = {
            **os.environ,
            "CLOUDSDK_CONFIG": str(folder), "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "1", "CLOUDSDK_CORE_PROJECT": project,
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1", "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            **{f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name}": f"{url}/" for name in services},
        }  # fmt: skip

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["gcloud", *arguments, "--format=json"],
            env=self._environment, capture_output=True, text=True, check=False, timeout=_LONGEST_S,
        )  # fmt: skip

    def __call__(self, *arguments: str) -> Any:
        """What it prints, as JSON."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")

    def refused(self, *arguments: str) -> str:
        """What it says where it fails."""
        done = self.run(*arguments)
        assert done.returncode != 0, done.stdout
        return done.stderr
