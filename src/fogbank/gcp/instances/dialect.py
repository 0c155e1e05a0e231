"""What Google says around a request: headers, log entries, and the answers where the function has none.

Of the 2nd generation Cloud Run's words; of the 1st those of Cloud Functions.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import orjson

from fogbank.functions.http.messages import HttpRequest, HttpResponse, Visit
from fogbank.gcp.identity.metadata import Holder
from fogbank.gcp.instances import entries, environment
from fogbank.gcp.instances.entries import FIRST_GENERATION, REQUESTS, SYSTEM

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fogbank.functions.http.messages import Left
    from fogbank.functions.instances import Instance
    from fogbank.functions.model import Invocation, Outcome, Version

FIRST, SECOND = "gcp-1", "gcp"  # What a version's `dialect` says, by its generation.
# Quotas, "Resource limits": "Max uncompressed HTTP request size".
_FIRST_REQUEST_BYTES_MAX: Final = 10 * 1024 * 1024
_SECOND_REQUEST_BYTES_MAX: Final = 32 * 1024 * 1024
_EXECUTION_ID_LENGTH: Final = 12
_SERVER_ERROR, _CLIENT_ERROR, _TIMEOUT = 500, 400, 408
_SPAN_DIGITS_MAX: Final = 20  # Of a number of 64 bits.
_MANAGED: Final = {"goog-managed-by": "cloudfunctions"}  # What `gcloud functions logs read` asks for.
_STATUS_HEADER: Final = "x-google-status"  # How the framework says that the function failed.
_MEMORY_HELP: Final = "https://cloud.google.com/functions/docs/configuring/memory"


class GoogleDialect:
    """What both generations share, and what the engine asks of every cloud."""

    def __init__(self, words: FirstGeneration | SecondGeneration) -> None:
        self._words, self._first = words, isinstance(words, FirstGeneration)
        self.started_visit, self.ended_visit, self.overdue = words.started_visit, words.ended_visit, words.overdue
        self.broke, self.unborn, self.crowded = words.broke, words.unborn, words.crowded

    # -- what every cloud's dialect says; of web applications there are no events to speak of --

    def environment(
        self, version: Version, log_stream: str, endpoint: str, *, task_root: str, provisioned: bool
    ) -> dict[str, str]:  # fmt: skip
        facts = version.facts
        return environment.of_server(endpoint, Holder(facts["project"], facts["region"], facts["account"]))

    def line_filter(self, version: Version) -> Callable[[str], bool] | None:
        return None

    def initialising(self, version: Version, now_ms: int, *, restoring: bool) -> Sequence[str]:
        return ()

    def initialised(self, version: Version, init_ms: float, now_ms: int, *, restored: bool) -> Sequence[str]:
        return ()

    def started(self, version: Version, invocation: Invocation, now_ms: int) -> Sequence[str]:
        return ()

    def ended(self, version: Version, invocation: Invocation, outcome: Outcome, now_ms: int) -> Sequence[str]:
        return ()

    def timed_out(self, version: Version, invocation: Invocation, now_ms: int) -> tuple[Sequence[str], bytes]:
        document = {"errorType": "TimeoutError", "errorMessage": "the container did not start in time"}
        return (self._words.not_started(version),), orjson.dumps(document)

    def died(
        self, version: Version, invocation: Invocation, how: str, now_ms: int
    ) -> tuple[Sequence[str], bytes]:  # fmt: skip
        return (), orjson.dumps({"errorType": "ExitError", "errorMessage": how})

    def restore_failed(
        self, version: Version, restore_ms: float, now_ms: int, *, timed_out: bool
    ) -> Sequence[str]:  # fmt: skip
        return ()

    def init_failed(
        self, version: Version, document: bytes, init_ms: float, now_ms: int, *, timed_out: bool
    ) -> Sequence[str]:
        return () if timed_out else (self._words.not_started(version),)

    # -- requests --

    def form(self, version: Version, instance: Instance, output: str) -> Callable[[str], str]:
        log = self._log(output)
        # "Writing and viewing logs" of the 1st generation: what goes to stderr is an error.
        severity = "ERROR" if self._first and output == "stderr" else "DEFAULT"
        own = self._labels(instance)

        def form(line: str) -> str:
            visit = instance.visit
            of_visit = {"execution_id": visit.execution_id} if self._first and visit is not None else {}
            return entries.of_line(version, log, own | of_visit, line, severity, visit)

        return form

    def receive(self, version: Version, request: HttpRequest, now_ms: int, new_id: str) -> Visit | HttpResponse:
        most = _FIRST_REQUEST_BYTES_MAX if self._first else _SECOND_REQUEST_BYTES_MAX
        if len(request.body) > most:
            return _text(413, "Request Entity Too Large")
        known = {name.lower(): value for name, value in request.headers}
        execution_id = known.get("function-execution-id") or secrets.token_hex(_EXECUTION_ID_LENGTH // 2)
        trace, span = _trace(known)
        added = {
            "Host": f"{version.facts['service']}.run.app",
            "Function-Execution-Id": execution_id,
            "X-Cloud-Trace-Context": f"{trace}/{int(span, 16)};o=1",
            "traceparent": f"00-{trace}-{span}-01",
            "X-Forwarded-For": "127.0.0.1",
            "X-Forwarded-Proto": "https",
            "Forwarded": 'for="127.0.0.1";proto=https',
        }
        headers = [*request.headers, *((name, text) for name, text in added.items() if name.lower() not in known)]
        whole = HttpRequest(request.method, request.target, headers, request.body)
        return Visit(whole, now_ms, execution_id, trace, span)

    def send(self, version: Version, visit: Visit, headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        taken = {"server", _STATUS_HEADER} if self._first else {"server"}
        kept = [header for header in headers if header[0].lower() not in taken]
        return [
            *kept,
            ("Function-Execution-Id", visit.execution_id),
            ("X-Cloud-Trace-Context", f"{visit.trace}/{int(visit.span, 16)};o=1"),
            ("Server", "Google Frontend"),
        ]

    def ends_on_timeout(self, version: Version) -> bool:
        """ "Function timeout (1st gen)": "function execution is halted"; of the 2nd the instance "continues operating
        until it exits on its own"."""
        return self._first

    def _log(self, output: str) -> str:
        return FIRST_GENERATION if self._first else f"run.googleapis.com/{output}"

    def _labels(self, instance: Instance) -> dict[str, str]:
        if self._first:
            return {"instance_id": instance.id}
        return {**_MANAGED, "instanceId": instance.id}


