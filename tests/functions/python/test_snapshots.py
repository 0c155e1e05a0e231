"""After a version's first init its instances are forks of an initialised process, and nothing shows that they are."""

from __future__ import annotations

import asyncio
import ctypes
import json
import mmap
import os
import re
import signal
from pathlib import Path

import pytest

from fogbank.functions.engine import InitFailed, RestoreFailed
from fogbank.functions.runtimes.python.nursery import PythonRuntime
from fogbank.functions.snapshots import Snapshot
from tests.support.meeting import MEET, Meeting
from tests.support.processes import until_dead
from tests.support.waiting import until

TOGETHER = MEET + "def handler(e, c):\n    meet(e)\n    return [os.getpid(), VALUE]"


def all_at_once(workshop, version, count):
    async def ask():
        return await asyncio.gather(*(workshop.ask(version, meeting.call) for _ in range(count)))

    with Meeting(count) as meeting:
        return workshop.run(ask())


def several(workshop, version, count):
    """Replies of as many instances, all busy at the same time."""

    outcomes = all_at_once(workshop, version, count)
    assert [o.payload.decode() for o in outcomes if o.error] == []
    replies = [json.loads(o.payload) for o in outcomes]
    assert len({reply[0] for reply in replies}) == count, "each ran in a process of its own"
    return replies, outcomes


def test_init_runs_once_for_many_instances(workshop, tmp_path):
    source = f"import os\nopen({str(tmp_path / 'inits')!r}, 'a').write('x')\nVALUE = 1" + TOGETHER
    version = workshop.function(source)
    _, outcomes = several(workshop, version, 5)
    assert (tmp_path / "inits").read_text() == "x"
    assert all(o.cold and o.init_ms > 0 for o in outcomes)


def test_init_runs_once_however_long_it_takes_to_find_what_it_needs(workshop, tmp_path, monkeypatch):
    known = PythonRuntime._settings

    async def find(*arguments, **options):
        await asyncio.sleep(0.05)
        return await known(*arguments, **options)

    monkeypatch.setattr(PythonRuntime, "_settings", find)
    source = f"import os\nopen({str(tmp_path / 'inits')!r}, 'a').write('x')\nVALUE = 1" + TOGETHER
    several(workshop, workshop.function(source), 3)
    assert (tmp_path / "inits").read_text() == "x"


@pytest.mark.parametrize(
    ("init", "reason"),
    [
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", "a thread running"),
        ("import socket; s = socket.socket()", "a connection open"),
        ("f = open('/tmp/fogbank-test-unsafe', 'w')", "open for writing"),
        ("import select; p = select.epoll()", "open for writing"),
        ("import random; random.random()", "drew random numbers"),
        ("import uuid; uuid.uuid4()", "drew random numbers"),
        ("import secrets; secrets.token_hex()", "drew random numbers"),
    ],
)
def test_an_init_that_would_not_survive_a_fork_is_run_by_each_instance(workshop, init, reason):
    workshop.lines.clear()
    version = workshop.function(f"import os\n{init}\nVALUE = os.getpid()" + TOGETHER)
    replies, _ = several(workshop, version, 3)
    assert all(pid == value for pid, value in replies)
    notes = [line for *_, line in workshop.lines if "no snapshot" in line]
    assert len(notes) == 1 and reason in notes[0]


def test_a_file_open_for_reading_is_no_reason_against_a_snapshot(workshop):
    version = workshop.function("import os\nf = open(__file__)\nVALUE = os.getpid()" + TOGETHER)
    replies, _ = several(workshop, version, 3)
    assert len({value for _, value in replies}) == 1


def test_no_two_instances_draw_the_same_random_numbers(workshop):
    source = MEET + "import os, random, uuid, secrets\ndef handler(e, c):\n    meet(e)\n"
    source += "    return [os.getpid(), random.random(), str(uuid.uuid4()), secrets.token_hex(8)]"
    replies, _ = several(workshop, workshop.function(source), 12)
    for place in (1, 2, 3):
        assert len({reply[place] for reply in replies}) == 12


