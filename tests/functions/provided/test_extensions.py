"""External and internal extensions: Developer Guide, "Using the Lambda Extensions API to create extensions"."""

from __future__ import annotations

import asyncio
import json
import re
import time

import pytest

from fogbank.functions.engine import Abandoned
from fogbank.functions.runtimes.provided import leaving
from tests.support.processes import until_dead
from tests.support.waiting import until
from tests.support.workshop import REQUEST_ID

ECHO = "serve(lambda event: event)"
# Registers as `watch`, tells of each event in a line of JSON, and ends when it is told to shut down.
WATCH = """
answer, me = register("watch", "INVOKE", "SHUTDOWN", Lambda_Extension_Accept_Feature="accountId")
print("registered", answer[2].decode(), flush=True)
while True:
    event = next_of(me)
    print("heard", json.dumps(event), flush=True)
    if event["eventType"] == "SHUTDOWN":
        break
"""


def heard(workshop, version):
    """What an extension of this version has heard: those of others may still be taking leave."""
    said = [line for _, group, _, line in workshop.lines if group == version.log_group]
    return [json.loads(line.partition(" ")[2]) for line in said if line.startswith("heard ")]


async def leave(workshop, version):
    """Let its instances go, and wait until all that they have started is gone."""
    pids = [pid for instance in workshop.engine._pools[version.id].all for pid in instance.processes()]
    await workshop.engine.retire(version.id)
    await until_dead(*pids)


def retire(workshop, version):
    workshop.run(leave(workshop, version))


def test_an_extension_that_is_quick_waits_for_a_runtime_whose_connection_broke_before_the_event(
    workshop, provided, extension, tmp_path
):
    """What it asks for next ends no event that the runtime has not even got."""
    ready, asked = tmp_path / "ready", tmp_path / "asked"
    runtime = """
import socket, time
host, port = HOST.split(":")
first = socket.create_connection((host, int(port)))
first.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
while not os.path.exists(os.environ["READY"]):
    time.sleep(0.01)
first.close()
print("closed", flush=True)
while not os.path.exists(os.environ["ASKED"]):
    time.sleep(0.01)
serve(lambda event: event)
"""
    quick = """
_, me = register("quick", "INVOKE")
next_of(me)
import threading, time
threading.Timer(0.3, lambda: open(os.environ["ASKED"], "w").close()).start()
next_of(me)
"""
    version = provided(
        runtime, layers=(extension("quick", quick),), environment={"READY": str(ready), "ASKED": str(asked)}
    )

    async def prepared():
        await workshop.engine.prepare(version, 1)
        ready.touch()
        await until(lambda: any(line == "closed\n" for *_, line in workshop.lines))
        return await workshop.ask(version, 5)

    outcome = workshop.run(prepared())
    assert (outcome.error, json.loads(outcome.payload)) == (None, 5)
    assert "AssertionError" not in workshop.said.getvalue()


def test_an_init_error_of_an_instance_that_takes_leave_already_changes_nothing(
    workshop, provided, extension, monkeypatch
):
    monkeypatch.setattr(leaving, "_EXTERNAL_S", 6.0)  # It never ends by itself; a busy machine takes its time.
    runtime = """
import signal, time
def late(*_):
    print("late", ask("POST", RUNTIME + "init/error", b"{}")[0], flush=True)
signal.signal(signal.SIGTERM, late)
print("up", flush=True)
while True:
    time.sleep(1)
"""
    again = WATCH.replace("        break", "        continue")
    version = provided(runtime, layers=(extension("watch", again),))

    def said(*lines):
        return [line for _, group, _, line in workshop.lines if group == version.log_group and line in lines]

    async def abandoned():
        event = asyncio.ensure_future(workshop.ask(version))
        await until(lambda: said("up\n"))
        await workshop.engine.abandon(version.id)
        with pytest.raises(Abandoned):
            await event
        await until_leaving_is_over(workshop)

    workshop.run(abandoned())
    assert said("late 202\n", "late 403\n") == ["late 202\n"], "it is told to end once"
    assert [event["shutdownReason"] for event in heard(workshop, version)] == ["timeout"]


