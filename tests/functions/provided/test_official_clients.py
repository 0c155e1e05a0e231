"""The clients that AWS itself publishes run as they are, and so does a program that has only the C library: held as
strongly as this machine can, so at ports that answer nobody else."""

from __future__ import annotations

import fcntl
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.workshop import REQUEST_ID, Workshop

if TYPE_CHECKING:
    from collections.abc import Iterator

_NODE_CLIENT = "aws-lambda-ric@4.0.2"
_NODE_CLIENT_FILES = ("index.mjs", "rapid-client.node", "package.json")
_OLDER_NODE_CLIENT = "aws-lambda-ric@3.3.0"  # Up to Node.js 22. Its native part has the same source.
_CACHE = Path("~/.cache/fogbank-tests").expanduser()
_BUILD_S = 900


@pytest.fixture(scope="module")
def running(tmp_path_factory, cache_dir) -> Iterator[Workshop]:
    workshop = Workshop(tmp_path_factory.mktemp("workshop"), cache_dir, sandbox="auto")
    yield workshop
    workshop.close()


# -- Python: awslambdaric --


@pytest.fixture
def python_client(provided):
    if importlib.util.find_spec("awslambdaric") is None:
        pytest.skip("awslambdaric is not installed: it is a development dependency")
    python = getattr(sys, "_base_executable", "") or sys.executable

    def function(source, handler="app.handler", **settings):
        bootstrap = f'#!/bin/sh\nexec {python} -S -m awslambdaric "$_HANDLER"\n'
        version = provided({"bootstrap": bootstrap, "app.py": source}, handler=handler, **settings)
        for name in ("awslambdaric", "simplejson", "snapshot_restore_py"):
            _copy(name, version.code)
        return version

    return function


def _copy(distribution: str, folder: Path) -> None:
    for file in importlib.metadata.distribution(distribution).files or ():
        if ".." not in file.parts and file.suffix != ".pyc":
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), target)


def test_the_python_client_answers_logs_and_fails_as_in_the_cloud(workshop, python_client):
    version = python_client("""
import os
def handler(event, context):
    print("from the handler")
    if event == "bad":
        raise KeyError("no such item")
    return [event, context.aws_request_id, context.invoked_function_arn, context.function_name,
            0 < context.get_remaining_time_in_millis() <= 10_000, os.environ["_X_AMZN_TRACE_ID"],
            context.client_context.custom if context.client_context else None,
            context.identity.cognito_identity_id]
""")
    facts = {
        "function_arn": "arn:x", "trace_header": "Root=1-2", "client_context": '{"custom": {"a": 1}}',
        "cognito_identity": '{"cognitoIdentityId": "id", "cognitoIdentityPoolId": "pool"}',
    }  # fmt: skip
    expected = [{"ž": 1}, REQUEST_ID, "arn:x", "shop", True, "Root=1-2", {"a": 1}, "id"]
    assert workshop.answer(version, {"ž": 1}, **facts) == expected
    failed = workshop.failure(version, "bad")
    assert (failed["errorType"], failed["errorMessage"]) == ("KeyError", "'no such item'")
    assert failed["requestId"] == REQUEST_ID and failed["stackTrace"]
    assert "from the handler\n" in workshop.text() and "[ERROR] KeyError: 'no such item'" in workshop.text()
    assert not workshop.invoke(version, 1, **facts).cold


def test_an_init_that_fails_in_the_python_client_is_told_by_it(workshop, python_client):
    failed = workshop.failure(python_client("import nowhere"))
    assert failed["errorType"] == "Runtime.ImportModuleError"
    assert failed["errorMessage"] == "Unable to import module 'app': No module named 'nowhere'"


# -- Node: aws-lambda-ric --


@pytest.fixture(scope="session")
def built_node_client() -> Path:
    """Built once for this machine and kept: its native part takes minutes."""
    missing = [tool for tool in ("node", "npm", "gcc", "g++", "make", "cmake", "xz") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"this machine has no {', '.join(missing)} to build aws-lambda-ric with")
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = _CACHE / _NODE_CLIENT / "node_modules" / "aws-lambda-ric"
        if not (built / "rapid-client.node").is_file():
            _build(built)
    return built


def _build(built: Path) -> None:
    home = built.parents[1]
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / "package.json").write_text('{"name": "client", "private": true}')
    steps = [
        (home, ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", _NODE_CLIENT]),
        (built, ["sh", "scripts/preinstall.sh"]),
        (built, ["sh", "scripts/postinstall.sh"]),
    ]
    for folder, command in steps:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_BUILD_S, check=False)
        if done.returncode:
            pytest.skip(f"aws-lambda-ric cannot be built here: {' '.join(command)}: {done.stderr.strip()[-400:]}")


