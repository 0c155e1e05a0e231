"""The Runtime API as a bootstrap meets it: Developer Guide, "Using the Lambda runtime API for custom runtimes"."""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.support.workshop import REQUEST_ID

ECHO = "serve(lambda event: event)"


def test_a_response_is_the_reply_and_the_instance_is_used_again(workshop, provided):
    version = provided(ECHO)
    first = workshop.invoke(version, {"a": "ž"})
    assert json.loads(first.payload) == {"a": "ž"} and first.cold and first.init_ms > 0
    again = workshop.invoke(version, 2)
    assert again.payload == b"2" and not again.cold


def test_an_event_has_the_documented_headers(workshop, provided):
    version = provided("serve_headers = lambda: None\nwhile True:\n    i, h, e = next_event(); respond(i, dict(h))")
    before_ms = time.time() * 1000
    got = workshop.answer(
        version, {}, function_arn="arn:x", trace_header="Root=1-2;Sampled=1", client_context='{"custom":{"a":1}}',
        cognito_identity='{"cognitoIdentityId":"x"}',
    )  # fmt: skip
    assert got["Lambda-Runtime-Aws-Request-Id"] == REQUEST_ID
    assert got["Lambda-Runtime-Invoked-Function-Arn"] == "arn:x"
    assert got["Lambda-Runtime-Trace-Id"] == "Root=1-2;Sampled=1"
    assert got["Lambda-Runtime-Client-Context"] == '{"custom":{"a":1}}'
    assert got["Lambda-Runtime-Cognito-Identity"] == '{"cognitoIdentityId":"x"}'
    assert 0 < int(got["Lambda-Runtime-Deadline-Ms"]) - before_ms <= 12_000
    assert got["Content-Type"] == "application/json"
    bare = workshop.answer(version, {})
    assert not [name for name in bare if name.endswith(("Client-Context", "Cognito-Identity", "Trace-Id"))]


def test_the_environment_is_the_clouds(workshop, provided):
    version = provided(
        "serve(lambda event: [dict(os.environ), os.getcwd(), os.getsid(0) == os.getpid()])", handler="main.go",
        environment={"TABLE": "items"},
    )  # fmt: skip
    environment, folder, leads = workshop.answer(version)
    assert folder == environment["LAMBDA_TASK_ROOT"] == str(version.code)
    assert re.fullmatch(r"127\.0\.0\.1:\d+", environment["AWS_LAMBDA_RUNTIME_API"])
    assert (environment["_HANDLER"], environment["TABLE"]) == ("main.go", "items")
    assert "AWS_EXECUTION_ENV" not in environment, "not defined for OS-only runtimes"
    assert leads


def test_a_layer_brings_the_bootstrap_and_the_later_layer_wins(workshop, provided, tmp_path):
    layers = []
    for name in ("earlier", "later"):
        source = provided(f"serve(lambda event: {name!r})")
        source.code.rename(tmp_path / name)
        layers.append(tmp_path / name)
    version = provided({"main.sh": "#!/bin/sh\n"}, layers=tuple(layers))
    assert workshop.answer(version) == "later"
    own = provided("serve(lambda event: 'own')", layers=tuple(layers))
    assert workshop.answer(own) == "own"


def test_what_a_layer_brings_is_on_the_path(workshop, provided, tmp_path):
    tool = tmp_path / "layer" / "bin" / "tool"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\necho from the layer\n")
    tool.chmod(0o755)
    version = provided(
        "import subprocess\nserve(lambda event: subprocess.getoutput('tool'))", layers=(tool.parents[1],)
    )
    assert workshop.answer(version) == "from the layer"


def test_every_request_of_an_event_is_answered_as_documented(workshop, provided):
    version = provided("""
seen = []
while True:
    i, h, e = next_event()
    if e: respond(i, seen); continue
    seen.append(told(respond("8f507cfc-0000-4697-b07a-ac58fc914c95", 1)))
    seen.append(told(respond(i, 1)))
    seen.append(told(respond(i, 2)))
    seen.append(told(fail(i, b"{}")))
    seen.append(told(ask("POST", RUNTIME + "init/error", b"{}")))
    seen.append(ask("GET", RUNTIME + "unknown")[0])
""")
    assert workshop.answer(version, 0) == 1, "the first answer counts"
    refused = "State transition from ResponseSent to {} failed for runtime. Error: State transition is not allowed"
    assert workshop.answer(version, 1) == [
        [400, {"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"}],
        [202, {"status": "OK"}],
        [403, {"errorMessage": refused.format("InvocationResponse"), "errorType": "InvalidStateTransition"}],
        [403, {"errorMessage": refused.format("InvocationErrorResponse"), "errorType": "InvalidStateTransition"}],
        [403, {"errorMessage": refused.format("InitError"), "errorType": "InvalidStateTransition"}],
        404,
    ]


