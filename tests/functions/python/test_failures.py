"""A Python function that fails tells its caller what AWS would, and harms nobody but its own instance."""

from __future__ import annotations

import re
import time

import pytest

from tests.support.workshop import REQUEST_ID


def test_an_exception_is_told_with_its_stack(workshop):
    source = "def inner():\n    raise ValueError('no such item')\n\ndef handler(e, c):\n    inner()\n"
    version = workshop.function(source)
    failed = workshop.failure(version)
    assert failed["errorType"] == "ValueError" and failed["errorMessage"] == "no such item"
    assert failed["requestId"] == REQUEST_ID
    first, second = failed["stackTrace"]
    assert re.fullmatch(r'  File ".*/app.py", line 5, in handler\n    inner\(\)\n', first)
    assert re.fullmatch(r'  File ".*/app.py", line 2, in inner\n    raise ValueError\(\'no such item\'\)\n', second)
    assert "[ERROR] ValueError: no such item\nTraceback (most recent call last):\n" in workshop.text()
    assert not workshop.invoke(version).cold, "an exception does not cost the instance"


@pytest.mark.parametrize(
    ("source", "handler", "kind", "message"),
    [
        ("import nowhere", "app.handler", "Runtime.ImportModuleError",
         "Unable to import module 'app': No module named 'nowhere'"),
        ("", "missing.handler", "Runtime.ImportModuleError",
         "Unable to import module 'missing': No module named 'missing'"),
        ("", "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ("", "handler", "Runtime.MalformedHandlerName",
         "Bad handler 'handler': not enough values to unpack (expected 2, got 1)"),
        ("def handler(:", "app.handler", "Runtime.UserCodeSyntaxError",
         "Syntax error in module 'app': invalid syntax (app.py, line 1)"),
        ("1 / 0", "app.handler", "ZeroDivisionError", "division by zero"),
    ],
)  # fmt: skip
def test_an_init_that_fails_names_the_reason(workshop, source, handler, kind, message):
    version = workshop.function(source, handler=handler)
    for _ in range(2):  # And again: no instance is left of it.
        failed = workshop.failure(version)
        assert (failed["errorType"], failed["errorMessage"]) == (kind, message)
        assert failed["requestId"] == REQUEST_ID
    assert f"[ERROR] {kind}: {message}" in workshop.text()
    assert "INIT_REPORT Init Duration:" in workshop.text()


def test_an_exit_in_a_handler_costs_the_instance(workshop):
    version = workshop.function("import sys\ndef handler(e, c):\n    if e: sys.exit(e)\n    return 'alive'")
    assert workshop.failure(version, 3) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {REQUEST_ID} Error: Runtime exited with error: exit status 3",
    }
    after = workshop.invoke(version, 0)
    assert after.cold and after.payload == b'"alive"'


def test_an_exit_in_init_is_told(workshop):
    version = workshop.function("import sys\nsys.exit(1)")
    assert workshop.failure(version) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {REQUEST_ID} Error: Runtime exited with error: exit status 1",
    }


def test_a_crash_names_its_signal(workshop):
    version = workshop.function("import os\ndef handler(e, c): os.kill(os.getpid(), 11)")
    message = f"RequestId: {REQUEST_ID} Error: Runtime exited with error: signal: segmentation fault"
    assert workshop.failure(version)["errorMessage"] == message


def test_an_endless_loop_is_ended_at_the_time_limit(workshop):
    version = workshop.function("def handler(e, c):\n    while e: pass\n    return 1", timeout_ms=1000)
    workshop.answer(version, 0)
    began = time.monotonic()
    outcome = workshop.invoke(version, 1)
    assert time.monotonic() - began >= 1.0
    assert outcome.timed_out
    assert workshop.failure(version, 1) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {REQUEST_ID} Error: Task timed out after 1.00 seconds",
    }
    assert re.search(rf"\d{{4}}-\S+Z {REQUEST_ID} Task timed out after 1\.00 seconds\n", workshop.text())
    assert workshop.answer(version, 0) == 1


@pytest.mark.parametrize("where", ["handler", "init"])
def test_a_function_that_takes_too_much_memory_is_killed(workshop, where):
    bomb = "hold = [bytearray(1 << 20) for _ in range(1500)]\n"
    source = f"import time\n{bomb}time.sleep(3)" if where == "init" else f"import time\ndef handler(e, c):\n    {bomb}"
    version = workshop.function(source + ("" if where == "init" else "    time.sleep(3)"), memory_mb=256)
    outcome = workshop.invoke(version)
    assert outcome.error == "Unhandled"
    message = f"RequestId: {REQUEST_ID} Error: Runtime exited with error: signal: killed"
    assert outcome.payload.decode() == f'{{"errorType":"Runtime.ExitError","errorMessage":"{message}"}}'
    assert "Max Memory Used: 256 MB" in workshop.text()


def test_an_init_slower_than_ten_seconds_would_be_tried_again_within_the_functions_own_limit(workshop):
    version = workshop.function("import time; time.sleep(30)\ndef handler(e, c): pass", timeout_ms=500)
    workshop.engine.init_s = 0.4
    try:
        failed = workshop.failure(version)
    finally:
        workshop.engine.init_s = 10.0
    assert failed["errorMessage"] == f"RequestId: {REQUEST_ID} Error: Task timed out after 0.50 seconds"
    assert re.search(r"INIT_REPORT Init Duration: \d+\.\d\d ms\tPhase: init\tStatus: timeout\n", workshop.text())


def test_noise_on_standard_output_harms_nothing(workshop):
    noise = "os.write(1, bytes(range(256)) * 3000); os.write(2, b'\\n')"
    source = f"import os\ndef handler(e, c):\n    {noise}\n    return 1"
    assert workshop.answer(workshop.function(source)) == 1


def test_a_process_that_the_handler_started_ends_with_the_instance(workshop):
    source = "import subprocess, time\ndef handler(e, c):\n    subprocess.Popen(['sleep', '98.7'])\n    time.sleep(9)"
    version = workshop.function(source, timeout_ms=800)
    assert workshop.invoke(version).timed_out
    deadline = time.monotonic() + 20
    while _sleepers() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _sleepers()


def _sleepers() -> list[str]:
    from pathlib import Path

    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"98.7" in path.read_bytes().split(b"\0"):
                found.append(str(path))
        except OSError:
            continue
    return found


def test_what_a_function_starts_gets_nothing_of_its_instances_own(workshop):
    source = "import os\ndef handler(e, c):\n    os.system('echo $(ls /proc/self/fd)')"
    version = workshop.function(source)
    for _ in range(2):  # From the zygote, and from the template.
        workshop.lines.clear()
        workshop.invoke(version)
        [listed] = [line for *_, line in workshop.lines if line[0].isdigit()]
        assert {int(name) for name in listed.split()} <= {0, 1, 2, 3}, "3: the listing's own"
