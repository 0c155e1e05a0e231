"""A request of `CallFunction`, as the function gets it: data for one with an HTTP trigger, an event for the others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.functions.http.messages import HttpRequest
from fogbank.gcp.service import Code, RpcError

if TYPE_CHECKING:
    from fogbank.gcp.services.functions.state import Function

_DATA_BYTES_MAX = 10 * 1024 * 1024
_ID_CHARACTERS = 12


def execution_id(token: str) -> str:
    return token.replace("-", "")[-_ID_CHARACTERS:]


def request(function: Function, data: str, execution: str, now_ms: int) -> HttpRequest:
    """Raises `RpcError`."""
    if len(data) > _DATA_BYTES_MAX:
        raise RpcError(Code.INVALID_ARGUMENT, "The data of a call may have 10 MB at most.")
    headers = [
        ("Content-Type", "application/json"),
        ("Function-Execution-Id", execution),
        ("User-Agent", "Google-Cloud-Functions"),
    ]
    body = data.encode()
    trigger = function.first.event_trigger
    if function.first.HasField("event_trigger"):
        body = orjson.dumps({"context": _context(trigger, execution, now_ms), "data": _parsed(data)})
    return HttpRequest("POST", "/", headers, body)


def _context(trigger: Any, execution: str, now_ms: int) -> dict[str, Any]:
    at = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"eventId": execution, "timestamp": at, "eventType": trigger.event_type, "resource": trigger.resource}


def _parsed(data: str) -> Any:
    try:
        return orjson.loads(data or "{}")
    except orjson.JSONDecodeError as error:
        raise RpcError(Code.INVALID_ARGUMENT, f"The data of an event must be JSON: {error}") from error