async def until_leaving_is_over(workshop):
    await workshop.engine._host.close()


def test_an_extension_registers_hears_of_each_event_and_of_the_end(workshop, provided, extension):
    version = provided(ECHO, layers=(extension("watch", WATCH),), handler="main")
    assert workshop.answer(version, 1, function_arn="arn:x", trace_header="Root=1-2") == 1
    assert workshop.answer(version, 2) == 2
    retire(workshop, version)
    first, second, end = heard(workshop, version)
    assert (first["eventType"], first["requestId"], first["invokedFunctionArn"]) == ("INVOKE", REQUEST_ID, "arn:x")
    assert first["tracing"] == {"type": "X-Amzn-Trace-Id", "value": "Root=1-2"}
    assert second["eventType"] == "INVOKE" and second["deadlineMs"] >= first["deadlineMs"]
    assert (end["eventType"], end["shutdownReason"]) == ("SHUTDOWN", "spindown")
    registered = next(line for *_, line in workshop.lines if line.startswith("registered "))
    assert json.loads(registered.partition(" ")[2]) == {
        "functionName": "shop", "functionVersion": "$LATEST", "handler": "main", "accountId": "000000000000",
    }  # fmt: skip


def test_the_runtime_starts_when_all_extensions_have_registered(workshop, provided, extension):
    slow = "import time; time.sleep(0.3)\nprint('extension registers', flush=True)\n" + WATCH
    version = provided("print('runtime starts', flush=True)\n" + ECHO, layers=(extension("watch", slow),))
    workshop.answer(version)
    order = [line for *_, line in workshop.lines if line in ("extension registers\n", "runtime starts\n")]
    assert order == ["extension registers\n", "runtime starts\n"]


def test_init_is_over_when_every_extension_asks_for_an_event(workshop, provided, extension):
    late = '_, me = register("late", "SHUTDOWN")\nimport time; time.sleep(0.4)\nnext_of(me)\n'
    outcome = workshop.invoke(provided(ECHO, layers=(extension("late", late),)))
    assert outcome.error is None and outcome.init_ms >= 400


def test_an_event_lasts_until_every_extension_of_it_asks_for_the_next(workshop, provided, extension):
    busy = '_, me = register("busy", "INVOKE")\nwhile True:\n    next_of(me)\n    import time; time.sleep(0.3)'
    version = provided(ECHO, layers=(extension("busy", busy),))
    assert [workshop.invoke(version, n).duration_ms >= 300 for n in (1, 2)] == [True, True]
    idle = '_, me = register("idle", "SHUTDOWN")\nnext_of(me)'
    assert workshop.invoke(provided(ECHO, layers=(extension("idle", idle),))).duration_ms < 300


def test_of_two_extensions_of_one_name_the_later_layers_runs(workshop, provided, extension):
    layers = tuple(extension("watch", f"print('from {place}', flush=True)\n{WATCH}") for place in ("one", "two"))
    workshop.answer(provided(ECHO, layers=layers))
    assert "from two\n" in workshop.text() and "from one\n" not in workshop.text()


