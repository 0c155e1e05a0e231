"""Extensions beside the built-in runtimes: what holds for a custom runtime holds for these."""

from __future__ import annotations

import asyncio
import json
import shutil

import pytest

from tests.functions.provided.conftest import own_log
from tests.functions.provided.test_extensions import WATCH, heard, retire
from tests.functions.provided.test_telemetry import FOLLOW, HTTP, LISTEN
from tests.support.meeting import MEET, Meeting
from tests.support.waiting import until
from tests.support.workshop import REQUEST_ID, Workshop

PYTHON = {
    "echo": "import os\ndef handler(event, context):\n    print('said', flush=True)\n    return [event, os.getpid()]",
    "slow": "import time\ndef handler(event, context):\n    time.sleep(30)",
    "fails": "def handler(event, context):\n    raise ValueError('no such item')",
    "exits": "import os\ndef handler(event, context):\n    os._exit(4)",
    "broken": "import nowhere",
    "ends well": "import os, signal\n"
    "def end(*_):\n    print('function ends', flush=True)\n    os._exit(0)\n"
    "signal.signal(signal.SIGTERM, end)\ndef handler(event, context): return 1",
    "exits in init": "import os; os._exit(7)",
}
NODE = {
    "echo": "exports.handler = async (event) => { console.log('said'); return [event, process.pid]; };",
    "slow": "exports.handler = async () => { while (true); };",
    "fails": "exports.handler = async () => { throw new TypeError('no such item'); };",
    "exits": "exports.handler = async () => { process.exit(4); };",
    "broken": "require('nowhere');",
    "ends well": "process.on('SIGTERM', () => { console.log('function ends'); process.exit(0); });"
    "exports.handler = async () => 1;",
    "exits in init": "process.exit(7);",
}


@pytest.fixture(params=["python3.11", "nodejs20.x"])
def function(request, workshop, extension):
    runtime = request.param
    if runtime.startswith("nodejs") and shutil.which("node") is None:
        pytest.skip("this machine has no node")
    sources = PYTHON if runtime.startswith("python") else NODE

    def make(name, watch=WATCH, **settings):
        layers = (extension("watch", watch),)
        return workshop.function(sources[name], runtime=runtime, layers=layers, **(own_log() | settings))

    return make


def test_an_extension_hears_of_each_event_and_of_the_end(workshop, function):
    version = function("echo", handler="app.handler")
    first = workshop.invoke(version, 1, function_arn="arn:x")
    assert json.loads(first.payload)[0] == 1 and first.cold and first.init_ms > 0
    assert workshop.answer(version, 2) == [2, json.loads(first.payload)[1]], "the instance is used again"
    retire(workshop, version)
    events = heard(workshop, version)
    assert [event["eventType"] for event in events] == ["INVOKE", "INVOKE", "SHUTDOWN"]
    assert (events[0]["requestId"], events[0]["invokedFunctionArn"]) == (REQUEST_ID, "arn:x")
    assert events[2]["shutdownReason"] == "spindown"


def test_an_event_lasts_until_the_extension_asks_for_the_next(workshop, function):
    busy = '_, me = register("watch", "INVOKE")\nwhile True:\n    next_of(me)\n    import time; time.sleep(0.3)'
    assert workshop.invoke(function("echo", busy)).duration_ms >= 300


def test_an_error_is_the_functions_own_and_costs_no_instance(workshop, function):
    version = function("fails")
    assert workshop.failure(version)["errorMessage"] == "no such item"
    assert not workshop.invoke(version).cold


def test_an_exit_is_told_and_the_extension_hears_of_a_failure(workshop, function):
    version = function("exits")
    told = f"RequestId: {REQUEST_ID} Error: Runtime exited with error: exit status 4"
    assert workshop.failure(version) == {"errorType": "Runtime.ExitError", "errorMessage": told}
    workshop.run(until(lambda: len(heard(workshop, version)) == 2))
    assert heard(workshop, version)[1]["shutdownReason"] == "failure"


def test_a_time_out_is_told_and_the_extension_hears_of_it(workshop, function):
    version = function("slow", timeout_ms=700)
    assert workshop.invoke(version).timed_out
    workshop.run(until(lambda: len(heard(workshop, version)) == 2))
    assert heard(workshop, version)[1]["shutdownReason"] == "timeout"


