"""A state that is not kept lies where no function can read it, with whatever this machine holds functions by."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fogbank.functions.sandbox import places
from fogbank.functions.sandbox.protections import ALL, Protections
from fogbank.kernel.ephemeral import Ephemeral
from tests.support.cloud import Cloud
from tests.support.code import ROLE, call, deploy, zipped
from tests.support.command import Fogbank

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PYTHON = """
import errno, os

def tried(what):
    try:
        return "done: %r" % (what(),)
    except OSError as error:
        return errno.errorcode[error.errno]

def handler(e, c):
    state, server = e["state"], "/proc/%d" % e["server"]
    return [
        tried(lambda: open(state + "/store.db", "rb").read(1)),
        tried(lambda: os.listdir(state)),
        tried(lambda: os.listdir(server + "/root" + state)),
        tried(lambda: os.open(server + "/cwd", os.O_RDONLY)),
        tried(lambda: open(state + "/written", "w").close()),
        tried(lambda: os.rename(state, "/tmp/taken")),
    ]
"""
NODE = """
const fs = require('fs');
const tried = (what) => { try { what(); return 'done'; } catch (error) { return error.code; } };
exports.handler = async ({state}) => [
  tried(() => fs.readFileSync(state + '/store.db')), tried(() => fs.readdirSync(state)),
  tried(() => fs.writeFileSync(state + '/written', '')),
];"""
LANDLOCK = ("seccomp", "landlock", "no_new_privs")


@pytest.fixture
def cloud_that_gives(tmp_path: Path) -> Iterator[Callable[..., Cloud]]:
    made: list[Cloud] = []

    def start(given: tuple[str, ...]) -> Cloud:
        cloud = Cloud(tmp_path / "not used", ephemeral=True, sandbox="auto")
        made.append(cloud)
        missing = {name: "not in this test" for name in ALL if name not in given}
        cloud.server.engine._sandbox._found = Protections(given, missing, None)  # type: ignore[attr-defined]
        return cloud

    yield start
    for cloud in made:
        state = cloud.server.config.data_dir
        cloud.stop()
        assert not state.exists()


def reads(cloud: Cloud, runtime: str) -> Any:
    functions = cloud.client("lambda")
    if runtime.startswith("python"):
        deploy(functions, "f", PYTHON)
    else:
        code = {"ZipFile": zipped({"app.js": NODE})}
        functions.create_function(FunctionName="f", Runtime=runtime, Role=ROLE, Handler="app.handler", Code=code)
    event = {"state": str(cloud.server.config.data_dir), "server": os.getpid()}
    call(functions, "f", event)
    return call(functions, "f", event)


@pytest.mark.parametrize("runtime", ["python3.11", "nodejs20.x"])
@pytest.mark.parametrize("by", [LANDLOCK, ALL], ids=["Landlock alone", "all"])
def test_no_function_reads_or_writes_it(
    cloud_that_gives: Callable[..., Cloud], given: Protections, by: tuple[str, ...], runtime: str
) -> None:
    if not set(by) <= set(given.given):
        pytest.skip(json.dumps(given.missing))
    if runtime.startswith("nodejs") and shutil.which("node") is None:
        pytest.skip("this machine has no node")
    cloud = cloud_that_gives(by)
    assert (cloud.server.config.data_dir / "store.db").exists()
    found = reads(cloud, runtime)
    refusals = {errno.errorcode[number] for number in (errno.EACCES, errno.ENOENT, errno.EPERM, errno.EXDEV)}
    assert set(found) <= refusals, found
    assert cloud.server.engine.protections()["landlock"] == "yes"


def test_it_is_only_its_owners(tmp_path: Path) -> None:
    made = Ephemeral(tmp_path)
    assert made.folder.stat().st_mode & 0o777 == 0o700
    made.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_server_has_left_is_removed_by_the_next_and_what_another_holds_is_not(tmp_path: Path) -> None:
    held, left = Ephemeral(tmp_path), Ephemeral(tmp_path)
    (left.folder / "store.db").write_text("state")
    assert left._lock is not None
    os.close(left._lock)  # As a kill does.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "fogbank-ephemeral-link").symlink_to(elsewhere)
    mine = Ephemeral(tmp_path)
    assert held.folder.exists() and mine.folder.exists() and not left.folder.exists()
    assert list(elsewhere.iterdir()) == []


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Fogbank]:
    program = Fogbank(tmp_path)
    yield program
    program.stop()


def test_a_killed_program_leaves_nothing_to_the_next(program: Fogbank) -> None:
    program.run("start", "--detach", "--ephemeral")
    status = program.json("status")
    left = Path(status["data_dir"])
    assert left.exists() and not places.is_open(left)
    os.kill(status["pid"], signal.SIGKILL)
    program.run("start", "--detach", "--ephemeral")
    assert not left.exists()


@pytest.mark.parametrize(
    ("folder", "is_open"),
    [("/tmp/app/.fogbank", True), ("/dev/shm/x", True), ("/var/tmp/x", False), ("/home/me/app/.fogbank", False),
     ("/tmpfiles", False)],
)  # fmt: skip
def test_where_functions_can_read_without_a_root_folder_of_their_own(folder: str, is_open: bool) -> None:
    assert places.is_open(Path(folder)) is is_open


def test_a_link_to_where_functions_can_read_is_no_other_place(tmp_path: Path) -> None:
    target = Path("/tmp") / tmp_path.name
    target.mkdir(exist_ok=True)
    link = Path("/var/tmp") / f"fogbank-tests-{os.getpid()}"
    link.symlink_to(target)
    try:
        assert places.is_open(link / "state")
    finally:
        link.unlink()
        target.rmdir()


def test_where_landlock_cannot_hide_the_state_nobody_says_that_it_does(cache_dir: Path) -> None:
    """A state that somebody has put below /tmp, on a machine without namespaces."""
    state = Path("/tmp") / f"fogbank-tests-{os.getpid()}"
    cloud = Cloud(state, sandbox="auto")
    try:
        missing = dict.fromkeys(("namespaces", "ports"), "not in this test")
        cloud.server.engine._sandbox._found = Protections(LANDLOCK, missing, None)  # type: ignore[attr-defined]
        told = cloud.server.engine.protections()
        assert told["landlock"].startswith("the state lies where all functions may read (/tmp/fogbank-tests-")
        assert told["seccomp"] == "yes"
    finally:
        cloud.stop()
        shutil.rmtree(state)
