"""AWS_LAMBDA_EXEC_WRAPPER: a script is handed the command line of the runtime, and what it starts is the function.

Lambda Developer Guide, "Modifying the runtime environment", "Wrapper scripts".
"""

from __future__ import annotations

import json
import shutil
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from fogbank.functions.sandbox.protections import find
from tests.functions.provided.conftest import program
from tests.support.processes import until_dead
from tests.support.waiting import until
from tests.support.workshop import REQUEST_ID, Workshop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fogbank.functions.model import Version

    Make = Callable[..., Version]

PYTHON = """import logging, os, sys
def handler(event, context):
    logging.getLogger().warning("warned")
    if event == "bad":
        raise ValueError("no such item")
    if event == "exit":
        sys.exit(4)
    return [event, os.getpid(), context.aws_request_id, context.invoked_function_arn, os.environ.get("COLOUR"),
            context.get_remaining_time_in_millis() > 0, context.function_name]
def other(event, context):
    return "the other"
"""
NODE = """exports.handler = async (event, context) => {
  console.warn('warned');
  if (event === 'bad') throw new RangeError('no such item');
  if (event === 'exit') process.exit(4);
  return [event, process.pid, context.awsRequestId, context.invokedFunctionArn, process.env.COLOUR,
    context.getRemainingTimeInMillis() > 0, context.functionName];
};
exports.other = async () => 'the other';
"""
SOURCES = {"python3.11": ("app.py", PYTHON), "nodejs20.x": ("app.js", NODE), "nodejs24.x": ("app.js", NODE)}
RUN = '#!/bin/sh\nexec "$@"\n'
WHERE = f"RequestId: {REQUEST_ID} Error: "


@pytest.fixture(scope="module", params=["off", "require"], ids=["without cells", "in cells"])
def place(request: Any, tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Workshop]:
    if request.param == "require":
        given = find(tmp_path_factory.mktemp("probe"))
        if given.groups is not None:
            given.groups.close()
        if not given.cells:
            pytest.skip(f"this machine gives no namespaces: {given.missing['namespaces']}")
    workshop = Workshop(tmp_path_factory.mktemp("wrapped"), cache_dir, sandbox=request.param)
    yield workshop
    workshop.close()


@pytest.fixture(params=SOURCES)
def wrapped(place: Workshop, request: Any) -> Make:
    """Of each runtime a function whose code holds the wrapper script."""
    runtime = request.param
    if runtime.startswith("nodejs") and shutil.which("node") is None:
        pytest.skip("this machine has no node")
    place.lines.clear()
    name, known = SOURCES[runtime]

    def make(script: str = RUN, source: str = known, **settings: Any) -> Version:
        return _with(place, {name: source, "wrapper": script}, runtime=runtime, **settings)

    return make


def _with(place: Workshop, files: dict[str, str], *, at: str = "/var/task/wrapper", **settings: Any) -> Version:
    environment = {"AWS_LAMBDA_EXEC_WRAPPER": at} | settings.pop("environment", {})
    version = place.function(files, environment=environment, log_group=f"/aws/lambda/{uuid.uuid4()}", **settings)
    for name in files:
        (version.code / name).chmod(0o755)
    return version


@pytest.fixture
def layer(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    def make(files: dict[str, str]) -> Path:
        for name, text in files.items():
            (tmp_path / "layer" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "layer" / name).write_text(text)
            (tmp_path / "layer" / name).chmod(0o755)
        return tmp_path / "layer"

    return make


# -- what it may do --


def test_events_are_answered_and_the_instance_is_used_again(place: Workshop, wrapped: Make) -> None:
    version = wrapped()
    first = place.invoke(version, {"ž": 1}, function_arn="arn:x")
    event, pid, *facts = json.loads(first.payload)
    assert first.cold and first.init_ms > 0 and event == {"ž": 1}
    assert facts == [REQUEST_ID, "arn:x", None, True, "shop"]
    again = place.invoke(version, 2, function_arn="arn:x")
    assert json.loads(again.payload) == [2, pid, *facts] and not again.cold
    assert again.max_memory_mb > 0


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ('#!/bin/sh\nexport COLOUR=red\nexec "$@"\n', "exec"),
        ('#!/bin/bash\nargs=("$@")\nexport COLOUR=red\nexec "${args[@]}"\n', "an array"),
        ('#!/bin/sh\nCOLOUR=red "$@"\nexit $?\n', "a child"),
        ('COLOUR=red\nexport COLOUR\nexec "$@"\n', "no interpreter is named"),
        ('#!/bin/sh\nexport COLOUR=red\nby=$(basename "$1")\nshift\nexec "$by" "$@"\n', "the name alone"),
        (
            "#!/usr/bin/env python3\nimport os, sys\nos.environ['COLOUR'] = 'red'\nos.system(' '.join(sys.argv[1:]))\n",
            "a line",
        ),
    ],
    ids=lambda value: value if "\n" not in value else "",
)
def test_variables_that_it_sets_are_the_functions(place: Workshop, wrapped: Make, script: str, why: str) -> None:
    assert place.answer(wrapped(script), 1)[4] == "red"


