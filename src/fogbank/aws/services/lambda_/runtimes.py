"""Which of Lambda's runtimes run here. The names are the ones that Lambda knows; the rest is refused by name."""

from __future__ import annotations

from fogbank.aws.service import ServiceError

_PYTHON = tuple(f"python3.{minor}" for minor in range(9, 15))
_NODE = tuple(f"nodejs{major}.x" for major in range(12, 25, 2))
SERVED = (*_PYTHON, *_NODE)
_KNOWN_FAMILIES = ("java", "dotnet", "ruby", "go", "provided")


def check(runtime: str | None) -> None:
    if not runtime:
        raise ServiceError("InvalidParameterValueException", "Runtime and Handler are mandatory parameters for functions created with deployment packages.")  # fmt: skip  # noqa: E501
    if runtime in SERVED:
        return
    if runtime.startswith(_KNOWN_FAMILIES):
        raise ServiceError(
            "InvalidParameterValueException",
            f"The runtime parameter of {runtime} is not served by fogbank; it runs {_PYTHON[0]} to {_PYTHON[-1]} and "
            f"{_NODE[0]} to {_NODE[-1]}.",
        )
    raise ServiceError(
        "InvalidParameterValueException",
        f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
        f"[{', '.join(SERVED)}] or be a valid ARN",
    )
