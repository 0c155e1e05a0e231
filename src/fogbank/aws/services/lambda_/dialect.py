"""What Lambda says around an event: log lines, error documents, environment variables.

Lambda Developer Guide, "Sending Lambda function logs to CloudWatch Logs" (START, END, REPORT), "Defined runtime
environment variables", "Lambda execution environment".
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from fogbank.functions.model import Invocation, Outcome, Version


class LambdaDialect:
    def environment(self, version: Version, log_stream: str, endpoint: str) -> dict[str, str]:
        name, _, number = version.name.partition(":")
        account, _, region = version.log_owner.partition("/")
        return {
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": number,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory_mb),
            "AWS_LAMBDA_LOG_GROUP_NAME": version.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{version.runtime}",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_SESSION_TOKEN": "test",
            "AWS_ENDPOINT_URL": endpoint,
            "LAMBDA_TASK_ROOT": str(version.code),
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "_HANDLER": version.handler,
            "TZ": ":UTC",
            "LANG": "en_US.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin",
            "LD_LIBRARY_PATH": f"{version.code}:{version.code}/lib:/opt/lib",
        }

    def started(self, version: Version, invocation: Invocation) -> list[str]:
        return [f"START RequestId: {invocation.request_id} Version: {version.name.rpartition(':')[2]}\n"]

    def ended(self, version: Version, invocation: Invocation, outcome: Outcome) -> list[str]:
        """Billed by the millisecond, rounded up, initialisation included."""
        billed_ms = math.ceil(outcome.duration_ms + outcome.init_ms)
        report = (
            f"REPORT RequestId: {invocation.request_id}\tDuration: {outcome.duration_ms:.2f} ms\t"
            f"Billed Duration: {billed_ms} ms\tMemory Size: {version.memory_mb} MB\t"
            f"Max Memory Used: {outcome.max_memory_mb} MB\t"
        )
        if outcome.cold:
            report += f"Init Duration: {outcome.init_ms:.2f} ms\t"
        if outcome.timed_out:
            report += "Status: timeout"
        return [f"END RequestId: {invocation.request_id}\n", report + "\n"]

    def timed_out(self, version: Version, invocation: Invocation, now_ms: int) -> tuple[list[str], bytes]:
        told = f"Task timed out after {version.timeout_ms / 1000:.2f} seconds"
        at = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        message = f"RequestId: {invocation.request_id} Error: {told}"
        document = orjson.dumps({"errorType": "Sandbox.Timedout", "errorMessage": message})
        return [f"{at}Z {invocation.request_id} {told}\n"], document

    def died(self, version: Version, invocation: Invocation, how: str) -> tuple[list[str], bytes]:
        message = f"RequestId: {invocation.request_id} Error: Runtime exited with error: {how}"
        if how == "exit status 0":
            message = f"RequestId: {invocation.request_id} Error: Runtime exited without providing a reason"
        document = orjson.dumps({"errorType": "Runtime.ExitError", "errorMessage": message})
        return [f"{message}\n"], document

    def init_failed(self, document: bytes, init_ms: float, *, timed_out: bool) -> list[str]:
        error = orjson.loads(document)["errorType"]
        status = "timeout" if timed_out else f"error\tError Type: {error}"
        return [f"INIT_REPORT Init Duration: {init_ms:.2f} ms\tPhase: init\tStatus: {status}\n"]