def test_an_init_that_fails_is_the_functions_own(workshop, function):
    version = function("broken")
    for _ in range(2):
        assert workshop.failure(version)["errorType"] == "Runtime.ImportModuleError"


def test_the_function_is_asked_to_end_before_the_extension_hears_of_it(workshop, function):
    """Also when its version is retired, with all that is kept of that."""
    version = function("ends well")
    workshop.answer(version)
    retire(workshop, version)
    said = [line for _, group, _, line in workshop.lines if group == version.log_group]
    ends = next(number for number, line in enumerate(said) if line.endswith("function ends\n"))
    assert '"SHUTDOWN"' in "".join(said[ends:])


def test_an_exit_in_init_is_told(workshop, function):
    told = f"RequestId: {REQUEST_ID} Error: Runtime exited with error: exit status 7"
    assert workshop.failure(function("exits in init")) == {"errorType": "Runtime.ExitError", "errorMessage": told}


def test_an_extension_that_dies_costs_the_instance(workshop, function):
    version = function("slow", '_, me = register("watch", "INVOKE")\nnext_of(me)\nos._exit(5)')
    told = f"RequestId: {REQUEST_ID} Error: exit status 5"
    assert workshop.failure(version) == {"errorType": "Extension.Crash", "errorMessage": told}


def test_telemetry_has_the_functions_lines(workshop, function, tmp_path):
    out = tmp_path / "got"
    listen = (LISTEN + HTTP + FOLLOW).replace('register("telemetry"', 'register("watch"')
    version = function("echo", listen, environment={"OUT": str(out)})
    workshop.answer(version)
    retire(workshop, version)
    events = [event for line in out.read_bytes().splitlines() for event in json.loads(line)]
    said = [event["record"] for event in events if event["type"] == "function"]
    assert len(said) == 1 and said[0].endswith("said")
    assert {"platform.initStart", "platform.start", "platform.report"} <= {event["type"] for event in events}


def test_each_instance_has_extensions_and_an_address_of_its_own(workshop, extension):
    """Also where instances are forks of one that was initialised before."""
    source = f"""{MEET}
import os
def handler(event, context):
    meet(event)
    return os.environ["AWS_LAMBDA_RUNTIME_API"]
"""
    tell = "print('heard', json.dumps(HOST), flush=True)\n" + WATCH
    version = workshop.function(source, layers=(extension("watch", tell),), **own_log())
    workshop.answer(version)

    async def three():
        outcomes = await asyncio.gather(*(workshop.ask(version, meeting.call) for _ in "abc"))
        return [json.loads(outcome.payload) for outcome in outcomes]

    with Meeting(3) as meeting:
        addresses = workshop.run(three())
    assert len(set(addresses)) == 3
    assert set(addresses) == {said for said in heard(workshop, version) if isinstance(said, str)}


def test_an_uncaught_exception_in_node_is_told_as_without_extensions(workshop, extension):
    if shutil.which("node") is None:
        pytest.skip("this machine has no node")
    source = "exports.handler = (event, context, callback) => { setTimeout(() => { throw new Error('late'); }, 10); };"
    version = workshop.function(source, runtime="nodejs20.x", layers=(extension("watch", WATCH),))
    assert workshop.failure(version)["errorMessage"] == "late"
    assert workshop.failure(version)["errorMessage"] == "late"


def test_a_runtime_that_this_machine_has_not_is_named(tmp_path, cache_dir, extension, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    workshop = Workshop(tmp_path / "workshop", cache_dir)
    version = workshop.function(NODE["echo"], runtime="nodejs20.x", layers=(extension("watch", WATCH),))
    told = "node is not on the PATH: install Node.js to run functions of the nodejs runtimes"
    assert workshop.failure(version) == {"errorType": "Runtime.Unavailable", "errorMessage": told}
    assert f"fogbank: {told}\n" in workshop.text()
    workshop.close()


def test_an_init_that_takes_too_much_memory_is_ended(workshop, extension):
    source = "import time\nhold = b'x' * (600 << 20)\ntime.sleep(9)\ndef handler(event, context): pass"
    version = workshop.function(source, memory_mb=256, layers=(extension("watch", WATCH),))
    told = f"RequestId: {REQUEST_ID} Error: Runtime exited with error: signal: killed"
    assert workshop.failure(version)["errorMessage"] == told
