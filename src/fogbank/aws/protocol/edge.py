"""What AWS's front doors for HTTP add to a request on its way to a function, and take from the reply: API Gateway and
function URLs alike.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fogbank.kernel.gateway.messages import Request


def trace_header(request: Request) -> str:
    """The caller's own X-Amzn-Trace-Id, or one of this request's trace."""
    return request.headers.get("x-amzn-trace-id") or trace_text(request.trace_id)


def trace_text(trace_id: str) -> str:
    """A trace of 32 hex digits as AWS writes it."""
    return f"Root=1-{trace_id[:8]}-{trace_id[8:]}" if len(trace_id) == 32 else ""


def function_trace(header: str, request_id: str) -> str:
    """What a function finds in _X_AMZN_TRACE_ID: the whole form, in which X-Ray's SDK takes it without complaint."""
    if not header or "Sampled=" in header:
        return header
    parent = "" if "Parent=" in header else f";Parent={request_id.replace('-', '')[:16]}"
    return f"{header}{parent};Sampled=0"


def forwarded(request: Request) -> tuple[tuple[str, str], ...]:
    """Where the caller was, and over what it came."""
    headers = request.headers
    return (
        ("X-Forwarded-For", headers.get("x-forwarded-for") or request.peer),
        ("X-Forwarded-Port", headers.get("host", "").partition(":")[2] or "80"),
        ("X-Forwarded-Proto", "http"),
    )


@lru_cache(4)
def request_time(epoch_s: int) -> str:
    """ "12/Mar/2020:19:03:58 +0000": the same for all requests of a second."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")


def header_text(value: Any) -> str:
    """Of a header in a function's reply. Raises `TypeError` for what is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise TypeError("a header must be text, a number or a boolean")
