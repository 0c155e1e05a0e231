"""Code that is broken or hostile: each gives Lambda's own error, costs only its own instance, and leaves a log that
says what happened."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from typing import Any

import pytest

from tests.support.cloud import Cloud
from tests.support.code import ROLE, call, deploy, zipped
from tests.support.refusals import refused

ENTRY = "def handler(event, context):\n"


@pytest.fixture
def functions(cloud: Cloud) -> Any:
    return cloud.client("lambda")


def failed(functions: Any, name: str, event: Any = None) -> tuple[str, str, str]:
    """Type and message of the error that an invocation ends in, and its log."""
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(event), LogType="Tail")
    assert answer["FunctionError"] == "Unhandled"
    document = json.loads(answer["Payload"].read())
    return document["errorType"], document["errorMessage"], base64.b64decode(answer["LogResult"]).decode()


# -- bundles --


def truncated() -> bytes:
    whole = zipped({"app.py": ENTRY + "    return 1\n"})
    return whole[: len(whole) // 2]


def with_wrong_sum() -> bytes:
    """Stored, not packed: its bytes can be changed so that all but the sum fits."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", ENTRY + "    return 1\n")
    return buffer.getvalue().replace(b"return 1", b"return 2")


def with_absolute_path() -> bytes:
    return zipped({"/etc/cron.d/evil": "x"})


def bomb() -> bytes:
    """260 MB of nothing in 260 KB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * (270 * 1024 * 1024))
    return buffer.getvalue()


@pytest.mark.parametrize("bundle", [truncated, with_wrong_sum, with_absolute_path, lambda: b"no zip at all"])
def test_a_bundle_that_is_no_whole_zip_is_refused(functions: Any, bundle: Any) -> None:
    code = {"ZipFile": bundle()}
    given = {"FunctionName": "f", "Runtime": "python3.11", "Role": ROLE, "Handler": "app.handler", "Code": code}
    assert refused(functions.create_function, **given) == (
        "InvalidParameterValueException",
        "Could not unzip uploaded file. Please check your file, then try to upload again.",
    )
    assert functions.list_functions()["Functions"] == []


def test_a_bundle_that_unpacks_to_more_than_250_mb_is_refused(functions: Any) -> None:
    given = {"FunctionName": "f", "Runtime": "python3.11", "Role": ROLE, "Handler": "app.handler"}
    code, message = refused(functions.create_function, **given, Code={"ZipFile": bomb()})
    assert (code, "262144000" in message) == ("InvalidParameterValueException", True), message


# -- handlers --


@pytest.mark.parametrize(
    ("source", "kind", "message", "logged"),
    [
        ("def handler(event, context)\n    return 1\n", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'",
         "[ERROR] Runtime.UserCodeSyntaxError"),
        ("other = 1\n", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'",
         "[ERROR] Runtime.HandlerNotFound"),
        ("import os\nos._exit(7)\n", "Runtime.ExitError", "Error: Runtime exited with error: exit status 7",
         "INIT_REPORT"),
        ("import sys\nsys.exit(0)\n", "Runtime.ExitError", "Runtime exited", "INIT_REPORT"),
        (ENTRY + "    return {1, 2}\n", "Runtime.MarshalError",
         "Unable to marshal response: Object of type set is not JSON serializable", "[ERROR] Runtime.MarshalError"),
        (ENTRY + "    return 'x' * 7_000_000\n", "Function.ResponseSizeTooLarge",
         "Response payload size exceeded maximum allowed payload size (6291556 bytes).", "REPORT"),
        (ENTRY + "    import os, signal\n    os.kill(os.getpid(), signal.SIGSEGV)\n", "Runtime.ExitError",
         "Error: Runtime exited with error: signal: segmentation fault", "Status: error"),
        (ENTRY + "    while True: pass\n", "Sandbox.Timedout", "Error: Task timed out after 1.00 seconds",
         "Status: timeout"),
        (ENTRY + "    x = [bytearray(1 << 20) for _ in range(4096)]\n", "Runtime.ExitError",
         "Error: Runtime exited with error: signal: killed", "Status: error"),
    ],
)  # fmt: skip
def test_a_handler_that_cannot_answer_is_told_as_lambda_tells_it(
    functions: Any, source: str, kind: str, message: str, logged: str
) -> None:
    deploy(functions, "bad", source, Timeout=1)
    deploy(functions, "good", ENTRY + "    return 'well'\n")
    found_kind, found_message, log = failed(functions, "bad")
    assert found_kind == kind and message in found_message, found_message
    assert logged in log and log.count("REPORT RequestId:") == 1, log
    assert failed(functions, "bad")[0] == kind, "the next one meets the same"
    assert call(functions, "good") == "well"


def test_bytes_on_standard_output_are_lines_of_the_log_and_nothing_else(functions: Any) -> None:
    source = ENTRY + "    import os\n    os.write(1, bytes(range(256)) + b'\\n')\n    return 'well'\n"
    deploy(functions, "noisy", source)
    answer = functions.invoke(FunctionName="noisy", LogType="Tail")
    assert json.loads(answer["Payload"].read()) == "well"
    assert "\\xff" in base64.b64decode(answer["LogResult"]).decode()