def test_a_thousand_instances_of_one_snapshot_repeat_no_uuid(workshop, monkeypatch):
    """ "Handling uniqueness with Lambda SnapStart": what is drawn behind a snapshot differs, and so does the time."""
    version = workshop.function(
        "import random, secrets, time, uuid\n"
        "def handler(e, c):\n"
        "    drawn = [str(uuid.uuid4()), str(uuid.uuid1()), random.getrandbits(64), secrets.token_hex(8)]\n"
        "    return [*drawn, time.time_ns()]"
    )
    monkeypatch.setattr(workshop.engine, "idle_s", -1.0)  # Nobody is kept for the next event.

    async def ask_each():
        replies = []
        for _ in range(1000):
            outcome = await workshop.ask(version)
            assert outcome.cold and outcome.error is None
            replies.append(json.loads(outcome.payload))
            workshop.engine.reap()
        return replies

    drawn = list(zip(*workshop.run(ask_each()), strict=True))
    assert [len(set(kind)) for kind in drawn] == [1000] * 5
    assert "no snapshot" not in workshop.text()


def test_each_instance_has_its_own_log_stream(workshop):
    version = workshop.function("import os\nVALUE = 1" + TOGETHER)
    several(workshop, version, 3)
    streams = {stream for _, _, stream, line in workshop.lines if line.startswith("START")}
    assert len(streams) == 3
    source = MEET + "import os\ndef handler(e, c):\n    meet(e)\n    return [os.getpid(), c.log_stream_name]"
    replies, _ = several(workshop, workshop.function(source), 3)
    assert len({name for _, name in replies}) == 3


def test_a_template_that_dies_is_replaced(workshop):
    version = workshop.function("import os\nVALUE = os.getpid()" + TOGETHER)
    first = workshop.answer(version)[1]
    os.kill(first, signal.SIGKILL)  # The founder of the snapshot: the first instance is its child and dies with it.
    family = workshop.engine._runtimes.of(version.runtime)._runtime._families[version.id]
    workshop.run(until(lambda: family.template is None))
    replies, _ = several(workshop, version, 3)
    assert {value for _, value in replies} != {first}


def test_the_first_instance_may_be_born_after_others(workshop, monkeypatch):
    """It has the pipes that the process had which ran the initialisation; the others have their own."""
    fork, another = PythonRuntime._fork, asyncio.Event()

    async def first_later(runtime, version, family, instance, own, fds):
        if "first" in own:
            await another.wait()
        await fork(runtime, version, family, instance, own, fds)
        another.set()

    monkeypatch.setattr(PythonRuntime, "_fork", first_later)
    version = workshop.function("import os\nVALUE = os.getpid()" + TOGETHER)
    replies, _ = several(workshop, version, 3)
    assert len({made for _, made in replies}) == 1
    pids = {instance.pid for instance in workshop.engine._pools[version.id].all}
    os.kill(replies[0][0], signal.SIGKILL)  # Nobody else holds its pipes: its end is noticed.
    workshop.run(until(lambda: len(workshop.engine._pools[version.id].all) == 2))
    assert pids == {pid for pid, _ in replies}


def test_a_boto3_resource_made_at_import_is_kept_in_the_snapshot(workshop):
    source = "import os, boto3\nTABLE = boto3.resource('dynamodb').Table('items')\nVALUE = os.getpid()" + TOGETHER
    version = workshop.function(source)
    workshop.answer(version)
    replies, _ = several(workshop, version, 3)
    assert "no snapshot" not in workshop.text() and len({made for _, made in replies}) == 1
    assert re.search(r"Init Duration: \d+\.\d\d ms", workshop.text())


# -- snapshots that are asked for: "Improving startup performance with Lambda SnapStart" --

DRAWS = f"""{MEET}
import os, uuid
ID = str(uuid.uuid4())
def handler(e, c):
    meet(e)
    return ID, os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'], str(uuid.uuid4())
"""


def test_instances_share_what_a_snapshot_that_was_asked_for_holds(workshop):
    """ "Handling uniqueness": what init made unique is the same in all of them; what comes after it is not."""
    version = workshop.function(DRAWS, snap_start=True)
    outcomes = [json.loads(outcome.payload) for outcome in all_at_once(workshop, version, 4)]
    assert len({made for made, _, _ in outcomes}) == 1
    assert {kind for _, kind, _ in outcomes} == {"snap-start"}
    assert len({later for _, _, later in outcomes}) == 4
    assert "no snapshot" not in workshop.text()