def test_an_extension_sees_the_functions_environment_but_for_what_is_the_runtimes(workshop, provided, extension):
    source = "print('heard', json.dumps(dict(os.environ)), flush=True)\n" + WATCH
    version = provided(ECHO, layers=(extension("watch", source),), environment={"TABLE": "items"})
    workshop.answer(version)
    seen = heard(workshop, version)[0]
    assert seen["TABLE"] == "items" and seen["AWS_REGION"] == "us-east-1" and seen["AWS_LAMBDA_FUNCTION_NAME"] == "shop"
    assert not {"_HANDLER", "LAMBDA_TASK_ROOT", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_EXECUTION_ENV"} & seen.keys()


def test_an_internal_extension_takes_part_in_events_until_registration_closes(workshop, provided):
    version = provided("""
import threading
answer, me = register("inside", "INVOKE")
refused = told(register("inside", "SHUTDOWN")[0])
twice = told(register("inside", "INVOKE")[0])
def follow():
    import http.client
    line = http.client.HTTPConnection(HOST)
    while True:
        line.request("GET", EXTENSION + "event/next", headers={"Lambda-Extension-Identifier": me})
        print("heard", line.getresponse().read().decode(), flush=True)
threading.Thread(target=follow, daemon=True).start()
serve(lambda event: [refused, twice, told(register("late", "INVOKE")[0])])
""")
    refused, twice, late = workshop.answer(version)
    told = "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension"
    assert refused == [403, {"errorType": "Extension.InvalidEventType", "errorMessage": told}]
    told = "Extension with this name already registered"
    assert twice == [403, {"errorType": "Extension.InvalidExtensionState", "errorMessage": told}]
    told = "Extension registration closed already"
    assert late == [403, {"errorType": "Extension.RegistrationClosed", "errorMessage": told}]
    workshop.answer(version)
    assert [event["eventType"] for event in heard(workshop, version)] == ["INVOKE", "INVOKE"]


def test_what_an_extension_may_not_say_is_refused_by_name(workshop, provided, extension):
    source = """
me = {"Lambda_Extension_Name": "odd"}
post = lambda body, **headers: told(ask("POST", EXTENSION + "register", body, **headers))
get = lambda **headers: told(ask("GET", EXTENSION + "event/next", **headers))
seen = [
    post(b'{"events": []}'),
    post(b"broken", **me),
    post(b'{"events": ["START"]}', **me),
    get(), get(Lambda_Extension_Identifier="x"), get(Lambda_Extension_Identifier="a" * 32),
]
_, known = register("odd", "SHUTDOWN")
seen.append(post(b'{"events": []}', **me))
seen.append(told(ask("POST", EXTENSION + "init/error", b"", Lambda_Extension_Identifier=known)))
print("heard", json.dumps(seen), flush=True)
next_of(known)
"""
    version = provided(ECHO, layers=(extension("odd", source),))
    workshop.answer(version)
    seen = heard(workshop, version)[0]
    assert {status for status, _ in seen} == {403}
    assert [said["errorType"] for _, said in seen] == [
        "Extension.InvalidExtensionName", "InvalidRequestFormat", "Extension.InvalidEventType",
        "Extension.MissingExtensionIdentifier", "Extension.InvalidExtensionIdentifier",
        "Extension.UnknownExtensionIdentifier", "Extension.InvalidExtensionState", "Extension.MissingHeader",
    ]  # fmt: skip
    assert seen[6][1]["errorMessage"] == (
        "State transition from Registered to Registered failed for extension odd. "
        "Error: State transition is not allowed"
    )


# -- how it ends --


def test_the_runtime_is_asked_to_end_before_the_extensions_hear_of_it(workshop, provided, extension):
    version = provided(
        "import signal\n"
        "def end(*_):\n    print('runtime ends', flush=True); os._exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n" + ECHO,
        layers=(extension("watch", WATCH),),
    )
    workshop.answer(version)
    retire(workshop, version)
    text = workshop.text()
    assert 0 < text.index("runtime ends\n") < text.index('"eventType": "SHUTDOWN"')


def test_a_time_out_is_the_reason_an_extension_hears(workshop, provided, extension):
    layers = (extension("watch", WATCH),)
    version = provided("import time\nserve(lambda event: time.sleep(30))", layers=layers, timeout_ms=900)
    assert workshop.invoke(version).timed_out
    workshop.run(until(lambda: len(heard(workshop, version)) == 2))
    assert heard(workshop, version)[1]["shutdownReason"] == "timeout"


def test_a_runtime_that_dies_is_the_failure_an_extension_hears_of(workshop, provided, extension):
    version = provided("next_event()\nos._exit(4)", layers=(extension("watch", WATCH),))
    assert workshop.failure(version)["errorType"] == "Runtime.ExitError"
    workshop.run(until(lambda: len(heard(workshop, version)) == 2))
    assert heard(workshop, version)[1]["shutdownReason"] == "failure"


def test_an_extension_that_does_not_end_is_ended_after_two_seconds(workshop, provided, extension):
    source = '_, me = register("stays", "SHUTDOWN")\nnext_of(me)\nprint("stays", os.getpid(), flush=True)\nimport time; time.sleep(60)'  # noqa: E501
    version = provided(ECHO, layers=(extension("stays", source),))
    workshop.answer(version)

    began = time.monotonic()
    retire(workshop, version)
    assert 1.0 < time.monotonic() - began < 30
    assert re.search(r"stays \d+\n", workshop.text())


@pytest.mark.parametrize(
    ("end", "kind", "told"),
    [
        ("os._exit(5)", "Extension.Crash", "exit status 5"),
        ("os._exit(0)", "Extension.Crash", "exit code 0"),
        ("ask('POST', EXTENSION + 'exit/error', b'', Lambda_Extension_Identifier=me, "
         "Lambda_Extension_Function_Error_Type='Mine.Lost'); os._exit(2)", "Extension.ExitError", "exit status 2"),
    ],
)  # fmt: skip
def test_an_extension_that_ends_in_an_event_costs_the_instance(workshop, provided, extension, end, kind, told):
    source = f'_, me = register("frail", "INVOKE")\nnext_of(me)\n{end}'
    version = provided("import time\nserve(lambda event: time.sleep(0.5))", layers=(extension("frail", source),))
    failed = {"errorType": kind, "errorMessage": f"RequestId: {REQUEST_ID} Error: {told}"}
    assert [workshop.failure(version), workshop.failure(version)] == [failed, failed]
    assert f"RequestId: {REQUEST_ID} Error: {told}\n" in workshop.text()


@pytest.mark.parametrize(
    ("source", "kind", "told"),
    [
        ("os._exit(6)", "Extension.Crash", "exit status 6"),
        ("_, me = register('frail')\nask('POST', EXTENSION + 'init/error', b'', Lambda_Extension_Identifier=me, "
         "Lambda_Extension_Function_Error_Type='Mine.Config')\nos._exit(1)", "Extension.InitError", "exit status 1"),
        ("#!/no/such/program", "Extension.LaunchError", "fork/exec /opt/extensions/frail: no such file or directory"),
    ],
)  # fmt: skip
def test_an_extension_that_fails_in_init_fails_the_init(workshop, provided, extension, source, kind, told):
    version = provided(ECHO, layers=(extension("frail", source),))
    failed = {"errorType": kind, "errorMessage": f"RequestId: {REQUEST_ID} Error: {told}"}
    assert workshop.failure(version) == failed
    assert f"Status: error\tError Type: {kind}\n" in workshop.text()


def test_an_extension_that_ends_between_two_events_costs_nobody(workshop, provided, extension):
    source = '_, me = register("short", "INVOKE")\nnext_of(me)\nimport threading\n'
    source += "threading.Timer(0.3, lambda: os._exit(1)).start()\nnext_of(me)"
    version = provided("serve(lambda event: os.getpid())", layers=(extension("short", source),))
    first = workshop.answer(version)
    pool = workshop.engine._pools[version.id]
    workshop.run(until(lambda: not [one for one in pool.all if one.state == "idle"]))
    assert workshop.answer(version) != first


def test_an_extension_that_never_registers_is_an_init_that_takes_too_long(workshop, provided, extension):
    layers = (extension("mute", "import time; time.sleep(60)"),)
    version = provided(ECHO, layers=layers, timeout_ms=500)
    workshop.engine.init_s = 0.4
    try:
        failed = workshop.failure(version)
    finally:
        workshop.engine.init_s = 10.0
    assert failed["errorMessage"].endswith("Task timed out after 0.50 seconds")


def test_more_extensions_than_ten_are_refused(workshop, provided, extension):
    layers = tuple(extension(f"watch{number}", WATCH) for number in range(11))
    assert workshop.failure(provided(ECHO, layers=layers))["errorType"] == "Extension.LaunchError"