@pytest.fixture
def node_client(provided, built_node_client):
    def function(source, handler="app.handler", **settings):
        bootstrap = f'#!/bin/sh\nexec {shutil.which("node")} node_modules/aws-lambda-ric/index.mjs "$_HANDLER"\n'
        files = {"bootstrap": bootstrap, "app.js": source}
        version = provided(files, handler=handler, memory_mb=512, **settings)
        place = version.code / "node_modules" / "aws-lambda-ric"
        place.mkdir(parents=True)
        for name in _NODE_CLIENT_FILES:
            shutil.copyfile(built_node_client / name, place / name)
        return version

    return function


@pytest.fixture(scope="session")
def built_older_client(built_node_client: Path) -> Path:
    home = _CACHE / _OLDER_NODE_CLIENT
    built = home / "node_modules" / "aws-lambda-ric"
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (built / "dist" / "rapid-client.node").is_file():
            home.mkdir(parents=True, exist_ok=True)
            (home / "package.json").write_text('{"name": "client", "private": true}')
            command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", _OLDER_NODE_CLIENT]
            done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=_BUILD_S, check=False)
            if done.returncode:
                pytest.skip(f"aws-lambda-ric cannot be fetched here: {done.stderr.strip()[-400:]}")
            shutil.copyfile(built_node_client / "rapid-client.node", built / "dist" / "rapid-client.node")
    return built


@pytest.fixture
def older_client(provided, built_older_client):
    def function(source, **settings):
        run = "import { run } from './client/index.mjs'; await run(process.cwd(), process.env._HANDLER);"
        bootstrap = f"#!/bin/sh\nexec {shutil.which('node')} start.mjs\n"
        files = {"bootstrap": bootstrap, "start.mjs": run, "app.js": source}
        version = provided(files, handler="app.handler", memory_mb=512, **settings)
        shutil.copytree(built_older_client / "dist", version.code / "client")
        return version

    return function


@pytest.mark.slow
@pytest.mark.timeout(2 * _BUILD_S)
def test_the_node_client_answers_logs_and_fails_as_in_the_cloud(workshop, node_client):
    version = node_client("""
exports.handler = async (event, context) => {
  console.log('from the handler');
  if (event === 'bad') throw new TypeError('no such item');
  return [event, context.awsRequestId, context.invokedFunctionArn, context.functionName];
};
""")
    assert workshop.answer(version, {"ž": 1}, function_arn="arn:x") == [{"ž": 1}, REQUEST_ID, "arn:x", "shop"]
    failed = workshop.failure(version, "bad")
    assert (failed["errorType"], failed["errorMessage"]) == ("TypeError", "no such item")
    assert f"{REQUEST_ID}\tINFO\tfrom the handler\n" in workshop.text()
    assert not workshop.invoke(version, 1).cold


@pytest.mark.slow
@pytest.mark.timeout(2 * _BUILD_S)
def test_the_node_client_streams_and_breaks_off(workshop, node_client):
    version = node_client("""
exports.handler = awslambda.streamifyResponse(async (event, out) => {
  for (let number = 0; number < 3; number++) {
    out.write(`piece ${number};`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (event === 'bad') throw new RangeError('halfway');
  out.end();
});
""")
    assert workshop.invoke(version).payload == b"piece 0;piece 1;piece 2;"
    failed = workshop.failure(version, "bad")
    assert (failed["errorType"], failed["errorMessage"]) == ("RangeError", "halfway")


@pytest.mark.slow
@pytest.mark.timeout(2 * _BUILD_S)
def test_an_init_that_fails_in_the_node_client_is_told_by_it(workshop, node_client):
    failed = workshop.failure(node_client("require('nowhere');"))
    assert failed["errorType"] == "Runtime.ImportModuleError"
    assert failed["errorMessage"].startswith("Error: Cannot find module 'nowhere'")


