"""What a Python function logs is what the runtime that AWS publishes (`awslambdaric`) would log: record for record."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fogbank.functions.runtimes import python
from fogbank.functions.sandbox.protections import INSIDE

_INSIDE = Path(python.__file__).parent / "inside"
_OURS = """
import aws_lambda
aws_lambda._set_up_logging()
aws_lambda._log_filter.request_id = "r-1"
error = aws_lambda._log_error
"""
_THEIRS = """
from awslambdaric import bootstrap
bootstrap._GLOBAL_AWS_REQUEST_ID = "r-1"
sink = bootstrap.StandardLogSink()
sink.log = lambda text, frame_type=None: sys.stdout.write(text if text.endswith("\\n") else text + "\\n")
bootstrap._setup_logging(bootstrap._AWS_LAMBDA_LOG_FORMAT, bootstrap._AWS_LAMBDA_LOG_LEVEL, sink)
error = lambda document: bootstrap.log_error(document, sink)
"""
_STILL = """
import logging, sys, time
time.time = lambda: 1795515544.25
time.gmtime = lambda *at, real=time.gmtime: real(1795515544.25)
"""
_RECORDS = """
log = logging.getLogger("shop")
log.info("hi %s", "you")
log.debug("hidden, or not")
log.warning({"a": 1, "when": object})
log.error("x", extra={"order": 5, "who": {"n": 1}, "none": None})
log.log(35, "a level between")
log.critical("é")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("oops")
logging.getLogger().error("whole", stack_info=True)
for trace in (["  File a\\n    x\\n", "  File b\\n"], []):
    error({"errorMessage": "no", "errorType": "ValueError", "requestId": "r-1", "stackTrace": trace})
"""


def said(first: str, environment: dict[str, str]) -> list[str]:
    path = f"sys.path[:0] = {[str(_INSIDE), str(INSIDE)]!r}"
    steps = [_STILL, path, f"exec({first!r})"]  # One line each, for equal traces.
    program = "\n".join([*steps, f"exec(compile({_RECORDS!r}, 'app.py', 'exec'))"])
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, encoding="utf-8"
    )
    return done.stdout.replace("\r", "\n").splitlines()


@pytest.mark.parametrize("level", ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"])
def test_json_records_are_those_of_awss_own_runtime(level: str) -> None:
    pytest.importorskip("awslambdaric", reason="AWS's own runtime client is the measure")
    environment = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": level, "PYTHONUTF8": "1"}
    ours = said(_OURS, environment)
    assert ours == said(_THEIRS, environment)
    assert len(ours) == {"TRACE": 10, "DEBUG": 10, "INFO": 9, "WARN": 8, "ERROR": 6, "FATAL": 3}[level]


def test_text_lines_are_those_of_awss_own_runtime() -> None:
    pytest.importorskip("awslambdaric", reason="AWS's own runtime client is the measure")
    ours = said(_OURS, {"PYTHONUTF8": "1"})
    assert ours == [line for line in said(_THEIRS, {"PYTHONUTF8": "1"}) if line]
    assert ours[0].startswith("[WARNING]\t") and "\tr-1\t" in ours[0]
