"""Node functions: Developer Guide, "Building Lambda functions with Node.js"."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal

import pytest

from fogbank.aws.services.lambda_.dialect import JSON
from fogbank.functions.engine import InitFailed
from tests.support.waiting import until
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
        ("", "../app.handler", "Runtime.MalformedHandlerName", "'../app.handler' is not a valid handler name."),
        ("throw 'text'", "app.handler", "string", "text"),
        ("throw null", "app.handler", "handled", "callback called with Error argument, but there was a problem"),
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
    assert (failed["errorType"], failed["errorMessage"]) == ("Error", "Unable to stringify response body")
    big = node("exports.handler = async () => ({ n: 1n });", runtime="nodejs24.x")
    assert workshop.failure(big)["errorType"] == "Runtime.JSONStringifyError"


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


# -- what Node.js 24 has no more: "Define Lambda function handler in Node.js", "Callback-based function handlers" --


def test_since_node_24_handlers_with_a_callback_are_refused(workshop, node):
    source = "exports.handler = (event, context, callback) => callback(null, 1);"
    failed = workshop.failure(node(source, runtime="nodejs24.x"))
    assert failed["errorType"] == "Runtime.CallbackHandlerDeprecated"
    assert "removed support for callback-based function handlers starting with Node.js 24" in failed["errorMessage"]


def test_since_node_24_a_plain_value_is_the_reply_and_the_context_has_no_callbacks(workshop, node):
    source = """exports.handler = (event, context) =>
      Object.keys(context).filter((name) => /done|succeed|fail|callback/.test(name));"""
    assert workshop.answer(node(source, runtime="nodejs24.x")) == []
    assert workshop.answer(node(source)) is None  # Up to 22, nothing was said before the loop ran empty.


# -- ways of answering that meet --


@pytest.mark.parametrize("waits", ["true", "false"])
def test_only_the_first_answer_counts_though_it_may_wait_for_the_loop(workshop, node, waits):
    """As `aws-lambda-ric` 3 has it: what is returned behind a callback is nobody's answer."""
    source = f"""exports.handler = async (event, context, callback) => {{
      context.callbackWaitsForEmptyEventLoop = {waits};
      callback(null, "called"); context.succeed("succeeded"); return "returned"; }};"""
    version = node(source)
    assert [workshop.answer(version), workshop.answer(version)] == ["called", "called"]


def test_an_error_told_to_the_callback_waits_for_nothing(workshop, node):
    source = "exports.handler = (e, c, callback) => { setTimeout(() => {}, 5000); callback(new Error('no')); };"
    outcome = workshop.invoke(node(source))
    assert outcome.error and outcome.duration_ms < 2000


def test_a_promise_that_never_settles_is_told_once_nothing_is_left_to_do(workshop, node):
    version = node("exports.handler = async (e) => { if (!e) return 1; await new Promise(() => {}); };")
    failed = workshop.failure(version, 1)
    assert failed["errorType"] == "Runtime.NodeJsExit" and "a Promise that was never settled" in failed["errorMessage"]
    after = workshop.invoke(version, 0)
    assert after.payload == b"1" and not after.cold


def test_a_callback_that_is_never_called_answers_null_once_the_loop_is_empty(workshop, node):
    version = node("exports.handler = (event, context, callback) => { setTimeout(() => {}, 20); };")
    assert [workshop.answer(version), workshop.answer(version)] == [None, None]


def test_init_that_awaits_what_never_comes_ends_at_once(workshop, node):
    outcome = workshop.invoke(node({"app.mjs": "await new Promise(() => {});\nexport const handler = async () => 1;"}))
    assert b"Runtime exited with error: exit status 13" in outcome.payload


def test_what_fails_between_two_events_costs_the_instance_and_no_event(workshop, node):
    source = """exports.handler = async (e, context) => { context.callbackWaitsForEmptyEventLoop = false;
      if (e) setTimeout(() => { throw new Error('late'); }, 30); return process.pid; };"""
    version = node(source)
    first = workshop.answer(version, 1)
    workshop.run(until(lambda: first not in {fact["pid"] for fact in workshop.engine.status()}))
    again = workshop.invoke(version, 0)
    assert again.cold and again.error is None and json.loads(again.payload) != first


# -- what a function finds --


def test_a_folder_or_an_installed_package_may_hold_the_handler(workshop, node):
    assert workshop.answer(node({"api/index.js": ECHO}, handler="api.handler"), 1) == {"got": 1}
    package = {"node_modules/lib/package.json": '{"main": "main.js"}', "node_modules/lib/main.js": ECHO}
    assert workshop.answer(node(package, handler="lib.handler"), 2) == {"got": 2}


