"""Node functions: Developer Guide, "Building Lambda functions with Node.js"."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from fogbank.functions.engine import InitFailed
from tests.support.workshop import ENDPOINT, REQUEST_ID, Workshop

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="this machine has no node")


@pytest.fixture
def node(workshop):
    """Functions that name no SDK: no package is installed for them."""

    def function(source, **settings):
        return workshop.function(source, runtime=settings.pop("runtime", "nodejs20.x"), **settings)

    return function


ECHO = "exports.handler = async (event, context) => ({ got: event });"


def test_an_async_handlers_value_is_the_reply(workshop, node):
    version = node(ECHO)
    outcome = workshop.invoke(version, {"a": "ž"})
    assert outcome.payload.decode() == '{"got":{"a":"ž"}}' and outcome.cold
    assert not workshop.invoke(version, 1).cold


@pytest.mark.parametrize(
    "source",
    [
        "exports.handler = (event, context, callback) => callback(null, event + 1);",
        "exports.handler = (event, context, callback) => setTimeout(() => callback(null, event + 1), 20);",
        "exports.handler = (event, context) => { context.succeed(event + 1); };",
        "exports.handler = (event, context) => { context.done(null, event + 1); };",
        "exports.handler = (event) => new Promise((resolve) => setImmediate(resolve, event + 1));",
        "exports.handler = async (event) => event + 1;",
    ],
)
def test_every_style_of_answering_works(workshop, node, source):
    version = node(source)
    assert [workshop.answer(version, 1), workshop.answer(version, 2)] == [2, 3]


def test_a_callback_waits_for_the_event_loop_unless_told_not_to(workshop, node):
    source = """
let late = false;
exports.handler = (event, context, callback) => {
  context.callbackWaitsForEmptyEventLoop = event.wait;
  if (event.look) return callback(null, late);
  setTimeout(() => { late = true; }, 300);
  callback(null, "done");
};
"""
    for wait in (True, False):
        version = node(source)
        first = workshop.invoke(version, {"wait": wait})
        assert first.payload == b'"done"'
        assert (first.duration_ms >= 290) is wait
        assert workshop.answer(version, {"look": True, "wait": False}) is wait


def test_es_modules_await_at_top_level_and_export_handlers(workshop, node):
    source = "const late = await Promise.resolve(4);\nexport const handler = async (event) => event + late;"
    assert workshop.answer(node({"app.mjs": source}), 1) == 5
    files = {"app.js": source, "package.json": '{"type": "module"}'}
    assert workshop.answer(node(files), 2) == 6


def test_handlers_are_found_in_folders_and_inside_objects(workshop, node):
    files = {"src/shop/items.js": "exports.api = { create: async () => __filename.split('/').slice(-2).join('/') };"}
    assert workshop.answer(node(files, handler="src/shop/items.api.create")) == "shop/items.js"


def test_the_context_has_all_that_aws_documents(workshop, node):
    source = """exports.handler = async (event, c) => [c.awsRequestId, c.functionName, c.functionVersion,
      c.memoryLimitInMB,
      c.invokedFunctionArn, c.logGroupName, c.logStreamName, c.getRemainingTimeInMillis() <= 5000, c.clientContext,
      c.identity, process.env._X_AMZN_TRACE_ID, process.env.AWS_EXECUTION_ENV, process.env.TABLE, process.cwd()];"""
    version = node(source, timeout_ms=5000, environment={"TABLE": "items"})
    got = workshop.answer(version, function_arn="arn:x", client_context='{"custom":{"a":1}}', trace_header="Root=1")
    assert got[:6] == [REQUEST_ID, "shop", "$LATEST", "128", "arn:x", "/aws/lambda/shop"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", got[6])
    assert got[7:9] == [True, {"custom": {"a": 1}}]
    assert got[10:13] == ["Root=1", "AWS_Lambda_nodejs20.x", "items"]


def test_console_lines_have_time_request_and_level(workshop, node):
    source = """console.log("in init");
