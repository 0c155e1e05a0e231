"""Response streaming. Lambda Developer Guide, "Response streaming for Lambda functions"; InvokeWithResponseStream."""

from __future__ import annotations

import json
import shutil
import time
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from botocore.exceptions import ClientError

from fogbank.functions.runtimes.node import sdk
from tests.support.code import ROLE, call, deploy, zipped
from tests.support.meeting import MEET_IN_NODE, Meeting
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="this machine has no node")


@pytest.fixture
def functions(cloud: Cloud) -> Any:
    return cloud.client("lambda")


def streaming(functions: Any, body: str, **settings: Any) -> None:
    """A function "f" whose handler has `event`, `stream` and `context`."""
    source = f"exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {{ {body} }});"
    given = {
        "Runtime": "nodejs20.x",
        "Role": ROLE,
        "Handler": "app.handler",
        "Timeout": 10,
        "MemorySize": 512,
        **settings,
    }
    functions.create_function(FunctionName="f", Code={"ZipFile": zipped({"app.js": source})}, **given)


def events(functions: Any, event: Any = None, **options: Any) -> list[dict[str, Any]]:
    answer = functions.invoke_with_response_stream(FunctionName="f", Payload=json.dumps(event), **options)
    return list(answer["EventStream"])


def text(events: list[dict[str, Any]]) -> str:
    return b"".join(one["PayloadChunk"]["Payload"] for one in events if "PayloadChunk" in one).decode()


# -- InvokeWithResponseStream --


def test_pieces_come_as_they_are_written_and_the_end_is_told(functions: Any) -> None:
    """The function waits behind each of them until it has come."""
    streaming(functions, MEET_IN_NODE + """
      for (const part of event.parts) { stream.write(part); await meet(event.call); } stream.end();""")  # fmt: skip
    with Meeting() as meeting:
        answer = functions.invoke_with_response_stream(
            FunctionName="f", Payload=json.dumps({"parts": ["a", "b", "c"], "call": meeting.call}), LogType="Tail"
        )
        assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
        told = iter(answer["EventStream"])
        for number, part in enumerate((b"a", b"b", b"c"), 1):
            assert next(told)["PayloadChunk"]["Payload"] == part
            eventually(lambda number=number: meeting.there == number)
            meeting.release()
        [complete] = [event["InvokeComplete"] for event in told]
    assert "ErrorCode" not in complete
    assert b64decode(complete["LogResult"]).decode().splitlines()[0].startswith("START RequestId: ")


def test_a_function_that_does_not_stream_answers_in_one_piece(functions: Any) -> None:
    deploy(functions, "f", "def handler(event, context):\n    return {'got': event}\n")
    piece, complete = events(functions, 1)
    assert json.loads(piece["PayloadChunk"]["Payload"]) == {"got": 1} and complete == {"InvokeComplete": {}}


def test_a_buffered_invocation_has_all_of_it_at_once(functions: Any) -> None:
    streaming(functions, "stream.write('a'); stream.write({ b: 1 }); stream.end();")
    assert functions.invoke(FunctionName="f")["Payload"].read() == b'a{"b":1}'


@pytest.mark.parametrize("body", ["throw new TypeError('no');", "stream.write('some'); throw new TypeError('no');"])
def test_an_error_is_told_behind_what_came_before_it(functions: Any, body: str) -> None:
    streaming(functions, body)
    *pieces, complete = events(functions)
    assert text(pieces) == ("some" if "some" in body else "")
    assert complete["InvokeComplete"]["ErrorCode"] == "Unhandled"
    details = json.loads(complete["InvokeComplete"]["ErrorDetails"])
    assert (details["errorType"], details["errorMessage"]) == ("TypeError", "no") and details["trace"]


def test_a_process_that_ends_in_the_middle_truncates_its_answer(functions: Any) -> None:
    streaming(functions, "stream.write('some', () => process.exit(3)); await new Promise(() => {});")
    *pieces, complete = events(functions)
    assert text(pieces) == "some" and complete["InvokeComplete"]["ErrorCode"] == "Runtime.TruncatedResponse"


def test_a_stream_that_is_not_ended_runs_into_the_time_out(functions: Any) -> None:
    streaming(functions, "stream.write('some');", Timeout=1)
    *pieces, complete = events(functions)
    assert text(pieces) == "some"
    assert "Task timed out after 1.00 seconds" in complete["InvokeComplete"]["ErrorDetails"]


