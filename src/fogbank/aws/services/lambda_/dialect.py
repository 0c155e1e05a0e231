"""What Lambda says around an event: log lines, error documents, environment variables.

Lambda Developer Guide, "Defined runtime environment variables", "Lambda execution environment".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from fogbank.aws.services.lambda_.system_logs import JsonWords, TextWords, application_filter, iso

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fogbank.aws.services.lambda_.system_logs import Words
    from fogbank.functions.dialect import Dialect
    from fogbank.functions.model import Invocation, Version


TEXT, JSON = "aws", "aws-json"  # What a version's `dialect` says, by its log's format.


class LambdaDialect:
    def __init__(self, words: Words) -> None:
        self._words = words
        self.started, self.ended, self.initialised = words.started, words.ended, words.initialised
        self.initialising, self.restore_failed = words.initialising, words.restore_failed

    def environment(
        self, version: Version, log_stream: str, endpoint: str, *, task_root: str, provisioned: bool
    ) -> dict[str, str]:  # fmt: skip
        name, _, number = version.name.partition(":")
        account, _, region = version.log_owner.partition("/")
        # "Monitoring for Lambda SnapStart": the names of the log are not there.
        log = {} if version.snap_start else {
            "AWS_LAMBDA_LOG_GROUP_NAME": version.log_group, "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        }  # fmt: skip
        levels = {"AWS_LAMBDA_LOG_LEVEL": version.application_log_level} if version.log_format == "JSON" else {}
        return {
            **levels,
            **log,
            "AWS_LAMBDA_LOG_FORMAT": version.log_format,
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": number,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": _initialization_type(version, provisioned=provisioned),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{version.runtime}",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_SESSION_TOKEN": "test",
            "AWS_ENDPOINT_URL": endpoint,
            "LAMBDA_TASK_ROOT": task_root,
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "_HANDLER": version.handler,
            "TZ": ":UTC",
            "LANG": "en_US.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin",
            "LD_LIBRARY_PATH": f"{task_root}:{task_root}/lib:/opt/lib",
        }

    def line_filter(self, version: Version) -> Callable[[str], bool] | None:
        return application_filter(version)

    def timed_out(self, version: Version, invocation: Invocation, now_ms: int) -> tuple[Sequence[str], bytes]:
        told = f"Task timed out after {version.timeout_ms / 1000:.2f} seconds"
        message = f"RequestId: {invocation.request_id} Error: {told}"
        document = orjson.dumps({"errorType": "Sandbox.Timedout", "errorMessage": message})
        return self._words.died(f"{iso(now_ms)} {invocation.request_id} {told}", version, now_ms), document

    def died(
        self, version: Version, invocation: Invocation, how: str, now_ms: int
    ) -> tuple[Sequence[str], bytes]:  # fmt: skip
        message = f"RequestId: {invocation.request_id} Error: Runtime exited with error: {how}"
        if how == "exit status 0":
            message = f"RequestId: {invocation.request_id} Error: Runtime exited without providing a reason"
        document = orjson.dumps({"errorType": "Runtime.ExitError", "errorMessage": message})
        return self._words.died(message, version, now_ms), document

    def init_failed(
        self, version: Version, document: bytes, init_ms: float, now_ms: int, *, timed_out: bool
    ) -> Sequence[str]:
        error = orjson.loads(document)["errorType"]
        return self._words.init_failed(version, error, init_ms, now_ms, timed_out=timed_out)


def _initialization_type(version: Version, *, provisioned: bool) -> str:
    if version.snap_start:
        return "snap-start"
    return "provisioned-concurrency" if provisioned else "on-demand"


DIALECTS: Mapping[str, Dialect] = {TEXT: LambdaDialect(TextWords()), JSON: LambdaDialect(JsonWords())}