def test_the_answer_to_an_event_that_is_over_is_refused(workshop, provided):
    version = provided("""
last = "none"
while True:
    i, h, e = next_event()
    late = told(respond(last, "late"))
    last = i
    respond(i, late)
""")
    ids = ["11111111-xmpl-4697-b07a-ac58fc914c95", "22222222-xmpl-4697-b07a-ac58fc914c95"]
    answers = [workshop.answer(version, request_id=request_id) for request_id in ids]
    assert answers == [[400, {"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"}]] * 2


def test_a_runtime_that_asks_again_is_given_the_same_event(workshop, provided):
    version = provided("""
while True:
    i, h, e = next_event()
    j, h, f = next_event()
    respond(j, [i == j, e, f])
""")
    assert workshop.answer(version, {"a": 1}) == [True, {"a": 1}, {"a": 1}]


def test_an_event_waits_for_a_runtime_whose_connection_broke_while_it_asked(workshop, provided):
    version = provided("""
import socket, threading
host, port = HOST.split(":")
first = socket.create_connection((host, int(port)))
first.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
import time; time.sleep(0.1)
first.close()
time.sleep(0.3)
serve(lambda event: event)
""")
    assert workshop.answer(version, 5) == 5


# -- errors --


def test_an_error_is_handed_on_as_the_runtime_wrote_it(workshop, provided):
    document = '{"errorMessage": "no such item",  "errorType": "NotFound", "stackTrace": []}'
    version = provided(
        f"while True:\n    i, h, e = next_event(); fail(i, {document.encode()!r}, "
        "Lambda_Runtime_Function_Error_Type='Function.NotFound')"
    )
    outcome = workshop.invoke(version)
    assert (outcome.error, outcome.payload.decode()) == ("Unhandled", document)
    assert not workshop.invoke(version).cold, "an error does not cost the instance"


@pytest.mark.parametrize(
    ("said", "kind"), [("Runtime.NoSuchHandler", "Runtime.NoSuchHandler"), ("anything", "Runtime.Unknown")]
)
def test_an_error_without_a_body_is_made_of_its_header(workshop, provided, said, kind):
    version = provided(
        f"while True:\n    i, h, e = next_event(); fail(i, b'', Lambda_Runtime_Function_Error_Type={said!r})"
    )
    assert workshop.failure(version)["errorType"] == kind


def test_a_cause_for_x_ray_is_not_for_the_caller(workshop, provided):
    version = provided("""
whole = {"errorMessage": "m", "errorType": "T", "stackTrace": ["s"], "errorCause": {"working_directory": "/"}}
while True:
    i, h, e = next_event()
    body = json.dumps(whole).encode() if e else b"broken"
    fail(i, body, Content_Type="application/vnd.aws.lambda.error.cause+json")
""")
    assert workshop.failure(version, 1) == {"errorMessage": "m", "errorType": "T", "stackTrace": ["s"]}
    assert workshop.failure(version, 0) == "Invalid error body"


def test_an_init_error_is_what_the_event_is_answered_with(workshop, provided):
    version = provided("""
body = b'{"errorMessage": "no config", "errorType": "Init.Config"}'
print(told(ask("POST", RUNTIME + "init/error", body)), flush=True)
""")
    for _ in range(2):  # And again: no instance is left of it.
        assert workshop.failure(version) == {"errorMessage": "no config", "errorType": "Init.Config"}
    assert re.search(r"INIT_REPORT .*Status: error\tError Type: Init.Config\n", workshop.text())


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[1]", b'{"errorMessage": {"a": 1}, "errorType": 5}'])
def test_an_init_error_of_any_form_is_told(workshop, provided, body):
    version = provided(f"ask('POST', RUNTIME + 'init/error', {body!r}, Lambda_Runtime_Function_Error_Type='x')")
    failed = workshop.failure(version)
    assert {type(failed["errorMessage"]), type(failed["errorType"])} == {str}


# -- sizes and streams --


