"""Which of Lambda's runtimes run here. The names are the ones that Lambda knows; the rest is refused by name, with the
way that works."""

from __future__ import annotations

from fogbank.aws.service import ServiceError

_PYTHON = tuple(f"python3.{minor}" for minor in range(9, 15))
_WITH_SNAPSHOT = ("python3.12", "python3.13", "python3.14")  # "Supported features and limitations": 3.12 and later.
_NODE = tuple(f"nodejs{major}.x" for major in range(12, 25, 2))
_PROVIDED = ("provided.al2", "provided.al2023")
SERVED = (*_PYTHON, *_NODE, *_PROVIDED)
# Developer Guide, "Runtimes": what is left to an OS-only runtime, and what brings each language to it.
_WAYS = {
    "java": "build it as a native program, or start Java with aws-lambda-java-runtime-interface-client",
    "dotnet": "publish it as a self-contained program with Amazon.Lambda.RuntimeSupport",
    "ruby": "start Ruby with the gem aws_lambda_ric",
    "go": "build it with aws-lambda-go",
}


def check(runtime: str | None) -> None:
    if not runtime:
        raise ServiceError("InvalidParameterValueException", "Runtime and Handler are mandatory parameters for functions created with deployment packages.")  # fmt: skip  # noqa: E501
    if runtime in SERVED:
        return
    if runtime in ("provided", "go1.x"):
        way = "" if runtime == "provided" else f": {_WAYS['go']}, as a file named bootstrap"
        raise ServiceError(
            "InvalidParameterValueException",
            f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. "
            f"We recommend you use provided.al2023 while creating or updating functions{way}.",
        )
    way = next((way for family, way in _WAYS.items() if runtime.startswith(family)), "")
    if way:
        raise ServiceError(
            "InvalidParameterValueException",
            f"The runtime parameter of {runtime} is not served by fogbank, which runs {_PYTHON[0]} to {_PYTHON[-1]}, "
            f"{_NODE[0]} to {_NODE[-1]} and {' and '.join(_PROVIDED)}. Use provided.al2023: {way}, in a file named "
            "bootstrap.",
        )
    raise ServiceError(
        "InvalidParameterValueException",
        f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
        f"[{', '.join(SERVED)}] or be a valid ARN",
    )


def check_snapshot(runtime: str) -> None:
    """SnapStart: "other managed runtimes" and "OS-only runtimes" are not supported."""
    if runtime not in _WITH_SNAPSHOT:
        told = f"{runtime} is not supported for SnapStart enabled functions."
        raise ServiceError("InvalidParameterValueException", told, fields={"Type": "User"})
