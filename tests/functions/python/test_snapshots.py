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

TOGETHER = "\ndef handler(e, c):\n    import time; time.sleep(0.3)\n    return [os.getpid(), VALUE]"


def several(workshop, version, count):
    """Replies of as many instances, all busy at the same time."""

    async def ask_all():
        return await asyncio.gather(*(workshop.ask(version) for _ in range(count)))

    outcomes = workshop.run(ask_all())
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
    source = "import os, random, uuid, secrets\nVALUE = 0\ndef handler(e, c):\n    import time; time.sleep(0.2)\n"
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
    source = "import os, time\ndef handler(e, c):\n    time.sleep(.2)\n    return [os.getpid(), c.log_stream_name]"
    replies, _ = several(workshop, workshop.function(source), 3)
    assert len({name for _, name in replies}) == 3


def test_hooks_of_the_snapshot_package_run_before_and_after(workshop):
    hooks = """
before, after = [], []
def register_before_snapshot(f, *a, **k): before.append((f, a, k)); return f
def register_after_restore(f, *a, **k): after.append((f, a, k)); return f
def get_before_snapshot(): return before
def get_after_restore(): return after
"""
    source = """
import os, snapshot_restore_py as hooks
VALUE = []
hooks.register_before_snapshot(VALUE.append, "before")
hooks.register_after_restore(VALUE.append, "after")
"""
    files = {"app.py": source + TOGETHER, "snapshot_restore_py.py": hooks}
    replies, _ = several(workshop, workshop.function(files), 3)
    assert [value for _, value in replies] == [["before", "after"]] * 3


def test_a_template_that_dies_is_replaced(workshop):
    version = workshop.function("import os\nVALUE = os.getpid()" + TOGETHER)
    first = workshop.answer(version)[1]
    os.kill(first, signal.SIGKILL)  # The founder of the snapshot: the first instance is its child and dies with it.
    workshop.run(asyncio.sleep(0.1))
    replies, _ = several(workshop, version, 3)
    assert {value for _, value in replies} != {first}


def test_a_boto3_resource_made_at_import_is_kept_in_the_snapshot(workshop):
    source = "import os, boto3\nTABLE = boto3.resource('dynamodb').Table('items')\nVALUE = 'x'" + TOGETHER
    version = workshop.function(source)
    workshop.answer(version)
    _, outcomes = several(workshop, version, 3)
    assert "no snapshot" not in workshop.text()
    assert sorted(o.init_ms for o in outcomes)[0] < 20
    assert re.search(r"Init Duration: \d+\.\d\d ms", workshop.text())


# -- snapshots that are asked for: "Improving startup performance with Lambda SnapStart" --

DRAWS = "import os, time, uuid\nID = str(uuid.uuid4())\ndef handler(e, c):\n    time.sleep(e)\n    return ID, os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'], str(uuid.uuid4())"  # noqa: E501


def all_at_once(workshop, version, count, pause_s):
    async def ask():
        return await asyncio.gather(*(workshop.ask(version, pause_s) for _ in range(count)))

    return workshop.run(ask())


def test_instances_share_what_a_snapshot_that_was_asked_for_holds(workshop):
    """ "Handling uniqueness": what init made unique is the same in all of them; what comes after it is not."""
    version = workshop.function(DRAWS, snap_start=True)
    outcomes = [json.loads(outcome.payload) for outcome in all_at_once(workshop, version, 4, 0.2)]
    assert len({made for made, _, _ in outcomes}) == 1
    assert {kind for _, kind, _ in outcomes} == {"snap-start"}
    assert len({later for _, _, later in outcomes}) == 4
    assert "no snapshot" not in workshop.text()


def test_a_restore_is_reported_as_one(workshop):
    version = workshop.function(DRAWS, snap_start=True)
    workshop.lines.clear()
    all_at_once(workshop, version, 3, 0.2)
    reports = [line for *_, line in workshop.lines if line.startswith("REPORT")]
    restored = [line for line in reports if "Restore Duration: " in line]
    assert sum("Init Duration: " in line for line in reports) == 1 and len(restored) == len(reports) - 1 > 0
    assert re.search(r"\tRestore Duration: \d+\.\d\d ms\tBilled Restore Duration: \d+ ms\t\n$", restored[0])
    assert len(re.findall(r"RESTORE_REPORT Restore Duration: \d+\.\d\d ms\n", workshop.text())) == len(restored)


def test_a_snapshot_that_nobody_asked_for_is_not_seen(workshop):
    workshop.lines.clear()
    version = workshop.function(DRAWS)
    outcomes = [json.loads(outcome.payload) for outcome in all_at_once(workshop, version, 4, 0.2)]
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
    handler = "\ndef handler(e, c):\n    import time; time.sleep(0.3); print('an event')\n    return [os.getpid()]"
    several(workshop, workshop.function(source + handler), 2)
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


def test_what_a_zygote_has_loaded_lies_in_huge_pages_of_which_a_fork_copies_small_tables(workshop):
    if not can_collapse():
        pytest.skip("this kernel makes no huge pages on demand (Linux 6.1 does, with CONFIG_TRANSPARENT_HUGEPAGE)")
    version = workshop.function("import os\ndef handler(e, c): return os.getpid()")
    template = parent_of(workshop.answer(version))
    assert huge_kb(parent_of(template)) >= 4096 and huge_kb(template) >= 2048