def test_a_response_that_is_too_large_is_refused_and_the_caller_told(workshop, provided):
    version = provided("""
seen = None
while True:
    i, h, e = next_event()
    if not e: respond(i, seen); continue
    seen = told(ask("POST", RUNTIME + "invocation/%s/response" % i, b"1" * e))
""")
    failed = workshop.failure(version, 6 * 1024 * 1024 + 101)
    assert failed["errorType"] == "Function.ResponseSizeTooLarge"
    told = {
        "errorMessage": "Exceeded maximum allowed payload size (6291556 bytes).",
        "errorType": "RequestEntityTooLarge",
    }
    assert workshop.answer(version, 0) == [413, told]
    assert len(workshop.invoke(version, 6 * 1024 * 1024 + 100).payload) == 6 * 1024 * 1024 + 100


STREAM = """
import socket
host, port = HOST.split(":")
def stream(i, pieces, trailers="", mode="streaming"):
    s = socket.create_connection((host, int(port)))
    head = "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\\r\\nHost: x\\r\\nTransfer-Encoding: chunked\\r\\n"
    head += "Lambda-Runtime-Function-Response-Mode: %s\\r\\nContent-Type: application/x-pieces\\r\\n"
    head += "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\\r\\n\\r\\n"
    s.sendall((head % (i, mode)).encode())
    for piece in pieces:
        s.sendall(b"%x\\r\\n%s\\r\\n" % (len(piece), piece))
    s.sendall(b"0\\r\\n" + trailers.encode() + b"\\r\\n")
    return s.recv(65536)
"""


class Pieces:
    """Whoever reads a stream."""

    def __init__(self) -> None:
        self.content_type = ""
        self.pieces: list[bytes] = []

    def begin(self, content_type: str) -> None:
        self.content_type = content_type

    def add(self, piece: bytes, source: object) -> None:
        self.pieces.append(piece)


def test_a_streamed_response_is_more_than_a_whole_one_for_whoever_reads_pieces(workshop, provided):
    """ADR 0010: what is read whole is limited as a reply that is one; who reads pieces gets them all."""
    version = provided(STREAM + "while True:\n    i, h, e = next_event(); stream(i, [b'x' * 65536] * e)")
    whole = workshop.invoke(version, 3)
    assert (whole.payload, whole.content_type) == (b"x" * 3 * 65536, "application/x-pieces")
    assert workshop.failure(version, 160)["errorType"] == "Function.ResponseSizeTooLarge"
    reader = Pieces()
    assert workshop.invoke(version, 160, flow=reader).error is None
    assert reader.content_type == "application/x-pieces"
    assert b"".join(reader.pieces) == b"x" * 160 * 65536, "more than a buffered one may have"


def test_a_stream_that_breaks_off_says_so_in_its_trailers(workshop, provided):
    version = provided(
        STREAM
        + """
from base64 import b64encode
body = b64encode(b'{"errorType": "Function.Late", "errorMessage": "halfway"}').decode()
while True:
    i, h, e = next_event()
    trailers = "Lambda-Runtime-Function-Error-Type: Function.Late\\r\\n"
    stream(i, [b"half"], trailers + ("Lambda-Runtime-Function-Error-Body: %s\\r\\n" % body if e else ""))
"""
    )
    assert workshop.failure(version, 1) == {"errorType": "Function.Late", "errorMessage": "halfway"}
    assert workshop.failure(version, 0) == {"errorType": "Function.Late"}


def test_an_unknown_response_mode_is_refused(workshop, provided):
    version = provided(
        STREAM
        + """
while True:
    i, h, e = next_event()
    print(stream(i, [b"1"], mode="eager"), flush=True)
"""
    )
    assert workshop.failure(version)["errorType"] == "Runtime.InvalidResponseModeHeader"
    assert "HTTP/1.1 400" in workshop.text() and "InvalidFunctionResponseMode" in workshop.text()


def test_the_lines_of_an_event_stand_between_start_and_report(workshop, provided):
    version = provided("""
print("in init", flush=True)
import sys
def handle(event):
    print("plain", flush=True); print("error stream", file=sys.stderr, flush=True)
serve(handle)
""")
    outcome = workshop.invoke(version)
    lines = [line for *_, line in workshop.lines]
    assert lines[:5] == [
        "in init\n", f"START RequestId: {REQUEST_ID} Version: $LATEST\n", "plain\n", "error stream\n",
        f"END RequestId: {REQUEST_ID}\n",
    ]  # fmt: skip
    assert re.search(r"Max Memory Used: [1-9]\d* MB\tInit Duration: \d+\.\d\d ms\t\n", lines[5])
    assert outcome.log_tail.decode() == "".join(lines)