def test_a_snapshot_is_taken_once_and_ahead_of_events(workshop, tmp_path):
    source = f"import os\nopen({str(tmp_path / 'inits')!r}, 'a').write('x')\nprint('from init')\nVALUE = os.getpid()"
    version = workshop.function(source + TOGETHER, snap_start=True)
    others = len(workshop.engine.status())
    workshop.run(workshop.engine.snapshot(version))
    assert (tmp_path / "inits").read_text() == "x"
    assert len(workshop.engine.status()) == others, "no instance is there yet"
    workshop.run(workshop.engine.snapshot(version))
    replies, _ = several(workshop, version, 3)
    assert (tmp_path / "inits").read_text() == "x"
    assert len({value for _, value in replies}) == 1


def test_the_log_has_the_initialisation_when_it_runs_and_a_restore_of_each_instance(workshop):
    """ "Monitoring for Lambda SnapStart": Init Duration in INIT_REPORT, Restore Duration in REPORT."""
    source = "import os\nprint('from init')\nVALUE = os.getpid()" + TOGETHER
    version = workshop.function(source, snap_start=True)
    workshop.run(workshop.engine.snapshot(version))
    begun, said, reported = (line for *_, line in workshop.lines)
    version_of = r"Runtime Version: python:3.11\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:python3.11\n"
    assert re.fullmatch("INIT_START " + version_of, begun) and said == "from init\n"
    assert re.fullmatch(r"INIT_REPORT Init Duration: \d+\.\d\d ms\n", reported)
    workshop.lines.clear()
    _, outcomes = several(workshop, version, 3)
    assert all(outcome.restored and outcome.cold for outcome in outcomes)
    assert "INIT" not in workshop.text() and "Init Duration" not in workshop.text()
    streams = {}
    for *_, stream, line in workshop.lines:
        streams.setdefault(stream, []).append(line)
    assert len(streams) == 3
    for lines in streams.values():
        assert re.fullmatch("RESTORE_START " + version_of, lines[0])
        assert re.fullmatch(r"RESTORE_REPORT Restore Duration: \d+\.\d\d ms\n", lines[1])
        assert lines[2].startswith("START ") and lines[3].startswith("END ")
        assert re.search(r"\tRestore Duration: \d+\.\d\d ms\tBilled Restore Duration: \d+ ms\t\n$", lines[4])


HOOKS = """
import os
from snapshot_restore_py import register_before_snapshot, register_after_restore

VALUE = []

@register_before_snapshot
def first():
    VALUE.append("before, registered first")

register_before_snapshot(VALUE.append, "before, registered last")
register_after_restore(VALUE.append, "after, registered first")

@register_after_restore
def last():
    VALUE.append("after, registered last")
"""
IN_ORDER = [
    "before, registered last", "before, registered first", "after, registered first", "after, registered last",
]  # fmt: skip


@pytest.mark.parametrize("init", ["", "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"], ids=["kept", "not kept"])  # fmt: skip  # noqa: E501
def test_hooks_run_before_the_snapshot_and_after_each_restore(workshop, init):
    """ "Implement code before or after Lambda function snapshots": the order of each kind; nothing is bundled."""
    version = workshop.function(init + HOOKS + TOGETHER, snap_start=True)
    workshop.run(workshop.engine.snapshot(version))
    replies, _ = several(workshop, version, 3)
    assert [value for _, value in replies] == [IN_ORDER] * 3


def test_hooks_run_for_nobody_who_has_not_asked_for_a_snapshot(workshop):
    replies, _ = several(workshop, workshop.function(HOOKS + TOGETHER), 3)
    assert [value for _, value in replies] == [[]] * 3


def test_a_hook_may_make_ready_for_the_snapshot_what_could_not_be_kept(workshop):
    source = "import os, socket, snapshot_restore_py\nc = socket.socket()\nVALUE = os.getpid()\n"
    source += "snapshot_restore_py.register_before_snapshot(c.close)" + TOGETHER
    version = workshop.function(source, snap_start=True)
    replies, _ = several(workshop, version, 3)
    assert len({value for _, value in replies}) == 1 and "no snapshot" not in workshop.text()


def test_a_module_of_that_name_that_the_function_brings_is_the_one_that_counts(workshop):
    own = """
before, after = [], []
def register_before_snapshot(f, *a, **k): before.append((f, a, k)); return f
def register_after_restore(f, *a, **k): after.append((f, a, k)); return f
def get_before_snapshot(): return before
def get_after_restore(): return after
"""
    files = {"app.py": HOOKS + TOGETHER, "snapshot_restore_py.py": own}
    replies, _ = several(workshop, workshop.function(files, snap_start=True), 2)
    assert [value for _, value in replies] == [IN_ORDER] * 2