exports.handler = async () => { console.log("one\\ntwo"); console.error(new Error("bad").message, { a: 1 });
  console.warn("w"); console.info("i"); console.debug("d"); process.stdout.write("raw\\n"); };"""
    outcome = workshop.invoke(node(source))
    lines = [line for *_, line in workshop.lines if not line.startswith("fogbank: ")]
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(rf"{stamp}\tundefined\tINFO\tin init\n", lines[0])
    assert lines[1].startswith("START RequestId")
    said = [("INFO", "one\ntwo"), ("ERROR", "bad { a: 1 }"), ("WARN", "w"), ("INFO", "i"), ("DEBUG", "d")]
    for line, (level, text) in zip(lines[2:], said, strict=False):
        assert re.fullmatch(rf"{stamp}\t{REQUEST_ID}\t{level}\t{re.escape(text)}\n", line)
    assert lines[7] == "raw\n" and lines[8].startswith("END RequestId") and lines[9].startswith("REPORT RequestId")
    assert "Init Duration" in lines[9] and outcome.log_tail.decode().endswith(lines[9])


@pytest.mark.parametrize(
    "source",
    [
        "exports.handler = async () => { throw new TypeError('no such item'); };",
        "exports.handler = (e, c, callback) => callback(new TypeError('no such item'));",
        "exports.handler = () => { throw new TypeError('no such item'); };",
        "exports.handler = () => Promise.reject(new TypeError('no such item'));",
    ],
)
def test_an_error_is_told_with_its_trace(workshop, node, source):
    version = node(source)
    failed = workshop.failure(version)
    assert (failed["errorType"], failed["errorMessage"]) == ("TypeError", "no such item")
    assert failed["trace"][0] == "TypeError: no such item" and "app.js" in failed["trace"][1]
    assert f"{REQUEST_ID}\tERROR\tInvoke Error" in workshop.text()
    assert not workshop.invoke(version).cold


@pytest.mark.parametrize(
    ("source", "handler", "kind", "message"),
    [
        ("require('nowhere');", "app.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'nowhere'"),
        ("", "missing.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'missing'"),
        ("", "app.handler", "Runtime.HandlerNotFound", "app.handler is undefined or not exported"),
        ("exports.handler = 1;", "app.handler", "Runtime.HandlerNotFound", "app.handler is not a function"),
        ("exports.handler = (;", "app.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: Unexpected token ';'"),
        ("throw new RangeError('out')", "app.handler", "RangeError", "out"),
        ("", "handler", "Runtime.MalformedHandlerName", "Bad handler"),
    ],
)
def test_an_init_that_fails_names_the_reason(workshop, node, source, handler, kind, message):
    version = node(source, handler=handler)
    failed = workshop.failure(version)
    assert failed["errorType"] == kind and failed["errorMessage"].startswith(message)


def test_an_uncaught_exception_costs_the_instance(workshop, node):
    source = "exports.handler = (e, c, callback) => { if (!e) return callback(null, 1);"
    source += " setTimeout(() => { throw new Error('late'); }, 10); };"
    version = node(source)
    failed = workshop.failure(version, 1)
    assert (failed["errorType"], failed["errorMessage"]) == ("Error", "late")
    assert "Uncaught Exception" in workshop.text()
    after = workshop.invoke(version, 0)
    assert after.cold and after.payload == b"1"


def test_an_unhandled_rejection_is_named_so(workshop, node):
    source = "exports.handler = () => new Promise(() => { Promise.reject(new Error('lost')); });"
    failed = workshop.failure(node(source))
    assert failed["errorType"] == "Runtime.UnhandledPromiseRejection"
    assert failed["errorMessage"] == "Error: lost"


def test_an_exit_is_told(workshop, node):
    assert workshop.failure(node("exports.handler = async () => process.exit(5);")) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {REQUEST_ID} Error: Runtime exited with error: exit status 5",
    }


def test_a_handler_whose_loop_runs_empty_answers_null(workshop, node):
    version = node("exports.handler = () => {};")
    assert [workshop.answer(version), workshop.answer(version)] == [None, None]


def test_an_endless_loop_is_ended_at_the_time_limit(workshop, node):
    version = node("exports.handler = async (e) => { while (e); return 1; };", timeout_ms=700)
    assert workshop.answer(version, 0) == 1
    outcome = workshop.invoke(version, 1)
    assert outcome.timed_out and b"Task timed out after 0.70 seconds" in outcome.payload
    assert workshop.answer(version, 0) == 1


def test_replies_that_cannot_be_written_or_are_too_large_are_refused(workshop, node):
    version = node("exports.handler = async (e) => { if (e) return 'x'.repeat(e); const a = {}; a.a = a; return a; };")
    assert workshop.failure(version, 7 * 1024 * 1024)["errorType"] == "Function.ResponseSizeTooLarge"
    failed = workshop.failure(version, 0)
    assert failed["errorType"] == "Runtime.MarshalError"


def test_layers_bring_packages(workshop, node, tmp_path):
    package = tmp_path / "layer" / "nodejs" / "node_modules" / "shared"
    package.mkdir(parents=True)
    (package / "index.js").write_text("module.exports = 7;")
    version = node("exports.handler = async () => require('shared');", layers=(tmp_path / "layer",))
    assert workshop.answer(version) == 7


def test_the_unmodified_v2_handler_is_pointed_here(workshop, node):
    """A stand-in for the package in a layer: what the preloaded hook does to it is what counts."""
    sdk = "exports.config = { update(o) { Object.assign(this, o); } };"
    files = {
        "app.js": "const AWS = require('aws-sdk');\nexports.handler = async () => AWS.config;",
        "node_modules/aws-sdk/index.js": sdk,
    }
    got = workshop.answer(node(files))
    assert got == {"endpoint": ENDPOINT, "s3ForcePathStyle": True, "hostPrefixEnabled": False}


def test_a_missing_version_of_node_is_named_once(workshop, node):
    for _ in range(2):
        workshop.answer(node(ECHO, runtime="nodejs18.x"))
    found = int(workshop.answer(node("exports.handler = async () => process.versions.node;")).split(".")[0])
    notes = re.findall(rf"this machine has no nodejs18.x; Node.js {found} runs it instead", workshop.text())
    assert len(notes) == (0 if found == 18 else 1)


def test_on_a_machine_without_node_the_function_says_what_to_install(tmp_path, cache_dir, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    workshop = Workshop(tmp_path / "workshop", cache_dir)
    version = workshop.function(ECHO, runtime="nodejs20.x")
    told = "node is not on the PATH: install Node.js to run functions of the nodejs runtimes"
    assert workshop.failure(version)["errorMessage"] == told
    assert workshop.text() == f"fogbank: {told}\n"
    with pytest.raises(InitFailed) as failed:
        workshop.run(workshop.engine.prepare(version, 1))
    assert json.loads(failed.value.document)["errorMessage"] == told
    workshop.close()
