"""What the APIs inside an execution environment answer with: JSON, and errors of one shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from fogbank.kernel.gateway.messages import Ready, Response

if TYPE_CHECKING:
    from fogbank.kernel.gateway.messages import Request

_JSON = [("content-type", "application/json")]
NOT_ALLOWED = "State transition is not allowed"


def answer(status: int, content: Any, *headers: tuple[str, str]) -> Ready:
    return Ready(Response(status, [*_JSON, *headers], orjson.dumps(content)))


def accepted() -> Ready:
    return answer(202, {"status": "OK"})


def refused(status: int, kind: str, message: str) -> Ready:
    return answer(status, {"errorMessage": message, "errorType": kind})


def header(request: Request, name: str) -> str:
    """Of a request, by its name in lower case; bytes that are no text become marks, since JSON has no room for them."""
    return request.headers.get(name, "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def object_of(body: bytes) -> dict[str, Any]:
    """What a body says, if it is a JSON object; else an empty one."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def not_found() -> Ready:
    return Ready(Response(404, [("content-type", "text/plain; charset=utf-8")], b"404 page not found\n"))


def document(kind: str, message: str, request_id: str = "{}") -> bytes:
    """What an event is answered with that fails outside the function's own code; `{}`: its id is not known yet."""
    return orjson.dumps({"errorType": kind, "errorMessage": f"RequestId: {request_id} Error: {message}"})
