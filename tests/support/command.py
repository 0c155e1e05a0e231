"""The program itself, run as a person runs it, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT_S = 90


class Fogbank:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str, ok: bool | None = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """`fogbank ARGUMENTS` in the folder, on any free port; `ok` is whether it must succeed, None if it need not."""
        command = [sys.executable, "-m", "fogbank", *arguments]
        given = {**os.environ, "FOGBANK_PORT": "0", **environment}
        result = subprocess.run(
            command, cwd=self.folder, env=given, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
        assert ok is None or (result.returncode == 0) is ok, f"{arguments}: {result.stdout}\n{result.stderr}"
        return result

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    @property
    def url(self) -> str:
        return str(self.json("status")["url"])

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, service: str, **options: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            **options,
        )

    def stop(self) -> None:
        self.run("stop")


def awscli(url: str, *arguments: str) -> str:
    """`aws ARGUMENTS` (version 1, from PyPI) against `url`; the answer is what it printed."""
    given = {
        "PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }  # fmt: skip
    command = [sys.executable, "-m", "awscli", *arguments]
    result = subprocess.run(command, env=given, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert result.returncode == 0, f"aws {arguments}: {result.stdout}\n{result.stderr}"
    return result.stdout
