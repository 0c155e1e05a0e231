"""What is told of an asynchronous invocation: the record that destinations get, the attributes of a dead letter.

Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.services.lambda_ import state

if TYPE_CHECKING:
    from fogbank.functions.model import Outcome

SUCCESS, USED_UP, TOO_OLD = "Success", "RetriesExhausted", "EventAgeExceeded"
NO_CONCURRENCY = "ZeroReservedConcurrency"
LOOP = "RecursiveInvocation"  # The guide does not tell its name; all else about it is as for the others.
_TOLD_MAX = 1024  # ErrorMessage: "The first 1 KB of the error message."
_WHY = {
    TOO_OLD: (429, "Rate Exceeded."),
    NO_CONCURRENCY: (429, "Rate Exceeded."),
    LOOP: (400, "The function was invoked in a recursive loop."),
}


@dataclass(frozen=True, slots=True)
class End:
    """How an event ended."""

    condition: str
    tries: int  # How often the function has been run for it.
    outcome: Outcome | None = None  # Of the last run; None where nobody has run it at the end.
    version: str = ""

    @property
    def good(self) -> bool:
        return self.condition == SUCCESS


def record(who: state.Named, request_id: str, event: str, end: End, at_ms: int) -> str:
    """ "Example invocation record"."""
    document: dict[str, Any] = {
        "version": "1.0",
        "timestamp": iso(at_ms),
        "requestContext": {
            "requestId": request_id,
            "functionArn": who.arn if who.qualifier else f"{who.arn}:{state.LATEST}",
            "condition": end.condition,
            "approximateInvokeCount": end.tries,
        },
        "requestPayload": orjson.loads(event),
    }
    if end.outcome is not None:
        response: dict[str, Any] = {"statusCode": 200, "executedVersion": end.version}
        if end.outcome.error:
            response["functionError"] = end.outcome.error
        document |= {"responseContext": response, "responsePayload": end.outcome.value()}
    return orjson.dumps(document).decode()


def dead_letter_attributes(request_id: str, end: End) -> dict[str, Any]:
    """ "Dead-letter queue message attributes"."""
    code, told = _WHY.get(end.condition, (200, ""))
    if end.outcome is not None:
        code, told = 200, _message(end.outcome.value())
    return {
        "RequestID": {"DataType": "String", "StringValue": request_id},
        "ErrorCode": {"DataType": "Number", "StringValue": str(code)},
        "ErrorMessage": {"DataType": "String", "StringValue": told.encode()[:_TOLD_MAX].decode(errors="ignore") or "none"},  # noqa: E501
    }  # fmt: skip


def _message(found: Any) -> str:
    """Of an error document; a function's own may be anything."""
    return str(found.get("errorMessage", "")) if isinstance(found, dict) else ""


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
