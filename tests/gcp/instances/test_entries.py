"""Cloud Logging's reading of what a function writes. "Structured logging", "Special JSON fields in messages"."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fogbank.functions.http.messages import HttpRequest, Left, Visit
from fogbank.gcp.instances import RUNTIMES, Function, is_runnable, version_of
from fogbank.gcp.instances.dialect import HTTP_DIALECTS
from fogbank.gcp.instances.entries import STDOUT, of_line

REVISION = "say-hello-00003-xyz"
FUNCTION = Function("shop", "europe-west1", "say_hello", "python311", "say_hello", Path("/code"), revision=REVISION)
FIRST = Function("shop", "europe-west1", "say_hello", "nodejs20", "sayHello", Path("/code"), generation=1, revision="7")
VISIT = Visit(HttpRequest("GET", "/a", [("Host", "h")]), 0, "exec12345678", "0" * 31 + "1", "00000000000000ff")


def entry(line, severity="DEFAULT", visit=None):
    return json.loads(of_line(version_of(FUNCTION), STDOUT, {"own": "1"}, line, severity, visit))


def test_a_line_is_text_of_its_revision():
    assert entry("hello\n") == {
        "logName": "projects/shop/logs/run.googleapis.com%2Fstdout",
        "resource": {
            "type": "cloud_run_revision",
            "labels": {
                "project_id": "shop",
                "location": "europe-west1",
                "service_name": "say-hello",
                "configuration_name": "say-hello",
                "revision_name": "say-hello-00003-xyz",
            },
        },
        "labels": {"own": "1"},
        "severity": "DEFAULT",
        "textPayload": "hello",
    }


@pytest.mark.parametrize("line", ["{not json", "[1, 2]", '"text"', "12", "{}x", '{"a": 1} tail'])
def test_what_is_no_json_object_is_text(line):
    assert entry(line)["textPayload"] == line


def test_special_fields_go_to_their_places_and_the_rest_is_the_payload():
    said = {
        "severity": "warning",
        "message": "careful",
        "part": {"n": 1},
        "logging.googleapis.com/labels": {"shelf": 3, "own": "2"},
        "logging.googleapis.com/trace": "projects/shop/traces/abc",
        "logging.googleapis.com/spanId": "0f",
        "logging.googleapis.com/trace_sampled": True,
        "logging.googleapis.com/insertId": "id7",
        "logging.googleapis.com/operation": {"id": "o", "first": True},
        "logging.googleapis.com/sourceLocation": {"file": "main.py", "line": "3"},
        "httpRequest": {"status": 200},
        "time": "2026-01-02T03:04:05Z",
    }
    found = entry(json.dumps(said), visit=VISIT)
    assert found["severity"] == "WARNING"
    assert found["jsonPayload"] == {"message": "careful", "part": {"n": 1}}
    assert found["labels"] == {"own": "2", "shelf": "3"}
    assert found["trace"] == "projects/shop/traces/abc"
    assert found["spanId"] == "0f"
    assert found["traceSampled"] is True
    assert found["insertId"] == "id7"
    assert found["operation"] == {"id": "o", "first": True}
    assert found["sourceLocation"] == {"file": "main.py", "line": "3"}
    assert found["httpRequest"] == {"status": 200}
    assert found["timestamp"] == "2026-01-02T03:04:05Z"


def test_a_message_that_is_left_alone_is_text():
    """ "message is saved as textPayload if it is the only field remaining"."""
    found = entry('{"message": "only this\\n", "severity": "NOTICE"}')
    assert (found["textPayload"], found["severity"]) == ("only this", "NOTICE")


@pytest.mark.parametrize(
    ("said", "severity"),
    [("fatal", "CRITICAL"), ("nonsense", "DEFAULT"), (7, "DEFAULT"), (None, "DEFAULT"), ("", "DEFAULT")],
)
def test_a_severity_is_one_of_googles(said, severity):
    assert entry(json.dumps({"severity": said, "message": "m"}))["severity"] == severity


def test_special_fields_of_a_wrong_type_harm_nobody():
    said = {
        "logging.googleapis.com/labels": ["x"],
        "httpRequest": "no",
        "logging.googleapis.com/trace": {"a": 1},
        "a": 1,
    }
    found = entry(json.dumps(said))
    assert found["jsonPayload"] == {"httpRequest": "no", "a": 1}
    assert "trace" not in found


def test_a_line_of_a_request_that_was_alone_has_its_trace():
    found = entry("hello", visit=VISIT)
    assert (found["trace"], found["spanId"]) == (f"projects/shop/traces/{VISIT.trace}", VISIT.span)


def test_the_second_generation_logs_each_request_as_cloud_run_does():
    version = version_of(FUNCTION)
    [line] = HTTP_DIALECTS[version.dialect].ended_visit(version, VISIT, Left(404, 12.5, 9, []))
    found = json.loads(line)
    assert found["logName"].endswith("run.googleapis.com%2Frequests")
    assert found["severity"] == "WARNING"
    assert found["labels"] == {"goog-managed-by": "cloudfunctions"}, "what `gcloud functions logs read` asks for"
    assert {"requestMethod": "GET", "requestUrl": "https://h/a", "status": 404, "latency": "0.012500000s"}.items() <= (
        found["httpRequest"].items()
    )


def test_the_first_generation_tells_how_a_function_ended():
    version = version_of(FIRST)
    dialect = HTTP_DIALECTS[version.dialect]
    [began] = dialect.started_visit(version, VISIT)
    [ended] = dialect.ended_visit(version, VISIT, Left(200, 12.4, 0, []))
    [crashed] = dialect.ended_visit(version, VISIT, Left(500, 3, 0, [("X-Google-Status", "crash")]))
    found = [json.loads(line) for line in (began, ended, crashed)]
    assert [one["textPayload"] for one in found] == [
        "Function execution started",
        "Function execution took 12 ms, finished with status code: 200",
        "Function execution took 3 ms, finished with status: 'crash'",
    ]
    assert found[0]["resource"] == {
        "type": "cloud_function",
        "labels": {"function_name": "say_hello", "region": "europe-west1", "project_id": "shop"},
    }
    assert found[0]["labels"] == {"execution_id": "exec12345678"}


# -- requests --


def received(headers, **more):
    version = version_of(FUNCTION)
    visit = HTTP_DIALECTS[version.dialect].receive(version, HttpRequest("GET", "/", headers, **more), 0, "")
    return visit, {name.lower(): value for name, value in visit.request.headers}


def test_a_request_gets_an_execution_id_and_a_trace_that_agree_everywhere():
    visit, headers = received([])
    assert headers["function-execution-id"] == visit.execution_id
    assert len(visit.execution_id) == 12
    assert headers["traceparent"] == f"00-{visit.trace}-{visit.span}-01"
    assert headers["x-cloud-trace-context"] == f"{visit.trace}/{int(visit.span, 16)};o=1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-00000000000000ff-01"),
        ("X-Cloud-Trace-Context", "0af7651916cd43dd8448eb211c80319c/255;o=1"),
    ],
)
def test_a_trace_that_the_caller_has_begun_goes_on(name, value):
    visit, headers = received([(name, value)])
    assert (visit.trace, visit.span) == ("0af7651916cd43dd8448eb211c80319c", "00000000000000ff")
    assert headers[name.lower()] == value


@pytest.mark.parametrize("value", ["", "00-zz-1-01", "00-" + "a" * 32, "junk/1;o=1", "é" * 40])
def test_a_trace_that_is_none_is_replaced(value):
    visit, _ = received([("traceparent", value), ("X-Cloud-Trace-Context", value)])
    assert len(visit.trace) == 32


# -- versions --


def test_two_of_the_same_function_are_one_version_and_any_change_makes_another():
    one = version_of(FUNCTION)
    assert version_of(FUNCTION).id == one.id
    changes = [
        {"memory_mb": 512}, {"environment": {"A": "1"}}, {"files": {"/secrets/a": b"1"}}, {"code": Path("/other")},
        {"revision": "r2"}, {"concurrency": 80}, {"layers": (Path("/l"),)},
    ]  # fmt: skip
    ids = {version_of(replace(FUNCTION, **change)).id for change in changes}
    assert len(ids) == len(changes)
    assert one.id not in ids


def test_runtimes_of_other_languages_are_refused_by_name():
    for runtime in ("go122", "java21", "ruby33", "dotnet8", "php83", "python2", "nodejs"):
        assert not is_runnable(runtime)
        with pytest.raises(ValueError, match=runtime):
            version_of(replace(FUNCTION, runtime=runtime))
    assert {"python39", "python314", "nodejs16", "nodejs24"} <= set(RUNTIMES)


@pytest.mark.parametrize(
    "path", ["/tmp/x", "/secrets", "/secrets/../etc/passwd", "secrets/a", "/workspace/a", "/mnt//a"]
)
def test_a_secret_is_mounted_only_where_there_is_a_place_for_it(path):
    with pytest.raises(ValueError, match="no secret can be mounted"):
        version_of(replace(FUNCTION, files={path: b"x"}))


def test_the_first_generation_is_at_one_request_at_a_time():
    assert version_of(replace(FIRST, concurrency=80)).concurrency == 1


@pytest.mark.parametrize(
    ("told", "span"),
    [("255;o=1", "00000000000000ff"), ("255", "00000000000000ff"), ("9" * 5000, None), ("-1", None), ("", None)],
)
def test_the_span_of_a_trace_context_is_a_number_of_64_bits_or_a_new_one(told, span):
    trace = "0123456789abcdef" * 2
    request = HttpRequest("GET", "/", [("X-Cloud-Trace-Context", f"{trace}/{told}")])
    visit = HTTP_DIALECTS["gcp"].receive(version_of(FUNCTION), request, 0, "id")
    assert visit.trace == trace
    assert visit.span == (span or visit.span) and len(visit.span) == 16
