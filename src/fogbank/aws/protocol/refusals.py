"""Members of requests that an operation would not honour: refused by name, in the service's own form."""

from __future__ import annotations

from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from fogbank.aws.protocol.names import method_name
from fogbank.aws.service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fogbank.aws.service import Operations

# What each service calls a parameter that it does not take.
CODES = {
    "application-autoscaling": "ValidationException",
    "events": "ValidationException",
    "iam": "InvalidInput",
    "kinesis": "InvalidArgumentException",
    "lambda": "InvalidParameterValueException",
    "logs": "InvalidParameterException",
    "s3": "NotImplemented",
    "secretsmanager": "InvalidParameterException",
    "sns": "InvalidParameterException",
    "sts": "ValidationError",
}
_STATUSES = {"NotImplemented": 501}


def guarded(operations: Operations, name: str) -> Callable[..., Any]:
    """The operation of that method's name; if it refuses members, behind a look for them."""
    method: Callable[..., Any] = getattr(operations, name)
    refused: dict[str, tuple[Any, ...]] = {}
    for operation, members in operations.refused.items():
        if operation == "*" or method_name(operation) == name:
            refused |= members
    if not refused:
        return method
    if iscoroutinefunction(method):

        @wraps(method)
        async def waiting(call: Any, request: dict[str, Any]) -> Any:
            check(operations.service, refused, request)
            return await method(call, request)

        return waiting

    @wraps(method)
    def plain(tx: Any, call: Any, request: dict[str, Any]) -> Any:
        check(operations.service, refused, request)
        return method(tx, call, request)

    return plain


def check(service: str, refused: Mapping[str, tuple[Any, ...]], request: Mapping[str, Any]) -> None:
    for member in request.keys() & refused.keys():
        if request[member] not in refused[member]:
            code = CODES[service]
            raise ServiceError(code, f"fogbank does not serve {member} here.", status=_STATUSES.get(code, 400))
