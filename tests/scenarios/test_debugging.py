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

    def __init__(self, fogbank: Fogbank) -> None:
        self._told = fogbank.folder / "debug.txt"
        with self._told.open("wb") as told:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fogbank", "debug", "Add", "--json"], cwd=fogbank.folder, stdout=told
            )
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
def debugging(fogbank: Fogbank, runtime: str, name: str, source: str) -> Iterator[tuple[Debugging, Callable[..., Any]]]:
    (fogbank.folder / "src").mkdir()
    (fogbank.folder / "src" / name).write_text(source)
    (fogbank.folder / "template.yaml").write_text(TEMPLATE.replace("RUNTIME", runtime))
    fogbank.run("up", "--no-watch")
    client = fogbank.client("lambda")
    [function] = [one["FunctionName"] for one in client.list_functions()["Functions"]]

    def add(a: int, b: int) -> Any:
        answer = fogbank.client("lambda").invoke(FunctionName=function, Payload=json.dumps({"a": a, "b": b}))
        return json.loads(answer["Payload"].read())

    session = Debugging(fogbank)
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
