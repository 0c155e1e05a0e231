"""The guard against functions that invoke themselves without end, through a queue or each other.

Lambda Developer Guide, "Use Lambda recursive loop detection to prevent infinite loops": "If your function is invoked
approximately 16 times in the same chain of requests, then Lambda automatically stops the next function invocation in
that request chain and notifies you."
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.aws.protocol import lineage as ways
from fogbank.aws.service import ServiceError

if TYPE_CHECKING:
    from fogbank.aws.services.lambda_.state import Function
    from fogbank.kernel.telemetry import Telemetry

STOPPED = "RecursiveInvocationException"
_TIMES_MAX = 16


def check(telemetry: Telemetry, function: Function, lineage: str) -> None:
    """Raises RecursiveInvocationException where the event has come through this function too often."""
    times = ways.times(lineage, function.arn)
    if times < _TIMES_MAX or function.may_loop:
        return
    telemetry.error(
        "a recursive loop was stopped", function=function.arn, times=times,
        allow="PutFunctionRecursionConfig with RecursiveLoop Allow",
    )  # fmt: skip
    raise ServiceError(
        STOPPED,
        "Lambda has detected your function being invoked in a recursive loop with other Amazon Web Services resources "
        "and stopped your function's invocation.",
        fields={"Type": "User"},
    )