class SecondGeneration:
    def started_visit(self, version: Version, visit: Visit) -> Sequence[str]:
        return ()

    def ended_visit(self, version: Version, visit: Visit, left: Left) -> Sequence[str]:
        """As Cloud Run's log of requests has it."""
        request, status = visit.request, left.status
        known = {name.lower(): value for name, value in request.headers}
        said = {
            "requestMethod": request.method,
            "requestUrl": f"https://{known.get('host', version.facts['service'])}{request.target}",
            "requestSize": str(len(request.body)),
            "status": status,
            "responseSize": str(left.size),
            "userAgent": known.get("user-agent", ""),
            "remoteIp": known.get("x-forwarded-for", "").partition(",")[0],
            "latency": f"{left.took_ms / 1000:.9f}s",
            "protocol": "HTTP/1.1",
        }
        severity = "ERROR" if status >= _SERVER_ERROR else "WARNING" if status >= _CLIENT_ERROR else "INFO"
        trace = entries.trace_of(version, visit)
        return (entries.entry(version, REQUESTS, _MANAGED, severity=severity, httpRequest=said, **trace),)

    def overdue(self, version: Version, visit: Visit) -> tuple[Sequence[str], HttpResponse]:
        text = (
            "The request has been terminated because it has reached the maximum request timeout. To change this limit, "
            "see https://cloud.google.com/run/docs/configuring/request-timeout"
        )
        return (self._said(version, REQUESTS, text, visit),), _text(504, "upstream request timeout")

    def broke(
        self, version: Version, visit: Visit, how: str, *, memory_mb: int | None
    ) -> tuple[Sequence[str], HttpResponse]:
        answer = _text(503, "Service Unavailable")
        if memory_mb is not None:
            text = (
                f"Memory limit of {version.memory_mb} MiB exceeded with {memory_mb} MiB used. Consider increasing the "
                f"memory limit, see {_MEMORY_HELP}"
            )
            return (self._said(version, SYSTEM, text, None),), answer
        lines = []
        if how:
            lines.append(self._said(version, SYSTEM, f"Container called exit({_exit_status(how)}).", None, "WARNING"))
        text = (
            "The request failed because either the HTTP response was malformed or connection to the instance had an "
            "error. Additional troubleshooting documentation can be found at: "
            "https://cloud.google.com/run/docs/troubleshooting#malformed-response-or-connection-error"
        )
        lines.append(self._said(version, REQUESTS, text, visit))
        return lines, answer

    def unborn(self, version: Version, outcome: Outcome) -> HttpResponse:
        return _text(503, "Service Unavailable")

    def crowded(self, version: Version) -> tuple[Sequence[str], HttpResponse]:
        text = (
            "The request was aborted because there was no available instance. Additional troubleshooting documentation "
            "can be found at: https://cloud.google.com/run/docs/troubleshooting#abort-request"
        )
        return (self._said(version, REQUESTS, text, None),), _text(429, "Rate exceeded.")

    def not_started(self, version: Version) -> str:
        text = (
            f'Default STARTUP TCP probe failed 1 time consecutively for container "worker" on port {environment.PORT}. '
            "The instance was not started. Connection failed with status CANCELLED."
        )
        return self._said(version, SYSTEM, text, None)

    def _said(self, version: Version, log: str, text: str, visit: Visit | None, severity: str = "ERROR") -> str:
        trace = entries.trace_of(version, visit)
        return entries.entry(version, log, _MANAGED, severity=severity, textPayload=text, **trace)


