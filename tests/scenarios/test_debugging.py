"""`fogbank debug`: an event waits for a debugger, stops where it says, and nothing times out meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from fogbank.functions.engine import NoRuntimeError
from fogbank.functions.runtimes.python import debugger
from fogbank.kernel.config import Config
from tests.support.debuggers import DebugAdapter, Inspector
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.command import Fogbank

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Add:
    Type: AWS::Serverless::Function
    Properties: {Handler: app.handler, Runtime: RUNTIME, CodeUri: ./src/, Timeout: 1}
"""
PYTHON = """import os


def handler(event, context):
    total = event["a"] + event["b"]
    return [total, os.getpid()]
"""
NODE = """exports.handler = async (event) => {
  const total = event.a + event.b;
  return [total, process.pid];
};
"""
with_node = pytest.mark.skipif(shutil.which("node") is None, reason="this machine has no node")


class Debugging:
    """`fogbank debug Add --json`, running."""

    def __init__(self, fogbank: Fogbank, *asked: str) -> None:
        self._told = fogbank.folder / "debug.txt"
        command = [sys.executable, "-m", "fogbank", "debug", *(asked or ("Add",)), "--json"]
        with self._told.open("wb") as told:
            self.process = subprocess.Popen(command, cwd=fogbank.folder, stdout=told)
        eventually(self.news)

    def news(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._told.read_text().splitlines()]

    @property
    def code(self) -> str:
        return str(self.news()[0]["code"])

    def waits_at(self, number: int = 0) -> str:
        """Where the so-manieth instance waits."""
        return str(
            eventually(lambda: [one["waits_at"] for one in self.news() if "waits_at" in one][number : number + 1])[0]
        )

    def end(self, how: signal.Signals = signal.SIGINT) -> None:
        self.process.send_signal(how)
        self.process.wait(20)


@contextmanager
def debugging(
    fogbank: Fogbank, runtime: str, name: str, source: str, *, template: str = TEMPLATE, asked: tuple[str, ...] = ()
) -> Iterator[tuple[Debugging, Callable[..., Any]]]:
    (fogbank.folder / "src").mkdir()
    (fogbank.folder / "src" / name).write_text(source)
    (fogbank.folder / "template.yaml").write_text(template.replace("RUNTIME", runtime))
    fogbank.run("up", "--no-watch")
    client = fogbank.client("lambda")
    [function] = [one["FunctionName"] for one in client.list_functions()["Functions"]]

    def add(a: int, b: int, **settings: str) -> Any:
        event = json.dumps({"a": a, "b": b})
        answer = fogbank.client("lambda").invoke(FunctionName=function, Payload=event, **settings)
        return json.loads(answer["Payload"].read())

    session = Debugging(fogbank, *asked)
    try:
        yield session, add
    finally:
        session.process.kill()
        session.process.wait()


@pytest.fixture
def debugpy() -> None:
    try:
        debugger.folder(Config().cache_dir)
    except NoRuntimeError as error:
        pytest.skip(str(error))


def test_debugpy_stops_a_python_function_at_a_breakpoint_for_longer_than_its_time_out(
    fogbank: Fogbank, debugpy: None
) -> None:
    with debugging(fogbank, "python3.11", "app.py", PYTHON) as (session, add), ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(add, 1, 2), pool.submit(add, 3, 4)
        client = DebugAdapter(session.waits_at())
        client.attach(stop_at=(f"{session.code}/app.py", 6))
        pids = set()
        for _ in range(2):
            stopped = client.event("stopped")["body"]
            frame = client.ask("stackTrace", threadId=stopped["threadId"])["stackFrames"][0]
            total = client.ask("evaluate", expression="total", frameId=frame["id"])["result"]
            assert total in ("3", "7")
            time.sleep(0.6)  # Together longer than the function may take.
            client.ask("continue", threadId=stopped["threadId"])
        for event, total in ((first, 3), (second, 7)):
            found, pid = event.result(20)
            assert found == total
            pids.add(pid)
        assert len(pids) == 1, "one instance runs the events of a debugged function"
        client.close()