def test_another_handler_that_it_names_runs_instead(place: Workshop, wrapped: Make) -> None:
    assert place.answer(wrapped('#!/bin/sh\nexport _HANDLER=app.other\nexec "$@"\n')) == "the other"


def test_options_go_before_the_last_argument(place: Workshop, wrapped: Make) -> None:
    """The guide's own example, whose options are `-X importtime`."""
    option = {"python": '"-X" "importtime"', "nodejs": '"--title=wrapped"'}
    source = {"python": None, "nodejs": "exports.handler = async () => { console.log(`|  ${process.title}`); };"}
    family = "python" if wrapped().runtime.startswith("python") else "nodejs"
    script = f"""#!/bin/bash
# the path to the interpreter and all of the originally intended arguments
args=("$@")
args=("${{args[@]:0:$#-1}}" {option[family]} "${{args[@]: -1}}")
exec "${{args[@]}}"
"""
    version = wrapped(script, **({"source": source[family]} if source[family] else {}))
    assert place.invoke(version).error is None
    assert ("|  wrapped" if family == "nodejs" else "| imported package") in place.text()


def test_what_it_writes_is_in_the_log(place: Workshop, wrapped: Make) -> None:
    place.answer(wrapped('#!/bin/sh\necho "the first is $1"\necho complaint >&2\nexec "$@"\n'))
    first = next(line for *_, line in place.lines if line.startswith("the first is"))
    assert first.split("/")[-1].startswith(("python", "node"))
    assert "complaint\n" in place.text()


def test_one_from_a_layer_is_found(place: Workshop, wrapped: Make, layer: Any) -> None:
    brought = layer({"instrument": '#!/bin/sh\nexport COLOUR=green\nexec "$@"\n'})
    environment = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/instrument"}
    assert place.answer(wrapped(environment=environment, layers=(brought,)))[4] == "green"


def test_the_users_variables_and_the_clouds_reach_it(place: Workshop, wrapped: Make) -> None:
    script = '#!/bin/sh\necho "$AWS_EXECUTION_ENV|$AWS_LAMBDA_FUNCTION_NAME|$_HANDLER|$MINE|$TZ"\nexec "$@"\n'
    version = wrapped(script, environment={"MINE": "own"})
    place.answer(version)
    assert f"AWS_Lambda_{version.runtime}|shop|app.handler|own|:UTC\n" in place.text()


# -- what its function does is as without it --


def test_errors_are_told_as_without_it(place: Workshop, wrapped: Make) -> None:
    version = wrapped()
    files = {path.name: path.read_text() for path in version.code.iterdir() if path.name.startswith("app.")}
    told = [place.failure(one, "bad") for one in (version, place.function(files, runtime=version.runtime))]
    traces = [one.pop("stackTrace" if "stackTrace" in one else "trace") for one in told]
    assert told[0] == told[1]
    where = [trace[-1 if "app.py" in files else 1].partition("app.")[2] for trace in traces]
    assert where[0] == where[1] != ""
    assert place.answer(version, 1)[0] == 1, "it goes on"


def test_a_broken_module_is_told_as_without_it(place: Workshop, wrapped: Make) -> None:
    broken = "import nowhere" if wrapped().runtime.startswith("python") else "require('nowhere');"
    failed = place.failure(wrapped(source=broken))
    assert failed["errorType"] == "Runtime.ImportModuleError" and "nowhere" in failed["errorMessage"]
    assert not [line for line in failed.get("stackTrace", ()) if "bootstrap" in line]