def test_es_modules_find_packages_of_layers_since_node_18(workshop, node, tmp_path):
    package = tmp_path / "layer" / "nodejs" / "node_modules" / "shared"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"type": "module", "exports": "./index.js"}')
    (package / "index.js").write_text("export default 7;")
    source = {"app.mjs": "import seven from 'shared';\nexport const handler = async () => seven;"}
    assert workshop.answer(node(source, layers=(tmp_path / "layer",))) == 7
    failed = workshop.failure(node(source, layers=(tmp_path / "layer",), runtime="nodejs16.x"))
    assert failed["errorType"] == "Error" and "Cannot find package 'shared'" in failed["errorMessage"]
    own = source | {"node_modules/shared/index.js": "exports.default = 1; module.exports = 'own';"}
    assert workshop.answer(node(own, layers=(tmp_path / "layer",))) == "own"


def test_of_two_layers_the_later_one_counts(workshop, node, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "nodejs/node_modules").mkdir(parents=True)
        (tmp_path / name / "nodejs/node_modules/which.js").write_text(f"module.exports = '{name}';")
    layers = (tmp_path / "one", tmp_path / "two")
    assert workshop.answer(node("exports.handler = async () => require('which');", layers=layers)) == "two"


def test_options_for_node_itself_are_heeded(workshop, node):
    files = {"app.js": "exports.handler = async () => [globalThis.before, process.execArgv.includes('--expose-gc')];",
             "before.js": "globalThis.before = 'loaded';"}  # fmt: skip
    version = node(files, environment={"NODE_OPTIONS": "--require ./before.js"})
    assert workshop.answer(version) == ["loaded", True], "and those that Lambda itself gives"


def test_nothing_of_fogbank_can_be_loaded_and_the_process_does_not_name_it(workshop, node):
    source = """exports.handler = async () => {
      const found = ['./channel.js', './bootstrap.js', 'fogbank'].filter((name) => {
        try { require(name); return true; } catch { return false; } });
      return [found, process.argv.slice(1), new Error('x').stack.includes('inside')]; };"""
    assert workshop.answer(node(source))[:2] == [[], ["/var/runtime/index.mjs"]]


def test_frames_that_a_function_forges_harm_its_own_events_only(workshop, node):
    source = """const fs = require('node:fs');
const frame = (kind, body) => { const head = Buffer.alloc(10); head.writeUInt32BE(body.length + 6, 0);
  head.write(kind, 4); return Buffer.concat([head, Buffer.from(body)]); };
const sockets = fs.readdirSync('/proc/self/fd').filter((fd) => { try {
  return Number(fd) > 2 && fs.readlinkSync('/proc/self/fd/' + fd).startsWith('socket:'); } catch { return false; } });
const shout = (...frames) => sockets.forEach((fd) => {
  try { fs.writeSync(Number(fd), Buffer.concat(frames)); } catch {} });
exports.handler = async (event) => { shout(...event.map(([kind, body]) => frame(kind, body))); return 'mine'; };"""
    version = node(source)
    assert workshop.invoke(version, [["P", "a piece"], ["P", "of nothing"]]).payload == b'"mine"'
    assert workshop.invoke(version, [["E", ""]]).error == "Unhandled"
    assert workshop.invoke(node(ECHO), 1).payload == b'{"got":1}'


# -- streamed replies, wanted whole: "Response streaming for Lambda functions" --


def test_a_streamed_reply_is_all_of_its_pieces(workshop, node):
    source = """exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
      stream.setContentType('text/plain');
      for (const part of ['one ', Buffer.from('two '), { three: 3 }]) stream.write(part);
      stream.end(` ${context.awsRequestId.length}`); });"""
    outcome = workshop.invoke(node(source))
    assert (outcome.payload, outcome.content_type, outcome.error) == (b'one two {"three":3} 36', "text/plain", None)


def test_what_a_stream_is_piped_into_it_comes_whole_and_the_instance_serves_on(workshop, node):
    source = """const { pipeline } = require('node:stream/promises'); const { Readable } = require('node:stream');
exports.handler = awslambda.streamifyResponse(async (size, stream) => {
  await pipeline(Readable.from([Buffer.alloc(size, 'x')]), stream); });"""
    version = node(source)
    assert len(workshop.invoke(version, 5_000_000).payload) == 5_000_000
    after = workshop.invoke(version, 3)
    assert after.payload == b"xxx" and not after.cold


