"""A bootstrap that cannot run, dies, hangs or talks nonsense tells its caller what AWS would, and harms nobody else."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fogbank.functions.engine import InitFailed
from tests.support.processes import alive, until_dead
from tests.support.waiting import eventually, until
from tests.support.workshop import REQUEST_ID

WHERE = f"RequestId: {REQUEST_ID} Error: "


def test_a_bootstrap_that_is_missing_is_named(workshop, provided):
    version = provided({"main.py": ""})
    told = "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
    for _ in range(2):
        assert workshop.failure(version) == {"errorType": "Runtime.InvalidEntrypoint", "errorMessage": WHERE + told}
    with pytest.raises(InitFailed) as failed:
        workshop.run(workshop.engine.prepare(version, 1))
    assert json.loads(failed.value.document)["errorType"] == "Runtime.InvalidEntrypoint"
    assert _none_is_left(workshop, version)


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [
        ("#!/bin/sh\n", 0o644, "permission denied"),
        ("no program", 0o755, "exec format error"),
        ("#!/no/such/shell\n", 0o755, "no such file or directory"),
    ],
)
def test_a_bootstrap_that_cannot_be_run_says_why(workshop, provided, content, mode, told):
    version = provided({"bootstrap": content})
    (version.code / "bootstrap").chmod(mode)
    failed = workshop.failure(version)
    assert failed["errorType"] == "Runtime.InvalidEntrypoint"
    assert failed["errorMessage"] == f"{WHERE}fork/exec /var/task/bootstrap: {told}"
    assert re.search(r"INIT_REPORT .*Status: error\tError Type: Runtime.InvalidEntrypoint\n", workshop.text())


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("raise SystemExit(3)", "Runtime exited with error: exit status 3"),
        ("raise SystemExit(0)", "Runtime exited without providing a reason"),
        (
            "import signal; os.kill(os.getpid(), signal.SIGSEGV)",
            "Runtime exited with error: signal: segmentation fault",
        ),
    ],
)
@pytest.mark.parametrize("where", ["init", "event"])
def test_a_runtime_that_exits_tells_how(workshop, provided, where, end, told):
    version = provided(("" if where == "init" else "next_event()\n") + f"print('last words', flush=True)\n{end}")
    assert workshop.failure(version) == {"errorType": "Runtime.ExitError", "errorMessage": WHERE + told}
    assert "last words\n" in workshop.text()
    assert _none_is_left(workshop, version)


def test_a_runtime_that_answers_and_exits_has_answered(workshop, provided):
    version = provided("i, h, e = next_event()\nrespond(i, os.getpid())\nraise SystemExit(1)")
    first, second = workshop.invoke(version), workshop.invoke(version)
    assert first.error is None and second.error is None and second.cold
    assert first.payload != second.payload


def test_a_runtime_that_dies_between_two_events_costs_nobody(workshop, provided):
    version = provided("serve(lambda event: os.getpid())")
    first = workshop.answer(version)
    os.kill(first, signal.SIGKILL)
    workshop.run(until(lambda: workshop.engine.status() == []))  # Else the next event meets its end.
    assert workshop.answer(version) != first


def test_an_init_that_never_asks_for_an_event_is_tried_again_within_the_functions_own_limit(workshop, provided):
    version = provided("import time; print('born', flush=True); time.sleep(60)", timeout_ms=500)
    workshop.engine.init_s = 0.4
    try:
        failed = workshop.failure(version)
    finally:
        workshop.engine.init_s = 10.0
    assert failed["errorMessage"] == f"{WHERE}Task timed out after 0.50 seconds"
    assert workshop.text().count("born\n") == 2
    assert re.search(r"INIT_REPORT Init Duration: \d+\.\d\d ms\tPhase: init\tStatus: timeout\n", workshop.text())
    assert _none_is_left(workshop, version)


def test_a_runtime_that_hangs_in_an_event_is_ended_at_the_time_limit_and_the_next_gets_another(workshop, provided):
    version = provided("import time\nserve(lambda event: time.sleep(event * 60) or os.getpid())", timeout_ms=600)
    first = workshop.answer(version, 0)
    outcome = workshop.invoke(version, 1)
    assert outcome.timed_out and json.loads(outcome.payload)["errorType"] == "Sandbox.Timedout"
    workshop.run(until_dead(first))
    after = workshop.invoke(version, 0)
    assert after.cold and json.loads(after.payload) != first


def test_all_that_a_runtime_started_ends_with_it(workshop, provided):
    version = provided("""
import subprocess, time
child = subprocess.Popen(["sleep", "97.3"])
serve(lambda event: child.pid if event == 0 else time.sleep(60))
""", timeout_ms=700)  # fmt: skip
    child = workshop.answer(version, 0)
    assert workshop.invoke(version, 1).timed_out
    workshop.run(until_dead(child))


def test_the_memory_of_what_a_shell_started_counts(workshop, provided):
    hold = "hold = b'x' * (400 << 20)\nimport time; time.sleep(20)\n"
    files = {"bootstrap": f"#!/bin/sh\n{sys.executable} main.py\necho over\n", "main.py": hold}
    version = provided(files, memory_mb=256)
    failed = workshop.failure(version)
    assert failed["errorMessage"] == f"{WHERE}Runtime exited with error: signal: killed"
    assert "Max Memory Used: 256 MB" in workshop.text()


POST = r"POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "garbage",
    [
        r"b'\0' * 4096",
        r"b'GET / HTTP/9.9\r\n\r\n'",
        rf"b'{POST}Content-Length: -1\r\n\r\n'",
        rf"b'{POST}Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n'",
        r"b'GET /' + b'a' * 100000 + b' HTTP/1.1\r\n\r\n'",
    ],
)
def test_garbage_is_refused_and_the_runtime_goes_on(workshop, provided, garbage):
    version = provided(f"""
