"""Logs as JSON, and what the levels leave of them: Lambda Developer Guide, "Configuring JSON and plain text log
formats", "Log-level filtering"."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.cloud import Cloud
from tests.support.code import call, deploy
from tests.support.refusals import refused
from tests.support.waiting import eventually

SPEAKS = """
import logging, os, sys
def handler(event, context):
    print("plain")
    print('{"level": "debug", "msg": "as other runtimes write"}')
    print('{"level": "error", "msg": "theirs"}')
    logging.getLogger("shop").info("informed")
    logging.getLogger("shop").error("alarmed")
    if event == "raise": raise ValueError("no")
    if event == "die": sys.stdout.flush(); os._exit(3)
    if event == "hang":
        while True: pass
    return os.environ["AWS_LAMBDA_LOG_FORMAT"], os.environ["AWS_LAMBDA_LOG_LEVEL"]
"""


@pytest.fixture
def functions(cloud: Cloud) -> Any:
    return cloud.client("lambda")


def lines(cloud: Cloud, name: str, enough: int) -> list[dict[str, Any] | str]:
    """Of its log: decoded, where they are JSON."""

    logs = cloud.client("logs")

    def found() -> list[str]:
        try:
            return [one["message"] for one in logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]]
        except logs.exceptions.ResourceNotFoundException:  # Nothing is written yet.
            return []

    eventually(lambda: len(found()) >= enough)
    return [json.loads(text) if text.startswith("{") else text for text in found()]


def kinds(found: list[dict[str, Any] | str]) -> list[str]:
    return [one["type"] for one in found if isinstance(one, dict) and "type" in one]


def test_json_has_a_record_for_start_and_report_and_the_functions_lines_between(cloud: Cloud, functions: Any) -> None:
    arn = deploy(functions, "f", SPEAKS, LoggingConfig={"LogFormat": "JSON"})
    assert functions.get_function_configuration(FunctionName="f")["LoggingConfig"] == {
        "LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", "LogGroup": "/aws/lambda/f",
    }  # fmt: skip
    assert call(functions, "f") == ["JSON", "INFO"]
    first, *between, last = lines(cloud, "f", 6)
    assert isinstance(first, dict) and isinstance(last, dict)
    record = first["record"]
    assert (first["type"], record["functionArn"], record["version"]) == ("platform.start", arn, "$LATEST")
    assert (last["type"], last["record"]["status"]) == ("platform.report", "success")
    assert last["record"]["requestId"] == record["requestId"]
    assert set(last["record"]["metrics"]) == {
        "durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB", "initDurationMs",
    }  # fmt: skip
    told = [one if isinstance(one, str) else one.get("msg") or one["message"] for one in between]
    assert told == ["plain\n", "theirs", "informed", "alarmed"]
    assert isinstance(between[2], dict) and between[2]["requestId"] == record["requestId"]


def test_levels_leave_what_matters(cloud: Cloud, functions: Any) -> None:
    config = {"LogFormat": "JSON", "ApplicationLogLevel": "ERROR", "SystemLogLevel": "WARN"}
    deploy(functions, "f", SPEAKS, LoggingConfig=config)
    call(functions, "f")
    call(functions, "f", "raise")
    told = [one.get("msg") or one.get("message") or one["errorMessage"] for one in lines(cloud, "f", 5)]  # type: ignore[union-attr]
    assert told == ["theirs", "alarmed", "theirs", "alarmed", "no"]


def test_debug_tells_of_init_and_runtime_too(cloud: Cloud, functions: Any) -> None:
    config = {"LogFormat": "JSON", "ApplicationLogLevel": "FATAL", "SystemLogLevel": "DEBUG"}
    deploy(functions, "f", SPEAKS, LoggingConfig=config)
    call(functions, "f")
    assert kinds(lines(cloud, "f", 6)) == [
        "platform.initStart", "platform.initRuntimeDone", "platform.initReport", "platform.start",
        "platform.runtimeDone", "platform.report",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "status", "kind"), [("die", "error", "Runtime.ExitError"), ("hang", "timeout", None)]
)
def test_an_event_that_ends_badly_is_reported_as_such(
    cloud: Cloud, functions: Any, event: str, status: str, kind: str | None
) -> None:
    config = {"LogFormat": "JSON", "ApplicationLogLevel": "FATAL", "SystemLogLevel": "WARN"}
    deploy(functions, "f", SPEAKS, LoggingConfig=config, Timeout=1)
    call(functions, "f", event)
    found = lines(cloud, "f", 2)
    assert kinds(found) == ["platform.runtimeDone", "platform.report"]
    assert [(one["record"]["status"], one["record"].get("errorType")) for one in found] == [(status, kind)] * 2  # type: ignore[index]


def test_text_reports_say_how_an_event_ended(cloud: Cloud, functions: Any) -> None:
    """As seen on AWS: nothing of an error that the function answered with, "Status: …" of one that it did not."""
    deploy(functions, "f", SPEAKS.replace('os.environ["AWS_LAMBDA_LOG_LEVEL"]', "1"), Timeout=2)
    for event in ("raise", "die", "hang"):
        call(functions, "f", event)
    ends = ("", "error\tError Type: Runtime.ExitError", "timeout")

    def told() -> bool:
        reports = [one for one in lines(cloud, "f", 1) if isinstance(one, str) and one.startswith("REPORT")]
        found = [one.rstrip("\n").partition("Status: ")[2] for one in reports]
        assert set(found) <= set(ends), found
        return sorted(found) == sorted(ends)

    eventually(told)


def test_levels_want_the_json_format(functions: Any) -> None:
    for level in ("ApplicationLogLevel", "SystemLogLevel"):
        given = {"LogFormat": "Text", level: "DEBUG"}
        assert refused(deploy, functions=functions, name="f", source=SPEAKS, LoggingConfig=given) == (
            "InvalidParameterValueException",
            f"{level} is only supported when LogFormat is set to JSON.",
        )
