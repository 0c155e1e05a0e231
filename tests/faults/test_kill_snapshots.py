"""The server is killed between the publishing of a version and its snapshot: the version does not stay Pending."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.aws.services.lambda_.test_snap_start import SNAP_START, WHO, held_open_by, template
from tests.support.code import call, deploy
from tests.support.command import Fogbank
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPEN = ("start", "--detach", "--sandbox", "off")  # Functions are told when to go on by a file.


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Fogbank]:
    program = Fogbank(tmp_path)
    program.run(*OPEN)
    yield program
    program.stop()


def kill_and_start(program: Fogbank) -> None:
    os.kill(program.json("status")["pid"], signal.SIGKILL)
    program.run(*OPEN)


def initialising(program: Fogbank) -> Any:
    return program.json("status")["instances"]


@pytest.mark.faults
@pytest.mark.parametrize(
    ("source", "state"), [(WHO, "Active"), ("raise RuntimeError('no')\n", "Failed")], ids=["Active", "Failed"]
)
def test_a_version_goes_on_to_what_it_would_have_become(
    program: Fogbank, tmp_path: Path, source: str, state: str
) -> None:
    gate = tmp_path / "gate"
    deploy(program.client("lambda"), "f", held_open_by(gate, source), **SNAP_START, Publish=True)
    eventually(lambda: initialising(program))
    for _ in range(2):
        kill_and_start(program)
        functions = program.client("lambda")
        assert functions.get_function_configuration(FunctionName="f:1")["State"] == "Pending"
    gate.touch()
    assert eventually(
        lambda: (found := functions.get_function_configuration(FunctionName="f:1")["State"]) != "Pending" and found
    ) == state  # fmt: skip
    kill_and_start(program)
    functions = program.client("lambda")
    assert functions.get_function_configuration(FunctionName="f:1")["State"] == state
    assert state == "Failed" or call(functions, "f:1")


@pytest.mark.faults
def test_a_stack_that_waits_for_a_snapshot_is_rolled_back_after_a_kill_and_leaves_nothing(
    program: Fogbank, tmp_path: Path
) -> None:
    never = held_open_by(tmp_path / "gate")
    program.client("cloudformation").create_stack(StackName="s", TemplateBody=template(never))
    eventually(lambda: initialising(program))
    kill_and_start(program)
    stacks = program.client("cloudformation")
    eventually(lambda: stacks.describe_stacks(StackName="s")["Stacks"][0]["StackStatus"] == "ROLLBACK_COMPLETE")
    assert program.client("lambda").list_functions()["Functions"] == []
    eventually(lambda: not initialising(program))
