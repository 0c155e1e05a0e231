"""Why a deployment has failed, in the words of the service: the error of its operation, and of the function's state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from fogbank.gcp.protocol.descriptors import message
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.functions import metadata

if TYPE_CHECKING:
    from fogbank.gcp.services.functions.state import Function, Serving

_LOG_END = 2000  # Characters: "the end of the build's log".
_HELP = "https://cloud.google.com/functions/docs/troubleshooting"


def build(function: Function, build_id: str, log: str) -> RpcError:
    said = " ".join(log.strip()[-_LOG_END:].split("\r")).rstrip(".")
    if function.generation == 1:
        return RpcError(Code.INVALID_ARGUMENT, f"Build failed: {said}; Error ID: {build_id[-8:]}")
    url = metadata.logs_url(function.at, build_id)
    told = f"Build failed with status: FAILURE and message: {said}. For more details see the logs at {url}."
    return RpcError(Code.INVALID_ARGUMENT, told)


def start(function: Function, serving: Serving, document: bytes) -> RpcError:
    """`document`: the error that the instance told, as an invocation would have answered it."""
    why = _why(document)
    if function.generation == 1:
        told = (
            "Function failed on loading user code. This is likely due to a bug in the user code. Error message: "
            f"{why} Please visit {_HELP} for in-depth troubleshooting documentation."
        )
        return RpcError(Code.INVALID_ARGUMENT, told)
    at, service, revision = function.at, function.service, serving.revision
    logs = (
        f"https://console.cloud.google.com/logs/viewer?project={at.project}&resource=cloud_run_revision/service_name/"
        f"{service}/revision_name/{revision}&advancedFilter=resource.type%3D%22cloud_run_revision%22%0A"
        f"resource.labels.service_name%3D%22{service}%22%0Aresource.labels.revision_name%3D%22{revision}%22"
    )
    told = (
        f"Could not create or update Cloud Run service {service}, Container Healthcheck failed. Revision '{revision}' "
        "is not ready and cannot serve traffic. The user-provided container failed to start and listen on the port "
        "defined provided by the PORT=8080 environment variable within the allocated timeout. This can happen when the "
        "container port is misconfigured or if the timeout is too short. The health check timeout can be extended. "
        f"Logs for this revision might contain more information.\n\nLogs URL: {logs} \nFor more troubleshooting "
        "guidance, see https://cloud.google.com/run/docs/troubleshooting#container-failed-to-start"
    )
    # On Google one has to go and look for it; here it is told with the error.
    detail: Any = message("google.rpc.Status")(code=int(Code.INVALID_ARGUMENT), message=why)
    return RpcError(Code.INVALID_ARGUMENT, told, [detail])


def _why(document: bytes) -> str:
    text = document.decode(errors="replace")
    try:
        told = orjson.loads(document)
    except orjson.JSONDecodeError:
        return text[-_LOG_END:]
    if not isinstance(told, dict):
        return text[-_LOG_END:]
    trace = told.get("stackTrace")
    lines = [str(line) for line in trace] if isinstance(trace, list) else []
    kind, said = str(told.get("errorType") or ""), str(told.get("errorMessage") or text)
    named = kind and "." not in kind  # An exception of the function's; "Runtime.ExitError" and such tell nothing more.
    return "\n".join([*lines, f"{kind}: {said}" if named else said])[-_LOG_END:]
