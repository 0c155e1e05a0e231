"""AWS_LAMBDA_EXEC_WRAPPER by the API: a variable of the function, a script of its package or of a layer."""

from __future__ import annotations

import base64
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.code import ROLE, zipped

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

SCRIPT = '#!/bin/sh\nexport COLOUR=red\nexec "$@"\n'
PYTHON = (
    "import os\ndef handler(event, context):\n    return [event, os.environ['COLOUR'], context.invoked_function_arn]"
)
NODE = "exports.handler = async (event, context) => [event, process.env.COLOUR, context.invokedFunctionArn];"


@pytest.fixture(params=["python3.11", "nodejs20.x"])
def wrapped(cloud: Cloud, request: Any) -> Any:
    if request.param.startswith("nodejs") and shutil.which("node") is None:
        pytest.skip("this machine has no node")
    functions = cloud.client("lambda")

    def create(script: str = SCRIPT, at: str = "/var/task/wrapper", mode: int = 0o755, **settings: Any) -> Any:
        code = {"app.py": PYTHON, "app.js": NODE, "wrapper": script}
        environment = {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": at}}
        functions.create_function(
            FunctionName="wrapped", Runtime=request.param, Role=ROLE, Handler="app.handler", Timeout=10,
            Code={"ZipFile": zipped(code, mode)}, Environment=environment, **settings,
        )  # fmt: skip
        return functions

    return create


def invoke(functions: Any, event: Any, **settings: Any) -> tuple[Any, str, str]:
    answer = functions.invoke(FunctionName="wrapped", Payload=json.dumps(event), LogType="Tail", **settings)
    log = base64.b64decode(answer["LogResult"]).decode()
    return json.loads(answer["Payload"].read()), answer.get("FunctionError", ""), log


def test_a_script_of_the_package_starts_the_function_and_its_variable_goes_away_again(wrapped: Any) -> None:
    functions = wrapped()
    [event, colour, arn], error, log = invoke(functions, {"a": 1})
    assert (event, colour, error) == ({"a": 1}, "red", "")
    assert arn.endswith(":function:wrapped") and "REPORT RequestId" in log and "Init Duration" in log
    functions.update_function_configuration(FunctionName="wrapped", Environment={"Variables": {"COLOUR": "own"}})
    assert invoke(functions, 1)[0][1] == "own"


def test_a_script_of_a_layer_starts_a_published_version(wrapped: Any, cloud: Cloud) -> None:
    content = {"ZipFile": zipped({"instrument": SCRIPT}, 0o755)}
    layer = cloud.client("lambda").publish_layer_version(LayerName="tracing", Content=content)["LayerVersionArn"]
    functions = wrapped("", "/opt/instrument", Layers=[layer])
    version = functions.publish_version(FunctionName="wrapped")["Version"]
    reply, error, _ = invoke(functions, 1, Qualifier=version)
    assert (reply[:2], error) == ([1, "red"], "")


@pytest.mark.parametrize(
    ("at", "mode", "status", "said"),
    [("/opt/nothing", 0o755, 127, "/opt/nothing: does not exist"), ("/var/task/wrapper", 0o644, 126, "is not an exec")],
)
def test_one_that_cannot_be_run_is_the_events_error(wrapped: Any, at: str, mode: int, status: int, said: str) -> None:
    reply, error, log = invoke(wrapped(at=at, mode=mode), 1)
    assert (error, reply["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert reply["errorMessage"].endswith(f" Error: Runtime exited with error: exit status {status}")
    assert said in log