def test_a_stream_of_more_than_a_reply_may_be_ends_the_event(workshop, node):
    source = """exports.handler = awslambda.streamifyResponse(async (event, stream) => {
      for (let n = 0; n < 80; n++) stream.write(Buffer.alloc(100_000)); stream.end(); });"""
    assert workshop.failure(node(source))["errorType"] == "Function.ResponseSizeTooLarge"


def test_a_handler_that_fails_in_the_middle_of_its_stream_has_failed(workshop, node):
    source = """exports.handler = awslambda.streamifyResponse(async (event, stream) => {
      stream.write('begun'); throw new RangeError('torn'); });"""
    failed = workshop.failure(node(source))
    assert (failed["errorType"], failed["errorMessage"]) == ("RangeError", "torn")


# -- logs as JSON: "Using structured JSON logs with Node.js" --


def test_console_lines_are_records_with_their_level_and_request(workshop, node):
    source = """exports.handler = async () => {
      console.debug('hidden'); console.info('told %s', 'so'); console.warn({ a: 1 });
      console.error('bad', new RangeError('out')); return 1; };"""
    version = node(source, log_format="JSON", dialect="aws-json")
    workshop.lines.clear()
    workshop.answer(version)
    records = [json.loads(line) for *_, line in workshop.lines]
    told = [one for one in records if "level" in one]
    assert [(one["level"], one["requestId"]) for one in told] == [
        (level, REQUEST_ID) for level in ("INFO", "WARN", "ERROR")
    ]  # fmt: skip
    assert [told[0]["message"], told[1]["message"]] == ["told so", {"a": 1}]
    assert (told[2]["errorType"], told[2]["errorMessage"]) == ("RangeError", "out")
    assert [one["type"] for one in records if "type" in one] == ["platform.start", "platform.report"]


# -- "Configuring advanced logging controls": JSON --


def test_the_console_in_json_has_level_and_request_and_leaves_out_what_is_below(workshop, node):
    source = """console.log('in init');
exports.handler = async () => {
  console.debug('hidden'); console.info({ order: 7 }); console.warn('two', 2);
  console.error(Object.assign(new TypeError('bad'), { code: 'E_BAD' })); console.error('with', new RangeError('far'));
  const ring = {}; ring.ring = ring; console.log(ring); };"""
    settings = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}
    version = node(source, environment=settings, log_format="JSON", dialect=JSON)
    workshop.invoke(version)
    said = [json.loads(line) for *_, line in workshop.lines if line.startswith("{") and '"level"' in line]
    said = [line for line in said if "message" in line]
    assert said[0]["message"] == "in init" and "requestId" not in said[0]
    assert [(line["level"], line["message"]) for line in said[1:3]] == [("INFO", {"order": 7}), ("WARN", "two 2")]
    assert said[1]["requestId"] == REQUEST_ID and said[1]["timestamp"].endswith("Z")
    bad, far, ring = said[3:]
    assert (bad["message"]["errorType"], bad["message"]["code"]) == ("TypeError", "E_BAD")
    assert (far["message"].startswith("with RangeError: far"), far["errorType"]) == (True, "RangeError")
    assert "[Circular" in ring["message"]


def test_an_error_in_json_is_one_object(workshop, node):
    settings = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
    source = "exports.handler = async () => { throw new TypeError('no'); };"
    workshop.failure(node(source, environment=settings, log_format="JSON", dialect=JSON))
    [told] = [json.loads(line) for *_, line in workshop.lines if '"ERROR"' in line]
    assert (told["level"], told["message"]["errorType"]) == ("ERROR", "TypeError")


def test_more_lines_than_the_pipe_holds_come_whole_even_when_it_does_not_wait(workshop, node):
    source = """exports.handler = async () => { process.stdout.write('raw\\n');
      for (let at = 0; at < 3000; at += 1) console.log('x'.repeat(200), at); };"""
    workshop.invoke(node(source, memory_mb=512))
    numbers = [int(line.rpartition(" ")[2]) for *_, line in workshop.lines if "xxx" in line]
    assert numbers == list(range(3000))


def test_a_process_that_died_while_it_waited_is_not_claimed(workshop, node):
    version = node("exports.handler = async () => 1;")
    workshop.answer(version)
    spares = workshop.engine._runtimes.of("nodejs20.x")._runtime._spares

    async def lose_all():
        while not any(spares.values()):
            await asyncio.sleep(0.02)
        for spare in [spare for waiting in spares.values() for spare in waiting]:
            os.kill(spare.process.pid, signal.SIGKILL)
            await spare.process.gone.wait()

    workshop.run(lose_all())
    assert workshop.answer(node("exports.handler = async () => 2;")) == 2
