"""API Gateway → AWS Lambda: a proxied request's way into a function, past the API but not past its rules."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fogbank.aws.protocol import edge
from fogbank.aws.services.lambda_.admission import Target
from fogbank.aws.services.lambda_.calling import Caller
from fogbank.aws.services.lambda_.debugging import Debugging
from fogbank.aws.services.lambda_.state import by_arn
from fogbank.functions.model import Invocation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fogbank.aws.service import House
    from fogbank.functions.model import Outcome
    from fogbank.kernel.store import Recaller


def target(house: House, tx: Recaller, function_arn: str, source_arn: str) -> Target:
    """Raises `ServiceError` where the function is gone, or not open to this API."""
    return house.share(Caller).resolve(tx, by_arn(function_arn), "apigateway.amazonaws.com", source_arn)


def ends_in_time(house: House, target: Target, timeout_s: float, *, start_ms: int = 0) -> bool:
    """Whether the API need not watch the time: the function ends before it, or somebody debugs it, who has all time."""
    return target.version.timeout_ms + start_ms <= timeout_s * 1000 or house.share(Debugging).is_on(
        target.function.id, target.published.version, target.arn
    )


def begin(
    house: House, target: Target, payload: bytes, request_id: str, trace: str, done: Callable[[Outcome], None]
) -> bool:
    """As `call`, where that needs no waiting for room or an instance; False, and nothing done, where it does."""
    trace = edge.function_trace(trace, request_id)
    invocation = Invocation(request_id, payload, function_arn=target.arn, trace_header=trace)
    return house.share(Caller).begin(target, invocation, done)


def call(
    house: House, target: Target, payload: bytes, request_id: str, timeout_s: float, trace: str
) -> Awaitable[Outcome]:
    """Raises `ServiceError` where the function has no room, `TimeoutError` in the end."""
    trace = edge.function_trace(trace, request_id)
    invocation = Invocation(request_id, payload, function_arn=target.arn, trace_header=trace)
    running = house.share(Caller).run(target, invocation)
    if ends_in_time(house, target, timeout_s, start_ms=_START_MS):
        return running  # It ends by itself before the API would give it up.
    return asyncio.wait_for(asyncio.shield(asyncio.ensure_future(running)), timeout_s)


_START_MS = 11_000  # A cold start: ten seconds at most for the initialisation.
