"""How many events may be at work: for a function what is reserved for it, for all others of an account what is left.

Lambda Developer Guide, "Understanding Lambda function scaling". Counted by each node for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import ServiceError

if TYPE_CHECKING:
    from fogbank.aws.service import House
    from fogbank.aws.services.lambda_ import state
    from fogbank.functions.model import Version

ACCOUNT_CONCURRENCY = 1000  # Lambda quotas: concurrent executions, the default, in each region.
UNRESERVED_MIN = 100  # "Reserved concurrency": what must be left to all functions without.


@dataclass(frozen=True, slots=True)
class Target:
    version: Version
    function: state.Function
    published: state.Published
    arn: str  # As invoked, with the qualifier where one was given.
    place: str  # Account and region, which have a limit together.
    reserved_all: int  # What is reserved for functions there.
    is_only: bool = True  # The name that was resolved means no other as well (an alias with weights).
    provisioned: str = ""  # Names the configuration that the qualifier has, if it has one.


class Admission:
    """One for each server."""

    def __init__(self, _house: House) -> None:
        self._of_function: dict[str, int] = {}  # By id: all versions share what is reserved.
        self._unreserved: dict[str, int] = {}  # By account and region.
        self._provisioned: dict[str, int] = {}  # By configuration: events through its alias or version.
        self._peaks: dict[str, int] = {}

    def is_full(self, target: Target) -> bool:
        function = target.function
        if function.reserved is not None:
            return self._of_function.get(function.id, 0) >= function.reserved
        return self._unreserved.get(target.place, 0) >= ACCOUNT_CONCURRENCY - target.reserved_all

    def enter(self, target: Target) -> None:
        function = target.function
        self._of_function[function.id] = self._of_function.get(function.id, 0) + 1
        if function.reserved is None:
            self._unreserved[target.place] = self._unreserved.get(target.place, 0) + 1
        if target.provisioned:
            running = self._provisioned[target.provisioned] = self._provisioned.get(target.provisioned, 0) + 1
            if running > self._peaks.get(target.provisioned, 0):
                self._peaks[target.provisioned] = running

    def leave(self, target: Target) -> None:
        """With the same target as it came in with: what is reserved may have changed since."""
        function = target.function
        _less(self._of_function, function.id)
        if function.reserved is None:
            _less(self._unreserved, target.place)
        if target.provisioned:
            _less(self._provisioned, target.provisioned)

    def take_peak(self, provisioned: str) -> int:
        """How many events at a time came through that configuration at most since this was asked last."""
        peak = self._peaks.pop(provisioned, 0)
        running = self._provisioned.get(provisioned, 0)
        if running:
            self._peaks[provisioned] = running
        return peak


def throttled(target: Target) -> ServiceError:
    reason = "ConcurrentInvocationLimitExceeded"
    if target.function.reserved is not None:
        reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
    fields: dict[str, Any] = {"Reason": reason, "Type": "User"}
    return ServiceError("TooManyRequestsException", "Rate Exceeded.", status=429, fields=fields)


def _less(counts: dict[str, int], key: str) -> None:
    left = counts.get(key, 0) - 1
    if left > 0:
        counts[key] = left
    else:
        counts.pop(key, None)


def config_name(function: state.Function, qualifier: str) -> str:
    """Of a configuration of provisioned concurrency."""
    return f"{function.id}:{qualifier}"
