"""What the APIs inside an execution environment answer with: JSON, and errors of one shape."""

from __future__ import annotations

from typing import Any

import orjson

from fogbank.kernel.gateway.messages import Ready, Response

_JSON = [("content-type", "application/json")]
NOT_ALLOWED = "State transition is not allowed"


def answer(status: int, content: Any, *headers: tuple[str, str]) -> Ready:
    return Ready(Response(status, [*_JSON, *headers], orjson.dumps(content)))


def accepted() -> Ready:
    return answer(202, {"status": "OK"})


def refused(status: int, kind: str, message: str) -> Ready:
    return answer(status, {"errorMessage": message, "errorType": kind})


def not_found() -> Ready:
    return Ready(Response(404, [("content-type", "text/plain; charset=utf-8")], b"404 page not found\n"))


def document(kind: str, message: str, request_id: str = "{}") -> bytes:
    """What an event is answered with that fails outside the function's own code; `{}`: its id is not known yet."""
    return orjson.dumps({"errorType": kind, "errorMessage": f"RequestId: {request_id} Error: {message}"})
