"""The Runtime API, version 2018-06-01: how a `bootstrap` gets its events and answers them.

Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes"; what is refused, and in which words, is as
the service's own Runtime Interface Emulator has it.
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import TYPE_CHECKING, Final

import orjson

from fogbank.functions.instances import Piece
from fogbank.functions.runtimes.provided.answers import (
    NOT_ALLOWED,
    accepted,
    document,
    header,
    not_found,
    object_of,
    refused,
)
from fogbank.functions.runtimes.provided.server import STREAM_BYTES_MAX, Poll
from fogbank.kernel.gateway.messages import Ready, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.functions.model import Invocation
    from fogbank.functions.runtimes.provided.server import Line
    from fogbank.kernel.gateway.messages import Answer, Request

PREFIX: Final = "/2018-06-01/runtime/"
_REPLY_BYTES_MAX = 6 * 1024 * 1024 + 100  # Lambda quotas: invocation payload, and what the service allows over.
_PIECE_BYTES = 64 * 1024
_ADDRESS_BYTES_MAX = 1024
_ERROR_TYPE = "lambda-runtime-function-error-type"
_KIND = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")
_WITH_CAUSE = "application/vnd.aws.lambda.error.cause+json"
_TOO_LARGE = orjson.dumps(
    {
        "errorMessage": f"Response payload size exceeded maximum allowed payload size ({_REPLY_BYTES_MAX} bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }
)


class RuntimeApi:
    """What the runtime may say when; its states have the names that the service's errors use."""

    def __init__(
        self, progressed: Callable[[], None], init_failed: Callable[[bytes], None], hand_on: Callable[[Piece], None],
        on_debugger: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        """`progressed` hears that the runtime waits for an event, `init_failed` the document of a failed init,
        `hand_on` of a streamed reply, `on_debugger` where a runtime of our own waits for its debugger."""
        self.state = "Started"
        self.reply: tuple[bytes, bytes] | None = None  # Kind and body, once the event is answered.
        self._progressed, self._init_failed, self._hand_on = progressed, init_failed, hand_on
        self._on_debugger = on_debugger
        self._poll: Poll | None = None
        self._request_id = ""
        self._event: Response | None = None

    @property
    def ready(self) -> bool:
        """Whether it waits with nothing to do: an event may be kept for one that has gone away while it waited."""
        return self.state == "Ready" and self._event is None

    def begin(self, invocation: Invocation, deadline_ms: int) -> None:
        """Hand it an event, or keep it until it asks: one whose connection broke will ask again."""
        self._request_id, self.reply = invocation.request_id, None
        self._event = _rendered(invocation, deadline_ms)
        if self._poll is not None and self._poll.give(self._event):
            self.state = "Running"
        self._poll = None

    def pause(self) -> None:
        """Its replies come whole: there is nothing to hold up."""

    def resume(self) -> None: ...

    def answer(self, line: Line, request: Request) -> Answer:
        match request.method, request.path.removeprefix(PREFIX).split("/"):
            case "GET", ["invocation", "next"]:
                return self._next(line)
            case "POST", ["invocation", request_id, "response"]:
                return self._answered(request_id, "InvocationResponse", request, self._respond)
            case "POST", ["invocation", request_id, "error"]:
                return self._answered(request_id, "InvocationErrorResponse", request, self._fail)
            case "POST", ["init", "error"]:
                return self._fail_init(request)
            case "POST", ["debugger"] if self._on_debugger is not None:
                self._on_debugger(bytes(request.body[:_ADDRESS_BYTES_MAX]).decode(errors="replace"))
                return accepted()
            case _:
                return not_found()

    def _next(self, line: Line) -> Answer:
        if self.state == "InitError":
            return self._not_now("Ready")
        if self._event is not None and self.state in ("Running", "Ready"):  # It asks again for what it has, or missed.
            self.state = "Running"
            return Ready(self._event)
        self._event = None
        poll = self._poll = Poll.of(line)
        self.state = "Ready"
        self._progressed()
        return poll.pending

    def _answered(
        self, request_id: str, state: str, request: Request, take: Callable[[Request], Ready]
    ) -> Answer:  # fmt: skip
        if request_id != self._request_id or not request_id:
            return refused(400, "InvalidRequestID", "Invalid request ID")
        if self.state != "Running":
            return self._not_now(state)
        self.state = "ResponseSent"
        return take(request)

    def _respond(self, request: Request) -> Ready:
        """The whole reply: it is handed on once it is here. Whoever streams it to a caller would take its pieces from
        the gateway's `Body` while they come."""
        mode = header(request, "lambda-runtime-function-response-mode")
        if mode not in ("", "streaming"):
            told = "Invalid function response mode"
            self.reply = b"X", document("Runtime.InvalidResponseModeHeader", told, self._request_id)
            return refused(400, "InvalidFunctionResponseMode", "Invalid function response mode")
        most = STREAM_BYTES_MAX if mode else _REPLY_BYTES_MAX
        if len(request.body) > most:
            self.reply = b"X", _TOO_LARGE
            told = f"Exceeded maximum allowed payload size ({most} bytes)."
            return refused(413, "RequestEntityTooLarge", told)
        if mode:
            self._stream(request)
        else:
            self.reply = b"R", bytes(request.body)
        return accepted()

    def _stream(self, request: Request) -> None:
        """ "Response streaming": what it is, its pieces, and its end, which trailers may tell of."""
        self._hand_on(Piece(begins=True, body=header(request, "content-type").encode("latin-1", "replace")))
        for at in range(0, len(request.body), _PIECE_BYTES):
            self._hand_on(Piece(begins=False, body=bytes(request.body[at : at + _PIECE_BYTES])))
        failed = header(request, _ERROR_TYPE)
        if failed:
            self.reply = b"X", _broken_off(failed, header(request, "lambda-runtime-function-error-body"))
        else:
            self.reply = b"E", b""

    def _fail(self, request: Request) -> Ready:
        body = bytes(request.body)
        if len(body) > _REPLY_BYTES_MAX:
            self.reply = b"X", _TOO_LARGE
        elif header(request, "content-type") == _WITH_CAUSE:
            self.reply = b"X", _without_cause(body)
        else:  # "Lambda's default behavior is to use Lambda-Runtime-Function-Error-Type": the API's specification.
            self.reply = b"X", body or document(_kind(request), "unknown error", self._request_id)
        return accepted()

    def _fail_init(self, request: Request) -> Answer:
        if self.state != "Started":
            return self._not_now("InitError")
        self.state = "InitError"
        self._init_failed(_init_document(bytes(request.body[:_REPLY_BYTES_MAX]), _kind(request)))
        return accepted()

    def _not_now(self, wanted: str) -> Ready:
        told = f"State transition from {self.state} to {wanted} failed for runtime. Error: {NOT_ALLOWED}"
        return refused(403, "InvalidStateTransition", told)


def _rendered(invocation: Invocation, deadline_ms: int) -> Response:
    """ "Next invocation": an event with the headers that it has something for."""
    given = (
        ("Lambda-Runtime-Aws-Request-Id", invocation.request_id),
        ("Lambda-Runtime-Deadline-Ms", str(deadline_ms)),
        ("Lambda-Runtime-Invoked-Function-Arn", invocation.function_arn),
        ("Lambda-Runtime-Trace-Id", invocation.trace_header),
        ("Lambda-Runtime-Client-Context", invocation.client_context),
        ("Lambda-Runtime-Cognito-Identity", invocation.cognito_identity),
        ("Content-Type", "application/json"),
    )
    return Response(200, [header for header in given if header[1]], invocation.payload)


def _kind(request: Request) -> str:
    """A type of the runtime's own that the service would know; else that it is not known."""
    given = header(request, _ERROR_TYPE)
    return given if _KIND.match(given) else "Runtime.Unknown"


def _init_document(body: bytes, kind: str) -> bytes:
    """What the runtime says of its failed init, as an object that names its type: others read it."""
    found = object_of(body)
    found.setdefault("errorType", kind)
    found.setdefault("errorMessage", "" if body.startswith(b"{") else body.decode(errors="replace"))
    return orjson.dumps({**found, "errorType": str(found["errorType"]), "errorMessage": str(found["errorMessage"])})


def _without_cause(body: bytes) -> bytes:
    """An error that brings a cause for X-Ray: the caller gets the rest."""
    found = object_of(body)
    if not found:
        return b'"Invalid error body"'
    return orjson.dumps({name: found[name] for name in ("errorMessage", "errorType", "stackTrace") if name in found})


def _broken_off(kind: str, encoded: str) -> bytes:
    """ "Response streaming": the trailers say how a stream failed, its body in base64."""
    try:
        body = b64decode(encoded, validate=True)
    except ValueError:
        body = b""
    return body or orjson.dumps({"errorType": kind})