@pytest.mark.parametrize(
    ("init", "error"),
    [
        ("raise RuntimeError('no room')", "RuntimeError"),
        ("import os; os._exit(3)", "Runtime.ExitError"),
        ("import snapshot_restore_py as s; s.register_before_snapshot(lambda: 1 / 0)", "ZeroDivisionError"),
    ],
)
def test_an_initialisation_that_fails_leaves_no_snapshot_and_says_so(workshop, init, error):
    version = workshop.function(f"{init}\ndef handler(e, c): pass", snap_start=True)
    with pytest.raises(InitFailed) as failed:
        workshop.run(workshop.engine.snapshot(version))
    assert json.loads(failed.value.document)["errorType"] == error
    assert re.search(rf"INIT_REPORT Init Duration: \S+ ms\tPhase: init\tStatus: error\tError Type: {error}\n",
                     workshop.text())  # fmt: skip
    assert workshop.failure(version)["errorType"] == error, "whoever asks for it all the same hears why"


def test_an_initialisation_for_a_snapshot_has_130_seconds_or_the_time_out_if_that_is_more(workshop):
    """ "Lambda execution environment lifecycle": 130 seconds or the configured function timeout, at most 900."""
    limits = {
        timeout_s: Snapshot(None, workshop.function("", timeout_ms=timeout_s * 1000, snap_start=True)).limit_s
        for timeout_s in (3, 600, 1800)
    }
    assert limits == {3: 130, 600: 600, 1800: 900}


@pytest.mark.parametrize("init", ["", "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"], ids=["kept", "not kept"])  # fmt: skip  # noqa: E501
def test_neither_ten_seconds_nor_the_functions_own_are_the_limit_of_that_initialisation(workshop, monkeypatch, init):
    """Of each instance, where there is nothing kept that it could begin with."""
    monkeypatch.setattr(workshop.engine, "init_s", 0.1)
    source = f"{init}import os, time\ntime.sleep(1.2)\nVALUE = 1" + TOGETHER
    version = workshop.function(source, snap_start=True, timeout_ms=1000)
    for _ in range(2):
        pid = workshop.answer(version)[0]
        os.kill(pid, signal.SIGKILL)
        workshop.run(until(lambda gone=pid: gone not in [facts["pid"] for facts in workshop.engine.status()]))


@pytest.mark.parametrize(
    ("hook", "timed_out", "told"),
    [
        ("raise RuntimeError('gone')", False, "error\tError Type: Runtime.ExitError"),
        ("import time; time.sleep(60)", True, "timeout"),
    ],
)
def test_a_restore_that_fails_runs_no_event_and_the_log_says_why(workshop, monkeypatch, hook, timed_out, told):
    """ "Failures during the Restore phase"."""
    monkeypatch.setattr(workshop.engine._births, "restore_s", 1.0)
    source = f"import snapshot_restore_py\n@snapshot_restore_py.register_after_restore\ndef after():\n    {hook}\n"
    version = workshop.function(source + "def handler(e, c): return 1", snap_start=True)
    with pytest.raises(RestoreFailed) as failed:
        workshop.invoke(version)
    assert failed.value.timed_out is timed_out
    assert re.search(rf"RESTORE_REPORT Restore Duration: \S+ ms\tStatus: {told}\n", workshop.text())
    assert timed_out or "[ERROR] RuntimeError: gone" in workshop.text()
    assert "START RequestId" not in workshop.text()


def test_where_the_snapshot_cannot_be_kept_its_process_waits_for_the_first_event(workshop):
    source = "import os, threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    version = workshop.function(source + "def handler(e, c): return os.getpid()", snap_start=True)
    others = [facts["pid"] for facts in workshop.engine.status()]
    workshop.run(workshop.engine.snapshot(version))
    [waiting] = [facts for facts in workshop.engine.status() if facts["pid"] not in others]
    assert (waiting["state"], waiting["events"]) == ("idle", 0)
    assert "no snapshot of this function is kept: its initialisation left a thread running" in workshop.text()
    assert workshop.answer(version) == waiting["pid"]
    assert "Init Duration" not in "".join(line for *_, line in workshop.lines if line.startswith("REPORT"))


