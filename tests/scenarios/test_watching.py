"""`fogbank up` as it stays: deploys at every save, shows logs, ends by Ctrl-C with all state kept."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.command import Fogbank

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Greet:
    Type: AWS::Serverless::Function
    Properties: {Handler: app.handler, Runtime: python3.12, CodeUri: src/}
"""
GREET = "def handler(event, context):\n    print('greeted')\n    return 'hello'\n"


class Watching:
    """`fogbank up`, running."""

    def __init__(self, folder: Path) -> None:
        self._told, self._logged = folder / "told.txt", folder / "logged.txt"
        with self._told.open("wb") as told, self._logged.open("wb") as logged:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fogbank", "up"], cwd=folder, stdout=logged, stderr=told,
                env={**os.environ, "FOGBANK_PORT": "0"},
            )  # fmt: skip

    @property
    def told(self) -> str:
        return self._told.read_text()

    @property
    def logged(self) -> str:
        return self._logged.read_text()


@contextmanager
def watching(fogbank: Fogbank, template: str = TEMPLATE) -> Iterator[Watching]:
    (fogbank.folder / "src").mkdir()
    (fogbank.folder / "src/app.py").write_text(GREET)
    (fogbank.folder / "template.yaml").write_text(template)
    up = Watching(fogbank.folder)
    try:
        eventually(lambda: "watching; Ctrl-C to end" in up.told)
        yield up
    finally:
        up.process.kill()
        up.process.wait()


def test_a_save_is_deployed_a_bad_one_is_told_and_ctrl_c_keeps_all(fogbank: Fogbank) -> None:
    with watching(fogbank) as up:
        assert json.loads(fogbank.run("invoke", "Greet").stdout) == "hello"
        eventually(lambda: "greeted" in up.logged)
        (fogbank.folder / "src/app.py").write_text(GREET.replace("hello", "good day"))
        eventually(lambda: "deployed in" in up.told)
        assert json.loads(fogbank.run("invoke", "Greet").stdout) == "good day"
        (fogbank.folder / "template.yaml").write_text("Resources: [")
        eventually(lambda: "template.yaml: Template format error" in up.told)
        assert json.loads(fogbank.run("invoke", "Greet").stdout) == "good day"  # What ran goes on running.
        (fogbank.folder / "template.yaml").write_text(TEMPLATE)
        eventually(lambda: "nothing changed in" in up.told)

        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(20) == 0
        assert "state is kept in" in up.told and "Traceback" not in up.told
    assert fogbank.run("status", ok=False).returncode == 3  # What it started it has stopped.
    fogbank.run("start", "--detach")
    assert json.loads(fogbank.run("invoke", "Greet").stdout) == "good day"


def test_whatever_way_a_file_is_saved_and_wherever_code_comes_to_lie_it_is_seen(fogbank: Fogbank) -> None:
    def saved(name: str, text: str) -> None:
        """As editors do it: another file takes the place of the old one."""
        (fogbank.folder / "new").write_text(text)
        (fogbank.folder / "new").replace(fogbank.folder / name)

    def says(name: str, greeting: str) -> bool:
        return fogbank.run("invoke", name, ok=None).stdout.strip() == f'"{greeting}"'

    other = TEMPLATE[TEMPLATE.index("  Greet") :].replace("Greet", "Other").replace("src", "more")
    with watching(fogbank) as up:
        for timeout in (5, 6):
            saved("template.yaml", TEMPLATE.replace("CodeUri", f"Timeout: {timeout}, CodeUri"))
            eventually(lambda count=timeout - 4: up.told.count("deployed in") == count)
        (fogbank.folder / "more").mkdir()
        saved("more/app.py", GREET)
        saved("template.yaml", TEMPLATE + other)
        eventually(lambda: up.told.count("deployed in") == 3)
        saved("more/app.py", GREET.replace("hello", "good day"))
        eventually(lambda: says("Other", "good day"))
        shutil.rmtree(fogbank.folder / "more")
        eventually(lambda: "Other: the code folder" in up.told)
        (fogbank.folder / "more").mkdir()
        saved("more/app.py", GREET.replace("hello", "welcome"))
        eventually(lambda: says("Other", "welcome"))


def test_an_app_that_cannot_be_deployed_at_first_is_as_soon_as_it_can(fogbank: Fogbank) -> None:
    with watching(fogbank, "Resources: [") as up:
        assert "template.yaml: Template format error" in up.told
        (fogbank.folder / "template.yaml").write_text(TEMPLATE)
        eventually(lambda: "is deployed at http://" in up.logged)
        assert json.loads(fogbank.run("invoke", "Greet").stdout) == "hello"


def test_a_cloud_that_ends_under_it_is_told_in_one_line(fogbank: Fogbank) -> None:
    with watching(fogbank) as up:
        os.kill(fogbank.json("status")["pid"], signal.SIGKILL)
        assert up.process.wait(20) == 1
        assert "the cloud was stopped; its state is kept" in up.told.splitlines()[-1]
        assert "Traceback" not in up.told
