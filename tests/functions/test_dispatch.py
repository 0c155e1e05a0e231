"""Admission, instances and their logs, whatever the runtime."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fogbank.functions.engine import InitFailed, Throttled
from tests.support.meeting import MEET, Meeting
from tests.support.workshop import REQUEST_ID

SLOW = "import os, time\ndef handler(e, c):\n    time.sleep(e or 0)\n    return os.getpid()"
TOGETHER = MEET + "import os\ndef handler(e, c):\n    meet(e)\n    return os.getpid()"


def gather(workshop, *work):
    async def all_of_them():
        return await asyncio.gather(*work, return_exceptions=True)

    return workshop.run(all_of_them())


def test_one_instance_takes_one_event_at_a_time_and_is_used_again(workshop):
    version = workshop.function(TOGETHER)
    with Meeting(4) as meeting:
        pids = {
            json.loads(o.payload) for o in gather(workshop, *(workshop.ask(version, meeting.call) for _ in range(4)))
        }
    assert len(pids) == 4
    assert {workshop.answer(version) for _ in range(10)} <= pids


def test_beyond_the_limit_events_are_refused_at_once(workshop):
    version = workshop.function(SLOW)
    results = gather(workshop, *(workshop.ask(version, 0.3, limit=2) for _ in range(5)))
    assert sum(isinstance(result, Throttled) for result in results) == 3
    with pytest.raises(Throttled):
        workshop.invoke(version, 0, limit=0)


def test_a_burst_from_zero_is_answered_whole(workshop):
    version = workshop.function(SLOW)
    results = gather(workshop, *(workshop.ask(version, 0.05) for _ in range(60)))
    assert [result for result in results if isinstance(result, BaseException) or result.error] == []


def test_an_event_takes_an_instance_that_is_free_sooner_than_a_new_one_is_born(workshop, tmp_path):
    """The others that are to be born are not, before the test is over: each runs the initialisation itself."""
    version = workshop.function(
        f"import os, random, time\nrandom.random()\nwith open({str(tmp_path / 'inits')!r}, 'a') as inits:\n"
        "    inits.write('x')\n    if inits.tell() > 1: time.sleep(600)\ndef handler(e, c):\n    return os.getpid()"
    )
    first = workshop.answer(version)
    outcomes = gather(workshop, *(workshop.ask(version) for _ in range(20)))
    assert {json.loads(outcome.payload) for outcome in outcomes} == {first}
    workshop.run(workshop.engine.retire(version.id))


def test_every_event_that_waits_for_a_birth_that_fails_is_told_why(workshop):
    version = workshop.function("import time\ntime.sleep(0.1)\nimport nowhere")
    ids = [f"0000000{number}-0000-7000-8000-000000000000" for number in range(6)]
    outcomes = gather(workshop, *(workshop.ask(version, request_id=one) for one in ids))
    assert [json.loads(outcome.payload)["errorType"] for outcome in outcomes] == ["Runtime.ImportModuleError"] * 6
    assert sorted(json.loads(outcome.payload)["requestId"] for outcome in outcomes) == ids


def test_who_gives_up_waiting_for_a_birth_leaves_the_instance_to_the_next(workshop):
    version = workshop.function("import os, time\ntime.sleep(0.3)\ndef handler(e, c):\n    return os.getpid()")

    async def give_up():
        asking = asyncio.create_task(workshop.ask(version))
        await asyncio.sleep(0.1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        while not workshop.engine._pools[version.id].idle:
            await asyncio.sleep(0.01)

    workshop.run(give_up())
    outcome = workshop.invoke(version)
    assert outcome.cold and len(workshop.engine._pools[version.id].all) == 1


def test_prepared_instances_meet_events_initialised(workshop):
    version = workshop.function(TOGETHER)
    workshop.run(workshop.engine.prepare(version, 3))
    assert [fact["state"] for fact in workshop.engine.status() if fact["function"] == version.name].count("idle") >= 3
    with Meeting(4) as meeting:
        outcomes = gather(workshop, *(workshop.ask(version, meeting.call) for _ in range(4)))
    assert sorted(outcome.cold for outcome in outcomes) == [False, False, False, True]


def test_two_who_prepare_a_version_at_once_prepare_it_once(workshop):
    version = workshop.function("import os, time\ntime.sleep(0.2)\ndef handler(e, c):\n    return os.getpid()")
    gather(workshop, *(workshop.engine.prepare(version, 3) for _ in range(2)))
    assert len(workshop.engine._pools[version.id].all) == 3


def test_a_prepared_instance_that_dies_is_replaced(workshop):
    version = workshop.function("import os\ndef handler(e, c):\n    if e: os._exit(1)\n    return os.getpid()")
    workshop.run(workshop.engine.prepare(version, 1))
    workshop.failure(version, 1)

    async def refilled():
        while not [i for i in workshop.engine._pools[version.id].all if i.state == "idle"]:
            await asyncio.sleep(0.01)

    workshop.run(refilled())
    assert not workshop.invoke(version).cold


def test_preparing_a_function_whose_init_fails_says_its_own_error(workshop):
    version = workshop.function("import nowhere")
    with pytest.raises(InitFailed) as failed:
        workshop.run(workshop.engine.prepare(version, 2))
    assert json.loads(failed.value.document)["errorType"] == "Runtime.ImportModuleError"


def test_all_who_prepare_a_function_whose_init_fails_are_told(workshop):
    version = workshop.function("import nowhere")
    results = gather(workshop, *(workshop.engine.prepare(version, 1) for _ in range(4)))
    assert [type(result) for result in results] == [InitFailed] * 4


def test_a_retired_version_ends_after_the_events_it_is_at(workshop):
    version = workshop.function(SLOW)

    async def retire_meanwhile():
        asking = asyncio.create_task(workshop.ask(version, 0.3))
        await asyncio.sleep(0.1)
        await workshop.engine.retire(version.id)
        return await asking

    pid = json.loads(workshop.run(retire_meanwhile()).payload)
    _gone([pid])


def test_a_caller_that_gives_up_takes_its_instance_with_it(workshop):
    version = workshop.function(SLOW)
    first = workshop.answer(version, 0)

    async def give_up():
        asking = asyncio.create_task(workshop.ask(version, 5))
        await asyncio.sleep(0.1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    async def told():
        while workshop.text().count("REPORT ") < 3:
            await asyncio.sleep(0.01)

    workshop.run(give_up())
    assert workshop.answer(version, 0) != first
    _gone([first])
    workshop.run(told())  # How the event ended that was given up, too: its lines are of no other test.


def test_the_lines_of_an_event_stand_between_start_and_report(workshop):
    source = """