def test_an_exit_ends_the_event_with_its_status(place: Workshop, wrapped: Make) -> None:
    version = wrapped()
    told = f"{WHERE}Runtime exited with error: exit status 4"
    assert place.failure(version, "exit") == {"errorType": "Runtime.ExitError", "errorMessage": told}
    assert place.answer(version, 1)[0] == 1, "another instance"


def test_lines_of_the_log_have_lambdas_form(place: Workshop, wrapped: Make) -> None:
    place.answer(wrapped(), 1)
    [line] = [line for *_, line in place.lines if "warned" in line]
    said = line.rstrip("\n").split("\t")
    assert (said[-1], REQUEST_ID in said) == ("warned", True)
    place.lines.clear()
    place.answer(wrapped(log_format="JSON", dialect="aws-json"), 1)
    [line] = [line for *_, line in place.lines if "warned" in line]
    found = json.loads(line)
    assert found["message"] == "warned" and found["requestId"] == REQUEST_ID and found["level"].startswith("WARN")


def test_time_is_limited_and_all_that_it_started_ends(place: Workshop, wrapped: Make) -> None:
    slow = {
        "python": "import os, time\ndef handler(event, context):\n    print('pid', os.getpid(), flush=True)\n"
        "    time.sleep(60)",
        "nodejs": "exports.handler = async () => { process.stdout.write(`pid ${process.pid}\\n`); while (true); };",
    }
    family = "python" if wrapped().runtime.startswith("python") else "nodejs"
    version = wrapped('#!/bin/sh\n"$@"\n', slow[family], timeout_ms=1000)
    assert place.failure(version)["errorType"] == "Sandbox.Timedout"
    [said] = [line for *_, line in place.lines if line.startswith("pid ")]
    if place.engine.protections()["namespaces"] != "yes":  # In a cell it has an id of that alone.
        place.run(until_dead(int(said.split()[1])))
    assert not [one for one in place.engine.status() if one["function"] == version.name and one["state"] == "busy"]


# -- what goes wrong with it --


@pytest.mark.parametrize(
    ("script", "mode", "status", "said"),
    [
        (None, 0, 127, "/wrapper: does not exist\n"),
        (RUN, 0o644, 126, "/wrapper: is not an executable\n"),
        ("#!/bin/sh\necho broken; exit 3\n", 0o755, 3, "broken\n"),
        ("#!/no/such/shell\n", 0o755, 126, ""),
        ("#!/bin/sh\nkill -KILL $$\n", 0o755, -9, ""),
        ("#!/bin/sh\ntrue\n", 0o755, 0, ""),
    ],
    ids=["missing", "not executable", "exits", "no interpreter", "killed", "starts nothing"],
)
def test_one_that_does_not_start_the_runtime_fails_the_event(
    place: Workshop, wrapped: Make, script: str | None, mode: int, status: int, said: str
) -> None:
    version = wrapped(script or "")
    if script is None:
        (version.code / "wrapper").unlink()
    else:
        (version.code / "wrapper").chmod(mode)
    how = {0: "without providing a reason", -9: "with error: signal: killed"}
    failed = place.failure(version)
    if script and "no/such" in script:  # Which of two a shell exits with differs from shell to shell.
        assert failed["errorMessage"] in [f"{WHERE}Runtime exited with error: exit status {one}" for one in (126, 127)]
    else:
        told = how.get(status, f"with error: exit status {status}")
        assert failed == {"errorType": "Runtime.ExitError", "errorMessage": f"{WHERE}Runtime exited {told}"}
    assert said in place.text()
    assert "Error Type: Runtime.ExitError" in place.text()


def test_one_that_is_mended_works_with_the_next_event(place: Workshop, wrapped: Make) -> None:
    version = wrapped("#!/bin/sh\nexit 3\n")
    assert place.failure(version)["errorType"] == "Runtime.ExitError"
    (version.code / "wrapper").write_text(RUN)
    assert place.answer(version, 1)[0] == 1


# -- what popular layers do --