@pytest.mark.parametrize(("says", "is_refused"), [("write", True), ("end", False)])
def test_a_handler_that_returns_no_promise_is_refused_unless_its_answer_is_whole_by_then(
    functions: Any, cloud: Cloud, says: str, is_refused: bool
) -> None:
    """As `aws-lambda-ric` has it: the error goes into trailers, and behind an end there are none."""
    source = f"exports.handler = awslambda.streamifyResponse((event, stream) => {{ stream.{says}('x'); }});"
    code = {"ZipFile": zipped({"app.js": source})}
    functions.create_function(FunctionName="f", Runtime="nodejs20.x", Role=ROLE, Handler="app.handler", Code=code)
    *pieces, complete = events(functions)
    assert text(pieces) == "x"
    told = "Streaming does not support non-async handlers."
    assert (told in complete["InvokeComplete"].get("ErrorDetails", "")) == is_refused
    eventually(lambda: told in "".join(lines(cloud)))


def test_a_long_answer_comes_whole_and_holds_its_function_to_the_readers_pace(cloud: Cloud, functions: Any) -> None:
    streaming(functions, """
      const { pipeline } = require('node:stream/promises'); const { Readable } = require('node:stream');
      let made = 0;
      const source = Readable.from((async function* () {
        for (; made < 400; made += 1) yield Buffer.alloc(65536, made % 256); console.log('made all'); })());
      await pipeline(source, stream);""")  # fmt: skip
    answer = functions.invoke_with_response_stream(FunctionName="f", Payload=b"{}")
    told = iter(answer["EventStream"])
    first = next(told)["PayloadChunk"]["Payload"]
    time.sleep(0.5)  # A slow reader: there is no other way to be one.
    assert b"made all" not in b"".join(line.encode() for line in lines(cloud))
    rest = b"".join(one["PayloadChunk"]["Payload"] for one in told if "PayloadChunk" in one)
    whole = first + rest
    assert len(whole) == 400 * 65536 and all(whole[at * 65536] == at % 256 for at in range(400))


MUCH = """for (let at = 0; at < 100; at += 1) {
  if (!stream.write(Buffer.alloc(65536))) await new Promise((go) => stream.once('drain', go)); }
stream.end(); console.log('done all');"""


def test_a_reader_that_goes_away_does_not_end_the_function(cloud: Cloud, functions: Any) -> None:
    streaming(functions, MUCH)
    answer = functions.invoke_with_response_stream(FunctionName="f", Payload=b"{}")
    next(iter(answer["EventStream"]))
    answer["EventStream"].close()
    eventually(lambda: any("done all" in line for line in lines(cloud)))
    assert not events(functions, {})[-1]["InvokeComplete"]


def test_more_than_200_mb_are_cut_off(functions: Any) -> None:
    streaming(functions, """
      const { pipeline } = require('node:stream/promises'); const { Readable } = require('node:stream');
      const much = (async function* () { for (let at = 0; at < 3300; at += 1) yield Buffer.alloc(65536); })();
      await pipeline(Readable.from(much), stream);""", Timeout=60)  # fmt: skip
    complete = events(functions)[-1]["InvokeComplete"]
    assert complete["ErrorCode"] == "Function.ResponseSizeTooLarge" and "(209715200 bytes)" in complete["ErrorDetails"]


def test_refusals_come_before_any_stream(functions: Any) -> None:
    with pytest.raises(ClientError) as caught:
        functions.invoke_with_response_stream(FunctionName="nobody")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
    streaming(functions, "stream.end();")
    functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as caught:
        functions.invoke_with_response_stream(FunctionName="f")
    assert caught.value.response["Error"]["Code"] == "TooManyRequestsException"


def test_a_dry_run_runs_nothing(cloud: Cloud, functions: Any) -> None:
    streaming(functions, "stream.end();")
    answer = functions.invoke_with_response_stream(FunctionName="f", InvocationType="DryRun")
    assert answer["StatusCode"] == 204 and not lines(cloud)


