"""What the programs of these tests say to the APIs of their execution environment: plain HTTP, and nothing hidden."""

import http.client
import json
import os

HOST = os.environ["AWS_LAMBDA_RUNTIME_API"]
RUNTIME, EXTENSION = "/2018-06-01/runtime/", "/2020-01-01/extension/"
_connection = http.client.HTTPConnection(HOST)


def ask(method, path, body=None, **headers):
    """Status, headers and body of the answer."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    _connection.request(method, path, body, sent)
    response = _connection.getresponse()
    return response.status, response.headers, response.read()


def told(answer):
    """An answer as the test compares it: its status and what its JSON says."""
    status, _, body = answer
    return [status, json.loads(body)]


def next_event():
    """The id of the request, its headers and the event."""
    status, headers, body = ask("GET", RUNTIME + "invocation/next")
    assert status == 200, (status, body)
    return headers["Lambda-Runtime-Aws-Request-Id"], headers, json.loads(body)


def respond(request_id, value, **headers):
    return ask("POST", RUNTIME + "invocation/%s/response" % request_id, json.dumps(value).encode(), **headers)


def fail(request_id, body, **headers):
    return ask("POST", RUNTIME + "invocation/%s/error" % request_id, body, **headers)


def serve(handler):
    while True:
        request_id, _, event = next_event()
        respond(request_id, handler(event))


def register(name, *events, **headers):
    """The answer and the identifier."""
    body = json.dumps({"events": events}).encode()
    answer = ask("POST", EXTENSION + "register", body, Lambda_Extension_Name=name, **headers)
    return answer, answer[1]["Lambda-Extension-Identifier"]


def next_of(identifier):
    status, _, body = ask("GET", EXTENSION + "event/next", Lambda_Extension_Identifier=identifier)
    assert status == 200, (status, body)
    return json.loads(body)