def test_a_module_that_a_layer_has_python_load_first_finds_the_functions_module(place: Workshop, layer: Any) -> None:
    """As `opentelemetry-instrument` does: a folder with a `sitecustomize` before all others in PYTHONPATH."""
    place.lines.clear()
    script = """#!/bin/bash
export ORIG_HANDLER="$_HANDLER" _HANDLER="tracing.handler"
export PYTHONPATH="/opt/auto:/opt/python:$LAMBDA_RUNTIME_DIR:$PYTHONPATH"
exec "$@"
"""
    if place.engine.protections().get("namespaces") != "yes":
        script = script.replace("/opt/", "$(dirname $0)/")
    brought = layer(
        {
            "otel-instrument": script,
            "auto/sitecustomize.py": "import logging, tracing\ntracing.LOADED = 'first'\n"
            "logging.getLogger().addHandler(logging.NullHandler())",
            "python/tracing.py": "import importlib, logging, os\nLOADED = ''\ndef handler(event, context):\n"
            "    module, _, name = os.environ['ORIG_HANDLER'].rpartition('.')\n"
            "    kept = [type(one).__name__ for one in logging.getLogger().handlers]\n"
            "    import boto3\n"
            "    answer = getattr(importlib.import_module(module), name)(event, context)\n"
            "    return [LOADED, answer[0], kept[0], len(kept)]",
        }
    )
    version = _with(place, {"app.py": PYTHON}, at="/opt/otel-instrument", layers=(brought,))
    assert place.answer(version, 5) == ["first", 5, "NullHandler", 2]


def test_a_file_that_a_layer_has_node_load_first_changes_the_functions_modules(place: Workshop, layer: Any) -> None:
    if shutil.which("node") is None:
        pytest.skip("this machine has no node")
    script = """#!/bin/bash
set -ef -o pipefail
export NODE_OPTIONS="${NODE_OPTIONS} --import $(dirname $0)/init.mjs"
exec "$@"
"""
    brought = layer(
        {
            "otel-handler": script,
            "init.mjs": "import http from 'node:http';\n"
            "http.request = http.get = () => { throw new Error('traced'); };\n"
            "globalThis.traced = 'loaded';",
        }
    )
    files = {"app.js": "exports.handler = async () => globalThis.traced;"}
    version = _with(place, files, at="/opt/otel-handler", runtime="nodejs20.x", layers=(brought,))
    assert place.answer(version) == "loaded", "and the runtime's own requests are none of the function's"


PROXY = """
import http.server, urllib.request
class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url, headers = f"http://{HOST}{self.path}", dict(self.headers)
        asked = urllib.request.Request(url, body or None, headers, method=self.command)
        with urllib.request.urlopen(asked) as answer:
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                    self.send_header(name, value)
        if self.path.endswith("/next"):
            content = json.dumps([json.loads(content), "seen"]).encode()
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\\r\\n%b\\r\\n0\\r\\n\\r\\n" % (len(content), content))
    do_GET = do_POST = pass_on
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Proxy)
import threading
threading.Thread(target=server.serve_forever, daemon=True).start()
"""
REGISTER = """
status, headers, _ = ask("POST", EXTENSION + "register", b'{"events": []}', Lambda_Extension_Name="side")
who = headers["Lambda-Extension-Identifier"]
"""
STAY = """
ask("GET", EXTENSION + "event/next", Lambda_Extension_Identifier=who)
"""


def test_a_proxy_that_it_puts_before_the_runtime_api_sees_each_event(
    place: Workshop, wrapped: Make, layer: Any, unused_port: int
) -> None:
    """As Datadog's wrapper does, whose extension listens there."""
    script = f'#!/bin/sh\nexport AWS_LAMBDA_RUNTIME_API=127.0.0.1:{unused_port}\nexec "$@"\n'
    proxy = program(f"PORT = {unused_port}\n{PROXY}{REGISTER}{STAY}")
    version = wrapped(script, layers=(layer({"extensions/side": proxy}),))
    assert place.answer(version, 1)[0] == [1, "seen"]
    assert place.answer(version, 2)[0] == [2, "seen"]