class FirstGeneration:
    def started_visit(self, version: Version, visit: Visit) -> Sequence[str]:
        return (self._said(version, "Function execution started", visit, "DEBUG"),)

    def ended_visit(self, version: Version, visit: Visit, left: Left) -> Sequence[str]:
        framework = next((value for name, value in left.headers if name.lower() == _STATUS_HEADER), "")
        told = framework or ("timeout" if left.status == _TIMEOUT else "")
        ended = f"status: '{told}'" if told else f"status code: {left.status}"
        text = f"Function execution took {round(left.took_ms)} ms, finished with {ended}"
        return (self._said(version, text, visit, "DEBUG"),)

    def overdue(self, version: Version, visit: Visit) -> tuple[Sequence[str], HttpResponse]:
        """ "An HTTP error status, generally 408, is immediately returned"."""
        return (), _text(408, "upstream request timeout")

    def broke(
        self, version: Version, visit: Visit, how: str, *, memory_mb: int | None
    ) -> tuple[Sequence[str], HttpResponse]:
        if memory_mb is not None:
            text = "Function invocation was interrupted. Error: memory limit exceeded."
        else:
            text = "Function invocation was interrupted. Error: function terminated."
        recommended = "Recommended action: inspect logs for termination reason."
        answer = _text(500, f"{text} {recommended}" if memory_mb is None else text)
        return (self._said(version, text, visit, "ERROR"),), answer

    def unborn(self, version: Version, outcome: Outcome) -> HttpResponse:
        text = "Error: could not handle the request"
        return _text(500, text)

    def crowded(self, version: Version) -> tuple[Sequence[str], HttpResponse]:
        text = (
            "The request was aborted because there was no available instance. Additional troubleshooting documentation "
            "can be found at: https://cloud.google.com/functions/docs/troubleshooting#scalability"
        )
        return (self._said(version, text, None, "WARNING"),), _text(429, "Rate exceeded.")

    def not_started(self, version: Version) -> str:
        text = (
            "Function cannot be initialized. Error: function terminated. Recommended action: inspect logs for "
            "termination reason. Additional troubleshooting documentation can be found at "
            "https://cloud.google.com/functions/docs/troubleshooting#logging"
        )
        return self._said(version, text, None, "ERROR")

    def _said(self, version: Version, text: str, visit: Visit | None, severity: str) -> str:
        labels = {"execution_id": visit.execution_id} if visit is not None else {}
        trace = entries.trace_of(version, visit)
        return entries.entry(version, FIRST_GENERATION, labels, severity=severity, textPayload=text, **trace)


def _text(status: int, text: str) -> HttpResponse:
    return HttpResponse(status, [("Content-Type", "text/plain")], text.encode())


def _exit_status(how: str) -> str:
    """ "exit status 3", "signal: killed": as the container's end is told."""
    return how.removeprefix("exit status ") if how.startswith("exit status ") else "137"


def _trace(known: dict[str, str]) -> tuple[str, str]:
    """The trace and span that the caller has begun, or new ones."""
    version, _, rest = known.get("traceparent", "").partition("-")
    trace, _, rest = rest.partition("-")
    if version == "00" and _is_hex(trace, 32) and _is_hex(rest[:16], 16):
        return trace.lower(), rest[:16].lower()
    trace, _, rest = known.get("x-cloud-trace-context", "").partition("/")
    span = rest.partition(";")[0]
    if _is_hex(trace, 32):
        number = int(span) if len(span) <= _SPAN_DIGITS_MAX and span.isdecimal() else secrets.randbits(64)
        return trace.lower(), f"{number % 2**64:016x}"
    return secrets.token_hex(16), secrets.token_hex(8)


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and all(character in "0123456789abcdefABCDEF" for character in text)


HTTP_DIALECTS: Final = {FIRST: GoogleDialect(FirstGeneration()), SECOND: GoogleDialect(SecondGeneration())}
