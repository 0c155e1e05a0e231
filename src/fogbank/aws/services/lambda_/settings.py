"""A function's settings: what may be chosen, what holds where nothing was, and how they are shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.service import ServiceError
from fogbank.aws.services.lambda_ import runtimes
from fogbank.aws.services.lambda_.state import ACTIVE, asks_for_snapshot, snap_starts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.aws.services.lambda_.state import Condition, Function, Published

# Members of Create- and UpdateFunctionConfiguration that are kept as they are given.
CHOSEN = (
    "Role", "Handler", "Runtime", "Timeout", "MemorySize", "Environment", "DeadLetterConfig", "TracingConfig",
    "VpcConfig", "FileSystemConfigs", "EphemeralStorage", "SnapStart", "LoggingConfig", "KMSKeyArn", "Layers",
    "Architectures", "ImageConfig",
)  # fmt: skip
LAYER_SIZES = "LayerSizes"  # Beside them: by ARN, as they were when the function was given them.
_DEFAULTS: dict[str, Any] = {
    "Timeout": 3,
    "MemorySize": 128,
    "EphemeralStorage": {"Size": 512},
    "TracingConfig": {"Mode": "PassThrough"},
    "Architectures": ["x86_64"],
    "SnapStart": {"ApplyOn": "None"},
}
_SNAPSHOT_TMP_MB_MAX = 512
_ROLE = re.compile(r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")
_VARIABLE = re.compile(r"[a-zA-Z]([a-zA-Z0-9_])+")
_ENVIRONMENT_BYTES_MAX = 4096  # Lambda quotas: "Function environment variables", total size.
# Developer Guide, "Defined runtime environment variables": reserved ones cannot be set.
_RESERVED = frozenset(
    [
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    ]
)


def chosen(request: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The settings after a request: what it gives, else what was, else the default. Raises what Lambda raises."""
    settings = {**_DEFAULTS, **(before or {})}
    settings.update({name: request[name] for name in CHOSEN if name in request})
    runtimes.check(settings.get("Runtime"))
    _check_environment(settings.get("Environment", {}).get("Variables", {}))
    _check_ranges(settings)
    _check_snapshot(settings)
    if not _ROLE.fullmatch(settings.get("Role", "")):
        told = f"1 validation error detected: Value '{settings.get('Role', '')}' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: {_ROLE.pattern}"  # noqa: E501
        raise ServiceError("ValidationException", told)
    settings["LoggingConfig"] = _logging(settings.get("LoggingConfig", {}))
    return settings


def _logging(config: Mapping[str, str]) -> dict[str, str]:
    """LoggingConfig: the format, and with JSON the levels ("Log-level filtering": INFO where nothing is said)."""
    levels = sorted({"ApplicationLogLevel", "SystemLogLevel"} & config.keys())
    if config.get("LogFormat", "Text") == "JSON":
        return {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", **config}
    if levels:
        told = f"{levels[0]} is only supported when LogFormat is set to JSON."
        raise ServiceError("InvalidParameterValueException", told)
    return {"LogFormat": "Text", **config}


def _check_ranges(settings: Mapping[str, Any]) -> None:
    """CreateFunction: "the maximum allowed value is 1,800 seconds"; quotas: 10,240 MB. The model allows more."""
    sizes = {"timeout": settings["Timeout"], "memorySize": settings["MemorySize"]}
    for name, most in (("timeout", 1800), ("memorySize", 10_240)):
        if sizes[name] > most:
            told = f"1 validation error detected: Value '{sizes[name]}' at '{name}' failed to satisfy constraint: Member must have value less than or equal to {most}"  # noqa: E501
            raise ServiceError("ValidationException", told)
    size = settings["EphemeralStorage"]["Size"]
    if size > 10_240:
        told = f"1 validation error detected: Value '{size}' at 'ephemeralStorage.size' failed to satisfy constraint: Member must have value less than or equal to 10240"  # noqa: E501
        raise ServiceError("ValidationException", told)


def _check_snapshot(settings: Mapping[str, Any]) -> None:
    """ "Supported features and limitations" of SnapStart."""
    if not asks_for_snapshot(settings):
        return
    runtimes.check_snapshot(settings["Runtime"])
    if settings["EphemeralStorage"]["Size"] > _SNAPSHOT_TMP_MB_MAX:
        told = f"Ephemeral storage greater than {_SNAPSHOT_TMP_MB_MAX} MB is not supported for SnapStart enabled functions."  # noqa: E501
        raise ServiceError("InvalidParameterValueException", told, fields={"Type": "User"})


def _check_environment(variables: Mapping[str, str]) -> None:
    wrong = next((name for name in variables if not _VARIABLE.fullmatch(name)), None)
    if wrong is not None:
        told = f"1 validation error detected: Value '{wrong}' at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint: [Member must satisfy regular expression pattern: {_VARIABLE.pattern}]"  # noqa: E501
        raise ServiceError("ValidationException", told)
    reserved = sorted(_RESERVED & variables.keys())
    if reserved:
        raise ServiceError(
            "InvalidParameterValueException",
            "Lambda was unable to configure your environment variables because the environment variables you have "
            f"provided contains reserved keys that are currently not supported for modification. Reserved keys used "
            f"in this request: {', '.join(reserved)}",
        )
    size = len(orjson.dumps(dict(variables)))
    if size > _ENVIRONMENT_BYTES_MAX:
        raise ServiceError(
            "InvalidParameterValueException",
            "Lambda was unable to configure your environment variables because the environment variables you have "
            f"provided exceeded the 4KB limit. String measured: {orjson.dumps(dict(variables)).decode()}",
        )


def _condition(condition: Condition) -> dict[str, str]:
    """LastUpdateStatus is there once there was something to update."""
    if condition == ACTIVE:
        return {"State": condition.state, "LastUpdateStatus": "Successful"}
    return {"State": condition.state, "StateReasonCode": condition.code, "StateReason": condition.reason}


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def configuration(function: Function, one: Published, *, qualified: bool = True) -> dict[str, Any]:
    """FunctionConfiguration."""
    shown = {name: value for name, value in one.settings.items() if name not in ("Layers", LAYER_SIZES)}
    shown["LoggingConfig"] = {
        **one.settings["LoggingConfig"],
        "LogGroup": one.settings["LoggingConfig"].get("LogGroup", f"/aws/lambda/{function.name}"),
    }
    shown["SnapStart"] = {**one.settings["SnapStart"], "OptimizationStatus": "On" if snap_starts(one) else "Off"}
    if one.settings.get("Layers"):
        sizes = one.settings.get(LAYER_SIZES, {})
        shown["Layers"] = [{"Arn": arn, "CodeSize": sizes.get(arn, 0)} for arn in one.settings["Layers"]]
    return {
        **shown,
        "FunctionName": function.name,
        "FunctionArn": f"{function.arn}:{one.version}" if qualified else function.arn,
        "Description": one.description,
        "CodeSize": one.code.size,
        "CodeSha256": one.code.sha256,
        "LastModified": iso(one.modified_ms),
        "Version": one.version,
        "RevisionId": one.revision,
        **_condition(one.condition),
        "PackageType": "Zip",
        "RuntimeVersionConfig": {
            "RuntimeVersionArn": f"arn:aws:lambda:{function.region}::runtime:{one.settings['Runtime']}"
        },
    }
