"""Where a machine gives less than namespaces, functions run as before, and what there is holds them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fogbank.functions.sandbox.groups import find as find_groups
from fogbank.functions.sandbox.protections import ALL, Protections
from tests.functions.sandbox import strangers
from tests.support.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fogbank.functions.sandbox.groups import Groups

PYTHON = """
import errno, os, boto3

def tried(what):
    try:
        return "done: %r" % (what(),)
    except OSError as error:
        return errno.errorcode[error.errno]

def handler(e, c):
    import wave  # Nothing has loaded that: it is read from where the interpreter lies.

    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return {
        "state": tried(lambda: open(e["state"]).read()),
        "environment": tried(lambda: len(open("/proc/%d/environ" % e["server"]).read()) > 0),
        "signal": tried(lambda: os.kill(e["server"], 0)),
        "rights": status["CapEff"].strip(),
        "tmp": tried(lambda: open("/tmp/fogbank-test-written", "w").close()),
    }
"""
NODE = """exports.handler = async (e) => {
  try { return require('fs').readFileSync(e.state, 'utf8'); } catch (error) { return error.code; }
};"""
RANDOM = "import uuid; uuid.uuid4()\n"  # No template is made of such an initialisation.


@pytest.fixture
def machine(cache_dir: Path) -> Iterator[Callable[..., Workshop]]:
    """A workshop on a machine that gives just these. Its files are not below /tmp, which functions share there."""
    made = []

    def that_gives(*given: str, groups: Groups | None = None) -> Workshop:
        folder = Path(tempfile.mkdtemp(prefix="fogbank-tests-", dir="/var/tmp"))
        workshop = Workshop(folder, cache_dir, sandbox="auto")
        missing = {name: "not in this test" for name in ALL if name not in given}
        workshop.engine._sandbox._found = Protections(given, missing, groups)
        made.append(workshop)
        return workshop

    yield that_gives
    for workshop in made:
        workshop.close()
        shutil.rmtree(workshop.folder)


def found_out(workshop: Workshop, source: str, **settings: Any) -> Any:
    (workshop.folder / "state.db").write_text("a secret")
    event = {"state": str(workshop.folder / "state.db"), "server": os.getpid()}
    version = workshop.function(source, **settings)
    workshop.answer(version, event)
    return workshop.answer(version, event)


@pytest.mark.parametrize("init", ["", RANDOM], ids=["fork", "zygote"])
def test_landlock_hides_files_and_processes_and_signals_stay_inside(
    machine: Callable[..., Workshop], given: Protections, init: str
) -> None:
    if not {"landlock", "seccomp"} <= set(given.given):
        pytest.skip(json.dumps(given.missing))
    workshop = machine("seccomp", "landlock", "no_new_privs")
    found = found_out(workshop, init + PYTHON)
    assert found.pop("signal") in ("EPERM", "done: None"), "Landlock has scopes since its version 6"
    assert found == {
        "state": "EACCES",
        "environment": "EACCES",
        "rights": "0" * 16,
        "tmp": "done: None",
    }


@pytest.mark.skipif(shutil.which("node") is None, reason="this machine has no node")
def test_landlock_holds_node_as_well(machine: Callable[..., Workshop], given: Protections) -> None:
    if "landlock" not in given.given:
        pytest.skip(given.missing["landlock"])
    assert found_out(machine("landlock", "no_new_privs"), NODE, runtime="nodejs20.x") == "EACCES"


@pytest.mark.parametrize(
    "names", [(), ("no_new_privs",), ("seccomp", "no_new_privs")], ids=lambda names: "+".join(names)
)
def test_functions_run_with_whatever_there_is(machine: Callable[..., Workshop], names: tuple[str, ...]) -> None:
    found = found_out(machine(*names), PYTHON)
    assert found["state"] == "done: 'a secret'" and found["tmp"] == "done: None"
    if names:
        assert found["rights"] == "0" * 16


def kin_of(workshop: Workshop) -> dict[str, str]:
    kin: dict[str, str] = workshop.answer(strangers.custom(workshop, strangers.KIN))
    del kin["host"]
    return kin


def kin_and_strangers(workshop: Workshop) -> tuple[dict[str, str], set[str]]:
    """What those that an instance has started got at its port, and what others did."""
    kin = kin_of(workshop)
    note = {"NOTE": str(workshop.folder / "note")}
    victim = strangers.custom(workshop, strangers.VICTIM, {"watch": strangers.WATCH}, environment=note)
    got, served = strangers.accost(workshop, victim, strangers.custom(workshop, strangers.CUSTOM), "attempts")
    assert served == 2
    return kin, set(got.values())


def test_without_cells_a_port_answers_the_control_group_of_its_instance(machine: Callable[..., Workshop]) -> None:
    groups = find_groups()
    if groups is None:
        pytest.skip("no control group may be made here")
    kin, others = kin_and_strangers(machine("no_new_privs", "ports", groups=groups))
    assert set(kin.values()) == {"InvalidRequestID"} and others == {"closed"}


def test_without_control_groups_too_a_port_answers_the_family_and_sessions_of_its_instance(
    machine: Callable[..., Workshop],
) -> None:
    kin, others = kin_and_strangers(machine("no_new_privs", "ports"))
    assert kin.pop("daemon") == "closed", "it has left both"
    assert set(kin.values()) == {"InvalidRequestID"} and others == {"closed"}


def test_where_nothing_tells_whose_a_connection_is_anybody_is_answered(machine: Callable[..., Workshop]) -> None:
    assert set(kin_of(machine("no_new_privs")).values()) == {"InvalidRequestID"}


@pytest.mark.parametrize("missing", ["namespaces", "ports"])
def test_what_is_required_and_not_given_lets_no_function_run_and_the_error_says_why(
    cache_dir: Path, missing: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder), cache_dir, sandbox="require")
        given = tuple(name for name in ALL if name != missing)
        workshop.engine._sandbox._found = Protections(given, {missing: "the kernel says no"}, None)
        failed = workshop.invoke(workshop.function("def handler(e, c): return 1"))
        workshop.close()
    document = json.loads(failed.payload)
    assert document["errorType"] == "Runtime.Unavailable"
    assert "--sandbox require" in document["errorMessage"] and "the kernel says no" in document["errorMessage"]
