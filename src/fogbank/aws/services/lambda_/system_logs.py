"""What Lambda itself writes into a function's log, round its events: as text, or as JSON where LogFormat says so.

Lambda Developer Guide, "Sending Lambda function logs to CloudWatch Logs" (START, END, REPORT), "Configuring JSON and
plain text log formats", "Log-level filtering"; the records are those of "Lambda Telemetry API Event schema reference".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from fogbank.functions.runtimes.provided import records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fogbank.functions.model import Invocation, Outcome, Version

_ORDER = {level: place for place, level in enumerate(("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"))}
_SAME = {"WARNING": "WARN", "CRITICAL": "FATAL"}  # As Python says it.


class Words(Protocol):
    """`functions.dialect.Dialect`'s log lines."""

    def started(self, version: Version, invocation: Invocation, now_ms: int) -> Sequence[str]: ...
    def ended(self, version: Version, invocation: Invocation, outcome: Outcome, now_ms: int) -> Sequence[str]: ...
    def died(self, message: str, version: Version, now_ms: int) -> Sequence[str]: ...
    def initialising(self, version: Version, now_ms: int, *, restoring: bool) -> Sequence[str]: ...
    def initialised(self, version: Version, init_ms: float, now_ms: int, *, restored: bool) -> Sequence[str]: ...
    def restore_failed(self, version: Version, restore_ms: float, now_ms: int, *, timed_out: bool) -> Sequence[str]: ...
    def init_failed(
        self, version: Version, error: str, init_ms: float, now_ms: int, *, timed_out: bool
    ) -> Sequence[str]: ...


class TextWords:
    def started(self, version: Version, invocation: Invocation, now_ms: int) -> Sequence[str]:
        return (f"START RequestId: {invocation.request_id} Version: {version.qualifier}\n",)

    def ended(self, version: Version, invocation: Invocation, outcome: Outcome, now_ms: int) -> Sequence[str]:
        request_id, took_ms = invocation.request_id, outcome.duration_ms
        report = (
            f"REPORT RequestId: {request_id}\tDuration: {took_ms:.2f} ms\t"
            f"Billed Duration: {records.billed_ms(took_ms, outcome.init_ms)} ms\tMemory Size: {version.memory_mb} MB\t"
            f"Max Memory Used: {outcome.max_memory_mb} MB\t"
        )
        if outcome.restored:
            billed_ms = records.billed_ms(outcome.init_ms, 0)
            report += f"Restore Duration: {outcome.init_ms:.2f} ms\tBilled Restore Duration: {billed_ms} ms\t"
        elif outcome.cold and not version.snap_start:
            report += f"Init Duration: {outcome.init_ms:.2f} ms\t"
        if outcome.timed_out:
            report += "Status: timeout"
        elif outcome.exited:
            report += f"Status: error\tError Type: {_error_type(outcome)}"
        return f"END RequestId: {request_id}\n", f"{report}\n"

    def died(self, message: str, version: Version, now_ms: int) -> Sequence[str]:
        return (f"{message}\n",)

    def initialising(self, version: Version, now_ms: int, *, restoring: bool) -> Sequence[str]:
        """ "Identifying Lambda runtime version changes": what begins is said with its runtime version."""
        what = "RESTORE_START" if restoring else "INIT_START"
        return (f"{what} Runtime Version: {_spaced(version.runtime)}\tRuntime Version ARN: {_arn(version)}\n",)

    def initialised(self, version: Version, init_ms: float, now_ms: int, *, restored: bool) -> Sequence[str]:
        """ "Monitoring for Lambda SnapStart": the line of a restore, and of an initialisation, which no event's report
        tells of."""
        if restored:
            return (f"RESTORE_REPORT Restore Duration: {init_ms:.2f} ms\n",)
        return (f"INIT_REPORT Init Duration: {init_ms:.2f} ms\n",) if version.snap_start else ()

    def restore_failed(self, version: Version, restore_ms: float, now_ms: int, *, timed_out: bool) -> Sequence[str]:
        """ "Failures during the Restore phase"."""
        status = "timeout" if timed_out else "error\tError Type: Runtime.ExitError"
        return (f"RESTORE_REPORT Restore Duration: {restore_ms:.2f} ms\tStatus: {status}\n",)

    def init_failed(
        self, version: Version, error: str, init_ms: float, now_ms: int, *, timed_out: bool
    ) -> Sequence[str]:
        status = "timeout" if timed_out else f"error\tError Type: {error}"
        return (f"INIT_REPORT Init Duration: {init_ms:.2f} ms\tPhase: init\tStatus: {status}\n",)