def test_another_program_may_run_instead_while_an_extension_asks_for_the_events(
    place: Workshop, wrapped: Make, layer: Any
) -> None:
    """As the Lambda Web Adapter does: the script starts what `_HANDLER` names, a server, which its extension asks."""
    adapter = """
import threading
def stay():
    http.client.HTTPConnection(HOST).request("GET", EXTENSION + "event/next",
                                             headers={"Lambda-Extension-Identifier": who})
    threading.Event().wait()
threading.Thread(target=stay, daemon=True).start()
while True:
    request_id, _, event = next_event()
    respond(request_id, ["adapted", event])
"""
    brought = layer(
        {"bootstrap": '#!/bin/bash\nexec -- "${LAMBDA_TASK_ROOT}/${_HANDLER}"\n',
         "extensions/side": program(REGISTER + adapter)}
    )  # fmt: skip
    environment = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap"}
    version = wrapped("#!/bin/sh\necho serving\nexec sleep 1000\n", environment=environment, handler="wrapper",
                      layers=(brought,))  # fmt: skip
    assert place.answer(version, 1) == ["adapted", 1]
    assert place.answer(version, 2) == ["adapted", 2]
    place.run(until(lambda: "serving\n" in place.text()))


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# -- where it does not hold, and what it costs --


def test_custom_runtimes_do_without(place: Workshop) -> None:
    """ "Wrapper scripts are not supported on OS-only runtimes (the `provided` runtime family)." """
    source = "while True:\n    request_id, _, event = next_event()\n    respond(request_id, ['plain', event])"
    files = {"bootstrap": program(source), "wrapper": "#!/bin/sh\nexit 3\n"}
    assert place.answer(_with(place, files, runtime="provided.al2023"), 1) == ["plain", 1]


def test_an_empty_value_is_none(place: Workshop, wrapped: Make) -> None:
    assert place.answer(wrapped("#!/bin/sh\nexit 3\n", environment={"AWS_LAMBDA_EXEC_WRAPPER": ""}), 1)[0] == 1


def test_a_wrapped_python_function_is_no_fork_and_the_log_says_so_once(place: Workshop) -> None:
    place.lines.clear()
    source = "import os\nprint('initialised')\ndef handler(event, context):\n    return [os.getppid(), os.getpid()]"
    version = _with(place, {"app.py": source, "wrapper": RUN})
    for _ in range(2):
        place.answer(version)
        place.run(place.engine.retire(version.id))
    assert place.text().count("initialised\n") == 2
    assert place.text().count("fogbank: no snapshot of this function is kept: AWS_LAMBDA_EXEC_WRAPPER") == 1


def test_a_wrapped_function_is_held_as_any_other(place: Workshop, wrapped: Make) -> None:
    if place.engine.protections().get("namespaces") != "yes":
        pytest.skip("only in cells")
    python = (
        "import os\ndef handler(event, context):\n    return [os.getuid(), os.access('/var/task', os.W_OK), "
        "sorted(os.listdir('/tmp')), sum(name.isdigit() for name in os.listdir('/proc'))]"
    )
    node = (
        "const fs = require('fs');\nexports.handler = async () => { let written = true; "
        "try { fs.accessSync('/var/task', fs.constants.W_OK); } catch { written = false; } "
        "return [process.getuid(), written, fs.readdirSync('/tmp'), "
        "fs.readdirSync('/proc').filter((name) => /^\\\\d+$/.test(name)).length]; };"
    ).replace("\\\\", "\\")
    source = python if wrapped().runtime.startswith("python") else node
    uid, writes, files, processes = place.answer(wrapped(source=source))
    assert (uid, writes, files) == (993, False, []) and processes <= 3


def test_a_streamed_reply_keeps_its_content_type_and_how_it_broke_off(place: Workshop) -> None:
    if shutil.which("node") is None:
        pytest.skip("this machine has no node")
    source = """exports.handler = awslambda.streamifyResponse(async (event, out) => {
  const body = awslambda.HttpResponseStream.from(out, { statusCode: 201 });
  body.write('one;');
  await new Promise((resolve) => setTimeout(resolve, 10));
  if (event === 'bad') throw new RangeError('halfway');
  body.write('two;');
  body.end();
});
"""
    version = _with(place, {"app.js": source, "wrapper": RUN}, runtime="nodejs20.x")
    outcome = place.invoke(version)
    assert outcome.content_type == "application/vnd.awslambda.http-integration-response"
    assert outcome.payload == b'{"statusCode":201}' + bytes(8) + b"one;two;"
    failed = place.failure(version, "bad")
    assert (failed["errorType"], failed["errorMessage"]) == ("RangeError", "halfway")
    assert place.invoke(version).error is None