_EARLY_REJECTION = "Promise.reject(new Error('early')); exports.handler = async () => 1;"
# What ours must answer, and log, as the official one does.
_ALIKE = {
    "undefined": "exports.handler = async () => {};",
    "a plain value": "exports.handler = () => 4;",
    "an error with its cause": "exports.handler = async () => { throw new Error('a', { cause: new Error('b') }); };",
    "several errors in one": "exports.handler = async () => { throw new AggregateError([new Error('a')], 'all'); };",
    "a text that is thrown": "exports.handler = async () => { throw 'text'; };",
    "null that is thrown": "exports.handler = async () => { throw null; };",
    "a circular reply": "exports.handler = async () => { const a = {}; a.a = a; return a; };",
    "a big integer": "exports.handler = async () => 1n;",
    "a function": "exports.handler = async () => () => 1;",
    "a callback handler": "exports.handler = (event, context, callback) => callback(null, 1);",
    "no such handler": "exports.other = 1;",
    "no function": "exports.handler = 1;",
    "a syntax error": "exports.handler = {;",
    "an error while it is loaded": "throw new RangeError('early');",
    "an unhandled rejection": "exports.handler = () => new Promise(() => { Promise.reject(new Error('lost')); });",
    "a promise that never settles": "exports.handler = () => new Promise(() => {});",
    "undefined that is thrown": "exports.handler = async () => { throw undefined; };",
    "an error without a stack": "exports.handler = async () => { const e = new Error('a'); e.stack = 0; throw e; };",
    "what only looks like an error": "exports.handler = async () => { throw {name: 'a', message: 'b', stack: 'c'}; };",
    "a symbol that is thrown": "exports.handler = async () => { throw Symbol('s'); };",
    "a symbol": "exports.handler = async () => Symbol('s');",
    "an exit": "exports.handler = async () => process.exit(3);",
    "an early exit": "process.exit(3);",
    "an early rejection": _EARLY_REJECTION,
    "a default export": "exports.default = { handler: async () => 'by default' };",
    "null as the handler": "exports.handler = null;",
    "its context": "exports.handler = async (_, context) => Object.keys(context);",
    "its store": "exports.handler = async (_, context) => [awslambda.InvokeStore.getRequestId() === "
    "context.awsRequestId, typeof awslambda.InvokeStore.getXRayTraceId(), Object.keys(awslambda).sort()];",
    "a streaming handler that is not async": "exports.handler = awslambda.streamifyResponse((_, out) => out.end());",
    "a stream that is not async and has no end": "exports.handler = awslambda.streamifyResponse((_, out) => "
    "{ out.write('a'); });",
    "a content type that comes too late": "exports.handler = awslambda.streamifyResponse(async (_, out) => "
    "{ out.write('a'); out.setContentType('text/plain'); out.end(); });",
    "an uncaught exception": "exports.handler = () => new Promise(() => setImmediate(() => { throw Error('x'); }));",
}


_LATER = "setTimeout(() => {}, 20);"
_ALIKE_OLDER = {
    "a callback": f"exports.handler = (e, c, callback) => {{ {_LATER} callback(null, 1); }};",
    "a callback that does not wait": "exports.handler = (e, c, callback) => "
    "{ c.callbackWaitsForEmptyEventLoop = false; setInterval(() => {}, 1000); callback(null, 1); };",
    "a callback with an error": "exports.handler = (e, c, callback) => callback(new RangeError('a'));",
    "a callback with a text": "exports.handler = (e, c, callback) => callback('a');",
    "a callback with an object": "exports.handler = (e, c, callback) => callback({ a: 1 });",
    "a callback twice": f"exports.handler = (e, c, callback) => {{ {_LATER} callback(null, 1); callback(null, 2); }};",
    "a callback, then succeed": f"exports.handler = (e, c, cb) => {{ {_LATER} cb(null, 1); c.succeed(2); }};",
    "a callback, then a result": f"exports.handler = async (e, c, cb) => {{ {_LATER} cb(null, 1); return 2; }};",
    "a callback, then an error": f"exports.handler = async (e, c, cb) => {{ {_LATER} cb(null, 1); throw 'a'; }};",
    "a callback, then an exception": "exports.handler = (e, c, cb) => { cb(null, 1); throw new Error('a'); };",
    "succeed": "exports.handler = (e, c) => { setTimeout(() => c.succeed(1), 10); };",
    "succeed, then fail": "exports.handler = (e, c) => { c.succeed(1); c.fail(new Error('a')); };",
    "fail": "exports.handler = (e, c) => c.fail(new Error('a'));",
    "fail with nothing": "exports.handler = (e, c) => c.fail();",
    "done": "exports.handler = (e, c) => c.done(null, 1);",
    "done with an error": "exports.handler = (e, c) => c.done(new Error('a'), 1);",
    "no answer": "exports.handler = () => {};",
    "a value that is no promise": "exports.handler = () => 4;",
    "a value that only can be waited for": "exports.handler = () => ({ then: (done) => done(5) });",
    "the reason of a promise is nothing": "exports.handler = async () => { throw undefined; };",
    "a circular reply by callback": "exports.handler = (e, c, cb) => { const a = {}; a.a = a; c.succeed(a); };",
    "its keys": "exports.handler = async (_, context) => Object.keys(context);",
    "its keys while it streams": "exports.handler = awslambda.streamifyResponse(async (_, out, context) => "
    "out.end(JSON.stringify(Object.keys(context))));",
    "an event's id": "exports.handler = async () => typeof globalThis[Symbol.for('aws.lambda.runtime.requestId')];",
    **{
        name: source
        for name, source in _ALIKE.items()
        if name not in ("its context", "its store", "a promise that never settles", "a callback handler")
        and source != _EARLY_REJECTION  # Whether the older one dies of it before it has answered is chance.
    },
}
_OFFICIAL = {"nodejs24.x": _ALIKE, "nodejs20.x": _ALIKE_OLDER}
alike = pytest.mark.parametrize(
    ("runtime", "case"), [(runtime, case) for runtime, cases in _OFFICIAL.items() for case in cases]
)