class JsonWords:
    """ "System log level event mapping": what is said at which level."""

    def started(self, version: Version, invocation: Invocation, now_ms: int) -> Sequence[str]:
        arn = ":".join(invocation.function_arn.split(":")[:7])  # Seen on AWS, in logs alone.
        record = records.start(version, invocation, functionArn=arn)
        return _said(version, now_ms, ("INFO", "platform.start", record))

    def ended(self, version: Version, invocation: Invocation, outcome: Outcome, now_ms: int) -> Sequence[str]:
        how, request_id, took_ms = _status(outcome), invocation.request_id, outcome.duration_ms
        done = records.runtime_done(request_id, how, took_ms, len(outcome.payload))
        report = records.report(
            version, request_id, how, took_ms=took_ms, init_ms=outcome.init_ms, max_memory_mb=outcome.max_memory_mb,
            restored=outcome.restored,
        )  # fmt: skip
        well = how["status"] == "success"
        return _said(
            version, now_ms,
            ("DEBUG" if well else "WARN", "platform.runtimeDone", done),
            ("INFO" if well else "WARN", "platform.report", report),
        )  # fmt: skip

    def died(self, message: str, version: Version, now_ms: int) -> Sequence[str]:
        """The records of the end tell it."""
        return ()

    def initialising(self, version: Version, now_ms: int, *, restoring: bool) -> Sequence[str]:
        """Said with the end of it."""
        return ()

    def initialised(self, version: Version, init_ms: float, now_ms: int, *, restored: bool) -> Sequence[str]:
        how = {"status": "success"}
        if restored:
            return _restored(version, init_ms, now_ms, how, ("DEBUG", "INFO"))
        return _initialised(version, init_ms, now_ms, how, "DEBUG")

    def restore_failed(self, version: Version, restore_ms: float, now_ms: int, *, timed_out: bool) -> Sequence[str]:
        how = {"status": "timeout"} if timed_out else {"status": "error", "errorType": "Runtime.ExitError"}
        return _restored(version, restore_ms, now_ms, how, ("WARN", "WARN"))

    def init_failed(
        self, version: Version, error: str, init_ms: float, now_ms: int, *, timed_out: bool
    ) -> Sequence[str]:
        how = {"status": "timeout"} if timed_out else {"status": "error", "errorType": error}
        return _initialised(version, init_ms, now_ms, how, "WARN")


def _restored(
    version: Version, took_ms: float, now_ms: int, how: records.How, levels: tuple[str, str]
) -> Sequence[str]:  # fmt: skip
    runtime = {"runtimeVersion": _spaced(version.runtime), "runtimeVersionArn": _arn(version)}
    began = _said(version, now_ms - int(took_ms), ("DEBUG", "platform.restoreStart", runtime))
    report = {**how, "metrics": {"durationMs": round(took_ms, 3)}}
    ended = _said(
        version, now_ms, (levels[0], "platform.restoreRuntimeDone", how), (levels[1], "platform.restoreReport", report)
    )  # fmt: skip
    return (*began, *ended)


def _spaced(runtime: str) -> str:
    """ "python3.12" as a runtime version is called: "python:3.12"."""
    name = runtime.rstrip("0123456789.x")
    return f"{name}:{runtime.removeprefix(name)}"


def _arn(version: Version) -> str:
    """As FunctionConfiguration has it."""
    return f"arn:aws:lambda:{version.log_owner.partition('/')[2]}::runtime:{version.runtime}"


def _initialised(version: Version, init_ms: float, now_ms: int, how: records.How, level: str) -> Sequence[str]:
    done, report = records.INIT | how, records.init_report(how, init_ms)
    began = _said(version, now_ms - int(init_ms), ("DEBUG", "platform.initStart", records.INIT))
    ended = _said(
        version, now_ms, (level, "platform.initRuntimeDone", done), (level, "platform.initReport", report)
    )  # fmt: skip
    return (*began, *ended)


def _said(version: Version, now_ms: int, *events: tuple[str, str, dict[str, Any]]) -> Sequence[str]:
    """Level, type and record of each, as far as the function's SystemLogLevel wants them."""
    least = _ORDER[version.system_log_level]
    return tuple(
        orjson.dumps({"time": iso(now_ms), "type": kind, "record": record}).decode() + "\n"
        for level, kind, record in events
        if _ORDER[level] >= least
    )


def _status(outcome: Outcome) -> records.How:
    """As the text form's REPORT says it: nothing of a function that has answered with an error."""
    if outcome.timed_out:
        return {"status": "timeout"}
    return {"status": "error", "errorType": _error_type(outcome)} if outcome.exited else {"status": "success"}


def _error_type(outcome: Outcome) -> str:
    document = outcome.value()
    return str(document.get("errorType") or "Runtime.Unknown") if isinstance(document, dict) else "Runtime.Unknown"


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def application_filter(version: Version) -> Callable[[str], bool] | None:
    """Which of the function's own lines are kept ("Log-level filtering"): "If the level field is invalid or missing,
    Lambda assigns the log output the level INFO"; none where all are."""
    if version.log_format != "JSON":
        return None
    least = _ORDER[version.application_log_level]

    def wanted(line: str) -> bool:
        return _ORDER[_level(line)] >= least

    return wanted


def _level(line: str) -> str:
    if not line.startswith("{"):
        return "INFO"
    try:
        said = str(orjson.loads(line).get("level")).upper()
    except orjson.JSONDecodeError:
        return "INFO"
    said = _SAME.get(said, said)
    return said if said in _ORDER else "INFO"