def test_a_breakpoint_in_the_initialisation_is_met(fogbank: Fogbank, debugpy: None) -> None:
    with debugging(fogbank, "python3.11", "app.py", PYTHON) as (session, add), ThreadPoolExecutor(1) as pool:
        event = pool.submit(add, 1, 2)
        client = DebugAdapter(session.waits_at())
        client.attach(stop_at=(f"{session.code}/app.py", 1))
        stopped = client.event("stopped")["body"]
        frame = client.ask("stackTrace", threadId=stopped["threadId"])["stackFrames"][0]
        assert (frame["line"], frame["name"]) == (1, "<module>")
        client.ask("disconnect")  # While it stands there: it goes on.
        assert event.result(20)[0] == 3
        client.close()


@with_node
def test_nodes_inspector_is_waited_for_and_stops_where_it_is_told(fogbank: Fogbank) -> None:
    with debugging(fogbank, "nodejs20.x", "app.js", NODE) as (session, add), ThreadPoolExecutor(1) as pool:
        event = pool.submit(add, 1, 2)
        address = session.waits_at()
        at = address.removeprefix("ws://").partition("/")[0]
        [target] = json.loads(urllib.request.urlopen(f"http://{at}/json/list", timeout=10).read())
        assert target["webSocketDebuggerUrl"] == address and target["type"] == "node"
        client = Inspector(address)
        client.ask("Debugger.enable")
        client.ask("Debugger.setBreakpointByUrl", url=f"file://{session.code}/app.js", lineNumber=2)
        client.ask("Runtime.runIfWaitingForDebugger")
        paused = client.until(lambda message: message.get("method") == "Debugger.paused")
        frame = paused["params"]["callFrames"][0]["callFrameId"]
        found = client.ask("Debugger.evaluateOnCallFrame", callFrameId=frame, expression="total")
        assert found["result"]["result"]["value"] == 3
        time.sleep(1.2)  # Longer than the function may take.
        client.ask("Debugger.resume")
        assert event.result(20)[0] == 3
        client.close()


@with_node
def test_an_api_does_not_give_up_a_function_that_is_debugged(fogbank: Fogbank) -> None:
    source = "exports.handler = async () => ({ statusCode: 200, body: 'there' });\n"
    with debugging(fogbank, "nodejs20.x", "app.js", source) as (session, _), ThreadPoolExecutor(1) as pool:
        event = pool.submit(urllib.request.urlopen, _api_of_one_second(fogbank), timeout=30)
        client = Inspector(session.waits_at())
        time.sleep(1.5)  # Longer than the API may wait.
        client.ask("Runtime.runIfWaitingForDebugger")
        assert event.result(20).read() == b"there"
        client.close()