import socket
host, port = HOST.split(":")
def throw(event):
    s = socket.create_connection((host, int(port)))
    s.settimeout(5)
    s.sendall({garbage})
    return s.recv(4096).decode("latin-1").split(" ")[1]
serve(throw)
""")
    assert workshop.answer(version).startswith("4")
    assert workshop.answer(version).startswith("4")


def test_headers_that_are_no_text_harm_nobody(workshop, provided):
    version = provided("""
def raw(name, value, method="POST", path=RUNTIME + "init/error"):
    line = http.client.HTTPConnection(HOST)
    line.putrequest(method, path)
    line.putheader(name, value)
    line.putheader("Content-Length", "2")
    line.endheaders(b"{}")
    response = line.getresponse()
    return response.status, response.headers["Lambda-Extension-Identifier"]
odd = b"Function.A\\xff\\xfe"
first, me = raw("Lambda-Extension-Name", odd, path=EXTENSION + "register")
assert raw("Lambda-Extension-Identifier", odd, "GET", EXTENSION + "event/next")[0] == 403
asking = http.client.HTTPConnection(HOST)
asking.request("GET", EXTENSION + "event/next", headers={"Lambda-Extension-Identifier": me})
while True:
    i, h, e = next_event()
    if e: respond(i, first)
    else: raw("Lambda-Runtime-Function-Error-Type", odd, path=RUNTIME + "invocation/%s/error" % i)
""")
    assert workshop.failure(version, 0) == {}
    assert workshop.answer(version, 1) == 200


def test_a_keeper_that_is_killed_takes_its_instances_along_and_is_replaced(workshop, provided):
    version = provided("serve(lambda event: [os.getpid(), os.getppid()])")
    first, keeper = workshop.answer(version)
    os.kill(keeper, signal.SIGKILL)
    workshop.run(until_dead(first, keeper))
    again, other = workshop.answer(version)
    assert again != first and other != keeper


def test_prepared_instances_meet_events_initialised_and_are_replaced(workshop, provided):
    version = provided("serve(lambda event: os._exit(1) if event else os.getpid())")
    workshop.run(workshop.engine.prepare(version, 2))
    first = workshop.invoke(version, 0)
    assert not first.cold
    workshop.failure(version, 1)
    pool = workshop.engine._pools[version.id]
    workshop.run(until(lambda: len([one for one in pool.all if one.state == "idle"]) == 2))


def test_more_connections_than_anybody_needs_are_refused(workshop, provided):
    version = provided("""
import socket
host, port = HOST.split(":")
def open_many(event):
    held = [socket.create_connection((host, int(port))) for _ in range(200)]
    held[-1].settimeout(5)
    return held[-1].recv(4096).decode().split("\\r\\n")[0]
serve(open_many)
""")
    assert workshop.answer(version) == "HTTP/1.1 503 Service Unavailable"


def test_a_caller_that_gives_up_takes_the_instance_with_it(workshop, provided):
    version = provided("import time\nserve(lambda event: time.sleep(event) or os.getpid())")
    first = workshop.answer(version, 0)

    async def give_up():
        asking = asyncio.create_task(workshop.ask(version, 30))
        await asyncio.sleep(0.1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await until_dead(first)

    workshop.run(give_up())
    assert workshop.answer(version, 0) != first


def test_an_instance_that_ended_leaves_nothing_behind(workshop, provided):
    version = provided("serve(lambda event: HOST)")
    workshop.answer(version)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        port = int(workshop.answer(version).rpartition(":")[2])
        workshop.run(workshop.engine.retire(version.id))
        assert _none_is_left(workshop, version)

        async def refused(port=port):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)

        workshop.run(refused())
    workshop.answer(version)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_no_process_of_a_custom_runtime_outlives_the_server(tmp_path, cache_dir, provided):
    """kill -9: the keeper sees its control socket close and ends all sessions that it has started."""
    version = provided("""
import subprocess
child = subprocess.Popen(["sleep", "96.4"])
serve(lambda event: [os.getpid(), child.pid])
""")
    server_program = f"""
import pathlib, sys
from dataclasses import replace
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from tests.support.workshop import Workshop
w = Workshop(pathlib.Path({str(tmp_path)!r}), pathlib.Path({str(cache_dir)!r}))
v = replace(w.function({{}}, runtime="provided.al2023"), code=pathlib.Path({str(version.code)!r}))
print(*w.answer(v), flush=True)
import time; time.sleep(60)
"""
    server = subprocess.Popen([sys.executable, "-c", server_program], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    pids = [int(pid) for pid in server.stdout.readline().split()]
    assert len(pids) == 2
    server.kill()
    server.wait()
    server.stdout.close()
    eventually(lambda: not any(alive(pid) for pid in pids))


def _none_is_left(workshop, version) -> bool:
    pool = workshop.engine._pools.get(version.id)
    workshop.run(until(lambda: pool is None or not pool.all, within_s=5))
    return True