@pytest.fixture
def official(node_client, older_client, runtime):
    return node_client if runtime == "nodejs24.x" else older_client


@pytest.mark.slow
@pytest.mark.timeout(2 * _BUILD_S)
@alike
def test_our_node_runtime_answers_as_the_official_client_does(workshop, official, runtime, case):
    source = _OFFICIAL[runtime][case]
    theirs = workshop.invoke(official(source), {"a": 1})
    ours = workshop.invoke(workshop.function(source, runtime=runtime), {"a": 1})
    assert (ours.error, _without_trace(ours.payload)) == (theirs.error, _without_trace(theirs.payload))


@pytest.mark.slow
@pytest.mark.timeout(2 * _BUILD_S)
@alike
def test_our_node_runtime_logs_errors_as_the_official_client_does(workshop, official, runtime, case):
    source = f"console.error('while it is loaded');{_OFFICIAL[runtime][case]}"
    for settings in ({"log_format": "Text"}, {"log_format": "JSON", "dialect": "aws-json"}):
        said = []
        for version in (official(source, **settings), workshop.function(source, runtime=runtime, **settings)):
            workshop.lines.clear()
            workshop.invoke(version, {"a": 1})
            said.append(_errors([line for *_, line in workshop.lines]))
        assert said[0] == said[1]


def _errors(lines):
    """What lines of the level ERROR say, but for times and stacks; and the words of Node itself. Each once: the client
    asks for the next event before its last words on one are out, and may be given that again."""
    found = []
    for line in lines:
        if line.startswith("{") and json.loads(line).get("level") == "ERROR":
            told = json.loads(line)
            del told["timestamp"]
            if isinstance(told["message"], dict):
                for one in (told["message"], told["message"].get("reason")):
                    if isinstance(one, dict):
                        one.pop("stackTrace", None)
            found.append(told)
        elif "\tERROR\t" in line:
            _, request_id, _, message, *error = line.rstrip().split("\t")
            told = json.loads(error[0]) if error else {}
            for one in (told, told.get("reason")):
                if isinstance(one, dict):
                    one.pop("stack", None)
            found.append([request_id, message, told])
        elif line.startswith(("triggerUncaught", "Error:", "[UnhandledPromise")):
            found.append(line)
    return [one for at, one in enumerate(found) if one not in found[:at]]


def _without_trace(payload):
    """A trace names files, which are not the same ones. A stream may be of any bytes."""
    try:
        told = json.loads(payload)
    except json.JSONDecodeError:
        return payload
    return {name: value for name, value in told.items() if name != "trace"} if isinstance(told, dict) else told


# -- a static program --


@pytest.fixture(scope="module")
def static_program(tmp_path_factory) -> Iterator[Path]:
    if shutil.which("gcc") is None:
        pytest.skip("this machine has no gcc")
    built = tmp_path_factory.mktemp("static") / "bootstrap"
    source = Path(__file__).parent / "inside" / "bootstrap.c"
    command = ["gcc", "-static", "-O1", "-D_GNU_SOURCE", "-o", str(built), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"gcc links nothing statically here: {done.stderr.strip()[-200:]}")
    yield built


def test_a_static_program_is_a_runtime(workshop, provided, static_program):
    version = provided({"README": ""}, runtime="provided.al2")
    shutil.copy(static_program, version.code / "bootstrap")
    assert workshop.answer(version, {"ž": 1}) == [{"ž": 1}]
    large = "x" * 5_000_000
    assert workshop.answer(version, large) == [large]
    outcome = workshop.invoke(version, 1)
    assert not outcome.cold and json.loads(outcome.payload) == [1]
    assert os.access(version.code / "bootstrap", os.X_OK)