def test_a_snapshot_that_nobody_needs_for_an_hour_is_let_go_and_made_again_when_somebody_does(workshop, monkeypatch):
    async def reap():
        workshop.engine.reap()

    version = workshop.function("import os\nVALUE = os.getpid()" + TOGETHER, snap_start=True)
    workshop.run(workshop.engine.snapshot(version))
    workshop.run(reap())
    first = workshop.answer(version)[1]
    monkeypatch.setattr(workshop.engine, "snapshot_idle_s", -1.0)
    workshop.run(reap())
    assert workshop.answer(version)[1] == first, "it has an instance"
    monkeypatch.setattr(workshop.engine, "idle_s", -1.0)
    workshop.run(reap())
    workshop.run(until(lambda: not workshop.engine._pools[version.id].all))
    workshop.run(reap())
    workshop.run(until_dead(first))
    assert workshop.answer(version)[1] != first


def test_a_snapshot_has_no_log_of_its_own_in_its_environment(workshop):
    """ "Monitoring for Lambda SnapStart": the variables with the names of the log are not available."""
    version = workshop.function(
        "import os\ndef handler(e, c): return [n for n in os.environ if 'LOG_' in n], c.log_stream_name",
        snap_start=True,
    )
    assert workshop.answer(version) == [["AWS_LAMBDA_LOG_FORMAT"], None]


def test_a_snapshot_whose_process_dies_is_made_again(workshop):
    version = workshop.function("import os\nVALUE = os.getpid()" + TOGETHER, snap_start=True)
    workshop.run(workshop.engine.snapshot(version))
    own, first = workshop.answer(version)
    os.kill(first, signal.SIGKILL)
    workshop.run(until(lambda: own not in [facts["pid"] for facts in workshop.engine.status()]))
    replies, _ = several(workshop, version, 3)
    assert {value for _, value in replies} != {first}


def test_a_snapshot_that_nobody_asked_for_is_not_seen(workshop):
    workshop.lines.clear()
    version = workshop.function(DRAWS)
    outcomes = [json.loads(outcome.payload) for outcome in all_at_once(workshop, version, 4)]
    assert len({made for made, _, _ in outcomes}) == 4
    assert workshop.text().count("no snapshot of this function is kept: its initialisation drew random numbers") == 1
    assert "Restore" not in workshop.text()


def test_a_stream_that_init_has_put_in_place_of_the_output_is_there_in_each_instance(workshop):
    source = """
import io, os, sys
class Loud(io.TextIOBase):
    def __init__(self, below): self.below = below
    def write(self, text): return self.below.write(text.upper())
    def flush(self): self.below.flush()
sys.stdout = Loud(sys.stdout)
print("initialised")
"""
    handler = "def handler(e, c):\n    meet(e)\n    print('an event')\n    return [os.getpid()]"
    several(workshop, workshop.function(source + MEET + handler), 2)
    assert workshop.text().count("AN EVENT\n") == 2 and workshop.text().count("INITIALISED\n") == 1


def parent_of(pid: int) -> int:
    return int(re.search(r"^PPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1])


def huge_kb(pid: int) -> int:
    return int(re.search(r"^AnonHugePages:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)[1])


def can_collapse() -> bool:
    """Whether this kernel makes huge pages on demand: MADV_COLLAPSE (25) of 4 MB that are filled."""
    with mmap.mmap(-1, 4 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as room:
        room.write(bytes([1]) * (4 << 20))
        here = ctypes.c_char.from_buffer(room)
        first = -(-ctypes.addressof(here) // (2 << 20)) * (2 << 20)
        done = ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(2 << 20), 25) == 0
        del here
        return done


def test_what_a_zygote_has_loaded_lies_in_huge_pages(workshop):
    """How many is chance: it hangs on where the memory happened to lie, and what its templates leave whole on where
    they write. Of one with the SDK the heap alone is large enough for one."""
    if not can_collapse():
        pytest.skip("this kernel makes no huge pages on demand (Linux 6.1 does, with CONFIG_TRANSPARENT_HUGEPAGE)")
    version = workshop.function("import os\nimport boto3\ndef handler(e, c): return os.getpid()")
    template = parent_of(workshop.answer(version))
    assert huge_kb(parent_of(template)) >= 2048