def lines(cloud: Cloud) -> list[str]:
    logs = cloud.client("logs")
    try:
        found = logs.filter_log_events(logGroupName="/aws/lambda/f")["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [event["message"] for event in found]


# -- function URLs with InvokeMode RESPONSE_STREAM --


def url(functions: Any, **config: Any) -> str:
    """The host of the URL of "f", open to all."""
    given = {"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM", **config}
    made = functions.create_function_url_config(FunctionName="f", **given)
    functions.add_permission(
        FunctionName="f", StatementId="public", Action="lambda:InvokeFunctionUrl", Principal="*",
        FunctionUrlAuthType="NONE",
    )  # fmt: skip
    return str(httpx.URL(made["FunctionUrl"]).netloc.decode())


def test_a_url_sends_status_headers_and_cookies_first_and_the_pieces_as_they_come(cloud: Cloud, functions: Any) -> None:
    streaming(functions, MEET_IN_NODE + """
      const answer = awslambda.HttpResponseStream.from(stream, {
        statusCode: 201, headers: { 'Content-Type': 'text/event-stream', 'X-Made': 'yes' }, cookies: ['a=1', 'b=2'] });
      for (const part of ['one', 'two', 'three']) {
        answer.write(part); await meet(event.queryStringParameters); }
      answer.end();""")  # fmt: skip
    host = url(functions)
    with Meeting() as meeting, httpx.stream("GET", cloud.url, params=meeting.call, headers={"host": host}) as answer:
        assert (answer.status_code, answer.headers["x-made"]) == (201, "yes")
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
        came = answer.iter_raw()
        for number, part in enumerate((b"one", b"two", b"three"), 1):
            assert next(came) == part
            eventually(lambda number=number: meeting.there == number)
            meeting.release()
        assert list(came) == []


def test_a_urls_mode_is_described_and_changed(cloud: Cloud, functions: Any) -> None:
    streaming(functions, "stream.setContentType('text/csv'); stream.write('a,b'); stream.end();")
    host = url(functions)
    assert functions.get_function_url_config(FunctionName="f")["InvokeMode"] == "RESPONSE_STREAM"
    streamed = httpx.get(cloud.url, headers={"host": host})
    assert (streamed.text, streamed.headers["transfer-encoding"]) == ("a,b", "chunked")
    assert functions.update_function_url_config(FunctionName="f", InvokeMode="BUFFERED")["InvokeMode"] == "BUFFERED"
    buffered = httpx.get(cloud.url, headers={"host": host})
    assert (buffered.text, buffered.headers["content-type"]) == ("a,b", "text/csv")
    assert buffered.headers["content-length"] == "3"


def test_a_function_that_does_not_stream_is_sent_as_it_replies(cloud: Cloud, functions: Any) -> None:
    deploy(functions, "f", "def handler(event, context):\n    return {'statusCode': 201, 'body': 'x'}\n")
    answer = httpx.get(cloud.url, headers={"host": url(functions)})
    assert (answer.status_code, answer.json()) == (200, {"statusCode": 201, "body": "x"})


def test_what_fails_before_the_first_piece_is_an_error_and_behind_it_a_broken_answer(
    cloud: Cloud, functions: Any
) -> None:
    streaming(functions, "if (event.rawPath !== '/early') stream.write('some'); throw new Error('no');")
    host = url(functions)
    early = httpx.get(f"{cloud.url}/early", headers={"host": host})
    assert (early.status_code, early.json()) == (502, {"Message": "Internal Server Error"})
    with httpx.stream("GET", f"{cloud.url}/late", headers={"host": host}) as late:
        assert late.status_code == 200
        pieces = late.iter_raw()
        assert next(pieces) == b"some"
        with pytest.raises(httpx.RemoteProtocolError):
            next(pieces)
    assert "request failed" not in cloud.log.getvalue()


def test_metadata_that_is_none_is_an_error(cloud: Cloud, functions: Any) -> None:
    streaming(functions, "awslambda.HttpResponseStream.from(stream, { statusCode: 200 }).end('no write before it');")
    assert httpx.get(cloud.url, headers={"host": url(functions)}).status_code == 502


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_an_answer_without_a_body_lets_the_function_run_to_its_end(cloud: Cloud, functions: Any, method: str) -> None:
    metadata = "awslambda.HttpResponseStream.from(stream, { statusCode: 204 });" if method == "GET" else ""
    streaming(functions, metadata + MUCH)
    host = url(functions)
    with httpx.Client() as client:  # The connection stays.
        assert client.request(method, cloud.url, headers={"host": host}).content == b""
        eventually(lambda: any("done all" in line for line in lines(cloud)))


# -- through the SDK for JavaScript --


def test_a_function_reads_anothers_stream_with_its_own_sdk(cloud: Cloud, functions: Any) -> None:
    try:
        sdk.folder(cloud.config.cache_dir, "v3")
    except sdk.SdkError as error:
        pytest.skip(str(error))
    streaming(functions, "for (const part of event) stream.write(part); stream.end();")
    source = """import { LambdaClient, InvokeWithResponseStreamCommand } from '@aws-sdk/client-lambda';
export const handler = async () => {
  const answer = await new LambdaClient({}).send(new InvokeWithResponseStreamCommand(
    { FunctionName: 'f', Payload: JSON.stringify(['a', 'b']), LogType: 'Tail' }));
  let text = ''; let complete;
  for await (const event of answer.EventStream) {
    if (event.PayloadChunk) text += Buffer.from(event.PayloadChunk.Payload).toString();
    else complete = event.InvokeComplete; }
  return [text, answer.ResponseStreamContentType, complete.ErrorCode ?? null, complete.LogResult.length > 10]; };"""
    functions.create_function(
        FunctionName="reader", Runtime="nodejs20.x", Role=ROLE, Handler="app.handler", Timeout=20, MemorySize=512,
        Code={"ZipFile": zipped({"app.mjs": source})},
    )  # fmt: skip
    assert call(functions, "reader") == ["ab", "application/vnd.amazon.eventstream", None, True]
