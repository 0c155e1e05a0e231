"""What a runtime or an extension says that it should not: it harms the event at most that it is given."""

from __future__ import annotations

import json

import pytest

from tests.functions.provided.test_extensions import ECHO, WATCH, heard, retire, until_leaving_is_over
from tests.support.workshop import REQUEST_ID

RAW = """
import socket, threading, time
def raw(text, wait=True):
    line = socket.create_connection(("127.0.0.1", int(HOST.rpartition(":")[2])))
    line.sendall(text.encode())
    return line.recv(65536).decode().split("\\r\\n")[0] if wait else line
"""


def test_two_replies_at_once_are_one_and_the_other_is_refused(workshop, provided):
    version = provided(
        RAW
        + """
seen = []
def reply(i, value):
    body = json.dumps(value)
    path = RUNTIME + "invocation/%s/response" % i
    seen.append(raw("POST %s HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (path, len(body), body)))
while True:
    i, h, e = next_event()
    if e == "seen": respond(i, sorted(seen)); continue
    both = [threading.Thread(target=reply, args=(i, e)) for _ in range(2)]
    [one.start() for one in both]
    [one.join() for one in both]
"""
    )
    assert workshop.answer(version, 1) == 1
    assert workshop.answer(version, "seen") == ["HTTP/1.1 202 Accepted", "HTTP/1.1 403 Forbidden"]


def test_headers_without_end_are_refused_and_the_runtime_goes_on(workshop, provided):
    version = provided(
        RAW + 'serve(lambda e: raw("GET / HTTP/1.1\\r\\nHost: x\\r\\nX: " + "x" * 70_000 + "\\r\\n\\r\\n"))'
    )
    assert workshop.answer(version) == "HTTP/1.1 431 Request Header Fields Too Large"
    assert workshop.answer(version) == "HTTP/1.1 431 Request Header Fields Too Large"


def test_requests_that_never_end_keep_nobody_from_the_runtimes_own_connection(workshop, provided):
    version = provided(
        RAW
        + """
held = []
def handler(event):
    held.extend(raw("POST /2018-06-01/runtime/init/error HTTP/1.1\\r\\nHost:", wait=False) for _ in range(130))
    return raw("GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
serve(handler)
"""
    )
    assert workshop.answer(version) == "HTTP/1.1 503 Service Unavailable", "so many connections, and no more"
    assert workshop.answer(version) == "HTTP/1.1 503 Service Unavailable"


@pytest.mark.parametrize(
    "request_id", ["", "none", "../next", REQUEST_ID.upper(), f"{REQUEST_ID}%20", f"{REQUEST_ID}/x", "x" * 10_000]
)
def test_a_reply_to_another_id_is_none(workshop, provided, request_id):
    version = provided("""
def handler(event):
    return ask("POST", RUNTIME + "invocation/%s/response" % event, b'"wrong"')[0]
serve(handler)
""")
    assert workshop.answer(version, request_id) in (400, 404)


def test_a_reply_that_comes_after_the_time_changes_nothing(workshop, provided, extension):
    """The runtime is told to end, and answers in that moment what it was asked."""
    version = provided(
        """
import signal, time
def late(*_):
    print("late", respond(current, "late")[0], flush=True)
    next_event()
signal.signal(signal.SIGTERM, late)
while True:
    current, _, event = next_event()
    if event != "sleep": respond(current, event); continue
    while True: time.sleep(1)
""",
        layers=(extension("watch", WATCH),),
        timeout_ms=500,
    )
    ids = ["11111111-xmpl-4697-b07a-ac58fc914c95", "22222222-xmpl-4697-b07a-ac58fc914c95"]
    failed = workshop.failure(version, "sleep", request_id=ids[0])
    assert failed["errorType"] == "Sandbox.Timedout"
    assert workshop.answer(version, "next", request_id=ids[1]) == "next"
    retire(workshop, version)
    workshop.run(until_leaving_is_over(workshop))
    assert "late 202\n" in [line for _, group, _, line in workshop.lines if group == version.log_group]
    reasons = [event.get("shutdownReason") for event in heard(workshop, version) if event["eventType"] == "SHUTDOWN"]
    assert sorted(reasons) == ["spindown", "timeout"]


@pytest.mark.parametrize("trailers", ["Content-Length: 5\r\n", "Host: y\r\n", "Transfer-Encoding: chunked\r\n"])
def test_trailers_say_nothing_of_how_the_request_is_read(workshop, provided, trailers):
    version = provided(
        RAW
        + f"""
def handler(event):
    head = "POST /2018-06-01/runtime/invocation/none/response HTTP/1.1\\r\\nHost: x\\r\\n"
    head += "Transfer-Encoding: chunked\\r\\n\\r\\n"
    return raw(head + "1\\r\\n1\\r\\n0\\r\\n" + {trailers!r} + "\\r\\n")
serve(handler)
"""
    )
    assert workshop.answer(version).startswith("HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "body", ["{", "[]", "null", '{"events": {}}', '{"events": [1]}', "\ud7ff" * 40_000, "[" * 5000]
)
def test_a_registration_of_any_form_is_refused_in_words(workshop, provided, body):
    version = provided(f"""
answer = told(ask("POST", EXTENSION + "register", {body!r}.encode(), Lambda_Extension_Name="odd"))
serve(lambda event: answer)
""")
    status, told = workshop.answer(version)
    assert (status, told["errorType"]) == (403, "InvalidRequestFormat") and told["errorMessage"]
    assert "request failed" not in workshop.said.getvalue()


@pytest.mark.parametrize(
    "wanted",
    [
        "[]",
        "{}",
        '{"schemaVersion": [], "types": [[]], "destination": [], "buffering": []}',
        '{"schemaVersion": "2022-07-01", "types": ["platform"], "destination": {"protocol": "TCP", "port": 1e999}}',
        '{"schemaVersion": "2022-07-01", "types": ["platform"], "destination": {"protocol": "TCP", "port": true}}',
        '{"schemaVersion": "2022-07-01", "types": ["platform"], "destination": {"protocol": "HTTP", "URI": "http://["}}',
        '{"schemaVersion": "2022-07-01", "types": ["platform"], '
        '"destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:99999"}}',
    ],
)
def test_a_subscription_of_any_form_is_refused_in_words(workshop, provided, extension, wanted):
    odd = f"""
_, me = register("odd")
_, _, said = ask("PUT", "/2022-07-01/telemetry", {wanted!r}.encode(), Lambda_Extension_Identifier=me)
print("told", said.decode(), flush=True)
next_of(me)
"""
    version = provided(ECHO, layers=(extension("odd", odd),))
    assert workshop.answer(version, 1) == 1
    told = [line for _, group, _, line in workshop.lines if group == version.log_group and line.startswith("told ")]
    assert json.loads(told[0].removeprefix("told "))["errorType"] == "ValidationError"