def _api_of_one_second(fogbank: Fogbank) -> str:
    """The address of an API that gives Add a second and then answers 504."""
    gateway, functions = fogbank.client("apigateway"), fogbank.client("lambda")
    arn = functions.list_functions()["Functions"][0]["FunctionArn"]
    functions.add_permission(
        FunctionName=arn, StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
    api = gateway.create_rest_api(name="api")
    at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    gateway.put_method(**at, authorizationType="NONE")
    gateway.put_integration(
        **at, type="AWS_PROXY", integrationHttpMethod="POST", timeoutInMillis=1000,
        uri=f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations",
    )  # fmt: skip
    gateway.create_deployment(restApiId=api["id"], stageName="test")
    return f"{fogbank.url}/restapis/{api['id']}/test/_user_request_/"


@with_node
def test_saved_code_waits_again_at_the_same_place_and_ctrl_c_ends_it(fogbank: Fogbank) -> None:
    with debugging(fogbank, "nodejs20.x", "app.js", NODE) as (session, add), ThreadPoolExecutor(1) as pool:
        for number, wanted in enumerate((3, 4)):
            event = pool.submit(add, 1, 2)
            client = Inspector(session.waits_at(number))
            client.ask("Runtime.runIfWaitingForDebugger")
            assert event.result(20)[0] == wanted
            client.close()
            (fogbank.folder / "src" / "app.js").write_text(NODE.replace("event.b;", "event.b + 1;"))
            fogbank.run("up", "--no-watch")
        session.end()
        assert session.process.returncode == 0
        assert add(1, 2)[0] == 4, "without a debugger"


@with_node
def test_a_killed_debug_command_holds_nobody_up(fogbank: Fogbank) -> None:
    with debugging(fogbank, "nodejs20.x", "app.js", NODE) as (session, add):
        session.end(signal.SIGKILL)
        eventually(lambda: add(1, 2)[0] == 3)
        assert len(session.news()) == 1, "no instance waited"


@with_node
def test_an_event_whose_debugger_never_came_runs_when_debugging_ends(fogbank: Fogbank) -> None:
    with debugging(fogbank, "nodejs20.x", "app.js", NODE) as (session, add), ThreadPoolExecutor(1) as pool:
        event = pool.submit(add, 1, 2)
        session.waits_at()
        session.end()
        assert event.result(20)[0] == 3
        assert not os.path.exists(session.code)


def test_a_killed_server_leaves_no_process_that_waits_and_debugs_nothing_when_it_is_back(
    fogbank: Fogbank, debugpy: None
) -> None:
    with debugging(fogbank, "python3.11", "app.py", PYTHON) as (session, add), ThreadPoolExecutor(1) as pool:
        event = pool.submit(add, 1, 2)
        port = session.waits_at().rpartition(":")[2]
        os.kill(fogbank.json("status")["pid"], signal.SIGKILL)
        assert event.exception(20) is not None
        assert session.process.wait(20) == 1
        eventually(lambda: _refuses(int(port)))
        fogbank.run("up", "--no-watch")
        assert add(1, 2)[0] == 3


@with_node
def test_nodes_process_ends_with_the_server_though_it_waits_for_a_debugger(fogbank: Fogbank) -> None:
    with debugging(fogbank, "nodejs20.x", "app.js", NODE) as (session, add), ThreadPoolExecutor(1) as pool:
        event = pool.submit(add, 1, 2)
        port = session.waits_at().removeprefix("ws://").partition("/")[0].rpartition(":")[2]
        os.kill(fogbank.json("status")["pid"], signal.SIGKILL)
        assert event.exception(20) is not None
        eventually(lambda: _refuses(int(port)))


def test_a_runtime_without_a_known_debugger_is_refused_with_what_to_do(fogbank: Fogbank) -> None:
    (fogbank.folder / "src").mkdir()
    bootstrap = fogbank.folder / "src" / "bootstrap"
    bootstrap.write_text("#!/bin/sh\n")
    bootstrap.chmod(0o755)
    (fogbank.folder / "template.yaml").write_text(TEMPLATE.replace("RUNTIME", "provided.al2023"))
    fogbank.run("up", "--no-watch")
    told = fogbank.run("debug", "Add", ok=False).stderr
    assert "(provided.al2023) cannot be debugged" in told and "a debugger of its own" in told


def _refuses(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


def test_a_function_is_debugged_by_one_at_a_time_and_the_words_say_where_to_attach(fogbank: Fogbank) -> None:
    with debugging(fogbank, "python3.11", "app.py", PYTHON):
        refused = fogbank.run("debug", "Add", ok=False)
        assert "is being debugged already" in refused.stderr
    told = fogbank.run("debug", "Nobody", ok=False).stderr
    assert "no function is called 'Nobody'" in told
    assert "Traceback" not in told and os.path.isdir(fogbank.folder)


# -- one port, one alias --


WITH_ALIAS = TEMPLATE.replace("Timeout: 1}", "Timeout: 1, AutoPublishAlias: live}")


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@with_node
def test_nodes_processes_wait_at_the_port_that_was_asked_for_one_after_the_other(fogbank: Fogbank, port: int) -> None:
    asked = ("Add", "--port", str(port))
    with debugging(fogbank, "nodejs20.x", "app.js", NODE, asked=asked) as (session, add), ThreadPoolExecutor(2) as pool:
        first = pool.submit(add, 1, 2)
        address = session.waits_at(0)
        assert address.startswith(f"ws://127.0.0.1:{port}/")
        (fogbank.folder / "src" / "app.js").write_text(NODE.replace("event.b;", "event.b + 1;"))
        fogbank.run("up", "--no-watch")
        second = pool.submit(add, 1, 2)
        go_on(address)
        assert first.result(20)[0] == 3, "of the code before"
        assert session.waits_at(1).startswith(f"ws://127.0.0.1:{port}/")
        go_on(session.waits_at(1))
        assert second.result(20)[0] == 4, "of the code that was saved meanwhile"


def go_on(address: str) -> None:
    client = Inspector(address)
    client.ask("Runtime.runIfWaitingForDebugger")
    client.close()


def test_debugpy_waits_at_the_port_that_was_asked_for_and_each_version_in_turn(
    fogbank: Fogbank, debugpy: None, port: int
) -> None:
    asked = ("Add", "--port", str(port))
    with (
        debugging(fogbank, "python3.11", "app.py", PYTHON, template=WITH_ALIAS, asked=asked) as (session, add),
        ThreadPoolExecutor(1) as pool,
    ):
        assert session.news()[0]["port"] == port
        for number, qualifier in enumerate(("live", "$LATEST", "1")):
            event = pool.submit(add, 1, 2, Qualifier=qualifier)
            assert session.waits_at(number) == f"tcp://127.0.0.1:{port}"
            told = [one for one in session.news() if "waits_at" in one][number]
            assert told["version"] == ("$LATEST" if qualifier == "$LATEST" else "1")
            client = DebugAdapter(session.waits_at(number))
            client.attach(stop_at=(f"{told['code']}/app.py", 6))
            stopped = client.event("stopped")["body"]
            client.ask("continue", threadId=stopped["threadId"])
            assert event.result(20)[0] == 3
            client.close()


def test_a_port_that_is_taken_is_refused_at_once(fogbank: Fogbank, debugpy: None, port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        (fogbank.folder / "src").mkdir()
        (fogbank.folder / "src" / "app.py").write_text(PYTHON)
        (fogbank.folder / "template.yaml").write_text(
            TEMPLATE.replace("RUNTIME", "python3.11")
            + "  Other:\n    Type: AWS::Serverless::Function\n"
            + "    Properties: {Handler: app.handler, Runtime: python3.11, CodeUri: ./src/}\n"
        )
        fogbank.run("up", "--no-watch")
        told = fogbank.run("debug", "Add", "--port", str(port), ok=False).stderr
        assert f"on port {port}: address already in use" in told and "Traceback" not in told
    session = Debugging(fogbank, "Add", "--port", str(port))
    try:
        told = fogbank.run("debug", "Other", "--port", str(port), ok=False).stderr
        assert "is to come there" in told, "nobody listens there yet"
    finally:
        session.end()


@with_node
def test_with_an_alias_named_only_its_events_wait(fogbank: Fogbank) -> None:
    with (
        debugging(fogbank, "nodejs20.x", "app.js", NODE, template=WITH_ALIAS, asked=("Add:live",)) as (session, add),
        ThreadPoolExecutor(1) as pool,
    ):
        assert add(1, 2)[0] == 3
        assert add(1, 2, Qualifier="1")[0] == 3, "the version of that alias, and not by it"
        assert len(session.news()) == 1
        event = pool.submit(add, 3, 4, Qualifier="live")
        go_on(session.waits_at())
        assert event.result(20)[0] == 7
        assert session.news()[1]["version"] == "1"


@with_node
def test_with_a_version_named_all_its_events_wait_by_whatever_name(fogbank: Fogbank) -> None:
    with (
        debugging(fogbank, "nodejs20.x", "app.js", NODE, template=WITH_ALIAS, asked=("Add:1",)) as (session, add),
        ThreadPoolExecutor(1) as pool,
    ):
        assert add(1, 2)[0] == 3
        event = pool.submit(add, 3, 4, Qualifier="live")
        go_on(session.waits_at())
        assert event.result(20)[0] == 7
        assert add(1, 2, Qualifier="1")[0] == 3, "the instance has its debugger"
        told = fogbank.run("debug", "Add:nobody", ok=False).stderr
        assert "nobody" in told and "Traceback" not in told


# -- what else there is of a function --


WITH_LAYER = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Shared:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: ./layer/}
  Add:
    Type: AWS::Serverless::Function
    Properties:
      {Handler: app.handler, Runtime: RUNTIME, CodeUri: ./src/, Timeout: 1, Layers: [!Ref Shared], VARIABLES}
"""
EXTENSION = f"""#!{getattr(sys, "_base_executable", "") or sys.executable} -S
import json, os, urllib.request
at = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2020-01-01/extension/"
head = {{"Lambda-Extension-Name": os.path.basename(__file__)}}
asked = urllib.request.Request(at + "register", json.dumps({{"events": ["INVOKE", "SHUTDOWN"]}}).encode(), head)
who = urllib.request.urlopen(asked).headers["Lambda-Extension-Identifier"]
while True:
    asked = urllib.request.Request(at + "event/next", headers={{"Lambda-Extension-Identifier": who}})
    if json.load(urllib.request.urlopen(asked))["eventType"] == "SHUTDOWN":
        break
"""
WRAPPER = '#!/bin/sh\nexport WRAPPED=yes\nexec "$@"\n'
WRAPPED = "Environment: {Variables: {AWS_LAMBDA_EXEC_WRAPPER: /opt/wrapper}}"
PYTHON_LAYER = """import os


def sum_of(event):
    total = event["a"] + event["b"]
    return [total, os.environ.get("WRAPPED", "no"), os.environ.get("_DEBUGGED", "unseen")]
"""
NODE_LAYER = """exports.sumOf = (event) => {
  const total = event.a + event.b;
  return [total, process.env.WRAPPED ?? 'no', process.env._DEBUGGED ?? 'unseen'];
};
"""


def lay_out(fogbank: Fogbank, with_what: str) -> str:
    """A layer with a module of each language, and what else is asked for; the template that names it."""
    files = {"python/shared.py": PYTHON_LAYER, "nodejs/node_modules/shared.js": NODE_LAYER, "wrapper": WRAPPER}
    if with_what == "an extension":
        files["extensions/watch"] = EXTENSION
    for name, text in files.items():
        (fogbank.folder / "layer" / name).parent.mkdir(parents=True, exist_ok=True)
        (fogbank.folder / "layer" / name).write_text(text)
        (fogbank.folder / "layer" / name).chmod(0o755)
    return WITH_LAYER.replace("VARIABLES", WRAPPED if with_what == "a wrapper script" else "Description: none")


what_else = pytest.mark.parametrize("with_what", ["a layer", "an extension", "a wrapper script"])


def opt(fogbank: Fogbank) -> str:
    if fogbank.json("doctor")["sandbox"]["namespaces"] != "yes":
        pytest.skip("layers lie in /opt in cells only")
    return "/opt"


@what_else
def test_debugpy_stops_in_a_module_of_a_layer(fogbank: Fogbank, debugpy: None, with_what: str) -> None:
    source = "import shared\ndef handler(event, context):\n    return shared.sum_of(event)\n"
    template = lay_out(fogbank, with_what)
    with (
        debugging(fogbank, "python3.11", "app.py", source, template=template) as (session, add),
        ThreadPoolExecutor(1) as pool,
    ):
        event = pool.submit(add, 1, 2)
        client = DebugAdapter(session.waits_at())
        client.attach(stop_at=(f"{opt(fogbank)}/python/shared.py", 6))
        stopped = client.event("stopped")["body"]
        frame = client.ask("stackTrace", threadId=stopped["threadId"])["stackFrames"][0]
        assert client.ask("evaluate", expression="total", frameId=frame["id"])["result"] == "3"
        time.sleep(1.2)  # Longer than the function may take.
        client.ask("continue", threadId=stopped["threadId"])
        assert event.result(20) == [3, "yes" if with_what == "a wrapper script" else "no", "unseen"]
        client.close()
        session.end()
        eventually(lambda: add(1, 2) == event.result())  # What begins as debugging ends may end with it.


@with_node
@what_else
def test_nodes_inspector_stops_in_a_module_of_a_layer(fogbank: Fogbank, with_what: str) -> None:
    source = "const { sumOf } = require('shared');\nexports.handler = async (event) => sumOf(event);\n"
    template = lay_out(fogbank, with_what)
    with (
        debugging(fogbank, "nodejs20.x", "app.js", source, template=template) as (session, add),
        ThreadPoolExecutor(1) as pool,
    ):
        event = pool.submit(add, 1, 2)
        client = Inspector(session.waits_at())
        client.ask("Debugger.enable")
        at = f"file://{opt(fogbank)}/nodejs/node_modules/shared.js"
        client.ask("Debugger.setBreakpointByUrl", url=at, lineNumber=2)
        client.ask("Runtime.runIfWaitingForDebugger")
        paused = client.until(lambda message: message.get("method") == "Debugger.paused")
        frame = paused["params"]["callFrames"][0]["callFrameId"]
        found = client.ask("Debugger.evaluateOnCallFrame", callFrameId=frame, expression="total")
        assert found["result"]["result"]["value"] == 3
        time.sleep(1.2)  # Longer than the function may take.
        client.ask("Debugger.resume")
        assert event.result(20) == [3, "yes" if with_what == "a wrapper script" else "no", "unseen"]
        client.close()
        session.end()
        eventually(lambda: add(1, 2) == event.result())  # What begins as debugging ends may end with it.