import logging, sys
print("in init")
logging.getLogger().setLevel(logging.INFO)
def handler(event, context):
    print("plain")
    print("error stream", file=sys.stderr)
    logging.info("a note\\nin two lines")
    context.log("from the context\\n")
"""
    version = workshop.function(source, memory_mb=256)
    outcome = workshop.invoke(version)
    lines = [line for *_, line in workshop.lines]
    assert lines[:3] == ["in init\n", f"START RequestId: {REQUEST_ID} Version: $LATEST\n", "plain\n"]
    assert lines[3] == "error stream\n"
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(rf"\[INFO\]\t{stamp}\t{REQUEST_ID}\ta note\nin two lines\n", lines[4])
    assert lines[5:7] == ["from the context\n", f"END RequestId: {REQUEST_ID}\n"]
    report = (
        rf"REPORT RequestId: {REQUEST_ID}\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 256 MB\t"
        r"Max Memory Used: \d+ MB\tInit Duration: \d+\.\d\d ms\t\n"
    )
    assert re.fullmatch(report, lines[7]) and len(lines) == 8
    assert outcome.log_tail.decode() == "".join(lines)
    assert {line[:2] for line in workshop.lines} == {("000000000000/us-east-1", "/aws/lambda/shop")}
    workshop.lines.clear()
    workshop.invoke(version)
    assert "Init Duration" not in workshop.text() and "in init" not in workshop.text()


def test_the_log_tail_is_the_last_four_kilobytes(workshop):
    version = workshop.function("def handler(e, c):\n    for i in range(2000): print('line', i)")
    tail = workshop.invoke(version).log_tail
    assert len(tail) == 4096 and b"line 1999\n" in tail and tail.rstrip().endswith(b"ms")


def test_a_line_longer_than_an_event_may_be_is_cut(workshop):
    version = workshop.function("def handler(e, c): print('x' * 600_000)")
    workshop.invoke(version)
    longest = [len(line) for *_, line in workshop.lines if line.startswith("xxx")]
    assert sum(longest) in range(600_000, 600_004) and max(longest) <= 256 * 1024


def test_what_an_instance_has_started_ends_with_it_if_it_is_killed(workshop):
    source = "import os, subprocess as s\ndef handler(e, c):\n    return [os.getpid(), s.Popen(['sleep', '97.6']).pid]"
    instance, sleeper = workshop.answer(workshop.function(source))
    os.kill(instance, signal.SIGKILL)
    _gone([instance, sleeper])


def test_no_process_of_an_engine_outlives_its_server(tmp_path, cache_dir):
    """kill -9: zygotes see their control socket close, instances die with their parents."""
    program = f"""
import asyncio, pathlib, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.support.meeting import MEET, Meeting
from tests.support.workshop import Workshop
w = Workshop(pathlib.Path({str(tmp_path)!r}), pathlib.Path({str(cache_dir)!r}))
v = w.function({SLOW!r}, timeout_ms=60000)
async def go():
    await w.engine.prepare(v, 3)
    busy = asyncio.create_task(w.ask(v, 50))
    while not any(f["state"] == "busy" for f in w.engine.status()):
        await asyncio.sleep(0.01)
    print(*[f["pid"] for f in w.engine.status()], flush=True)
    await busy
w.run(go())
"""
    server = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in server.stdout.readline().split()]
    below = _descendants(server.pid)
    assert len(pids) >= 3 and set(pids) <= set(below)
    server.send_signal(signal.SIGKILL)
    server.wait()
    server.stdout.close()
    _gone(below)


def _descendants(pid: int) -> list[int]:
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    found = [child for child, parent in parents.items() if parent == pid]
    return found + [below for child in found for below in _descendants(child)]


def _gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 20
    while True:
        left = [pid for pid in pids if _alive(pid)]
        if not left:
            return
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
