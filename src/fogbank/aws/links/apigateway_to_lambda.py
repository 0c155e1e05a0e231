"""API Gateway → AWS Lambda: a proxied request's way into a function, past the API but not past its rules."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fogbank.aws.protocol import edge
from fogbank.aws.services.lambda_.calling import Caller, Target
from fogbank.aws.services.lambda_.state import Named
from fogbank.functions.model import Invocation

if TYPE_CHECKING:
    from fogbank.aws.service import House
    from fogbank.functions.model import Outcome
    from fogbank.kernel.store import Tx


def target(house: House, tx: Tx, function_arn: str, source_arn: str) -> Target:
    """Raises `ServiceError` where the function is gone, or not open to this API."""
    _, _, _, region, account, _, name, *qualifier = function_arn.split(":")
    who = Named(account, region, name, *qualifier)
    return house.share(Caller).resolve(tx, who, "apigateway.amazonaws.com", source_arn)


async def call(house: House, target: Target, payload: bytes, request_id: str, timeout_s: float, trace: str) -> Outcome:
    """Raises `ServiceError` where the function has no room, `TimeoutError` in the end."""
    trace = edge.function_trace(trace, request_id)
    running = house.share(Caller).run(
        target, Invocation(request_id, payload, function_arn=target.arn, trace_header=trace)
    )
    if target.version.timeout_ms + _START_MS <= timeout_s * 1000:
        return await running  # It ends by itself before the API would give it up.
    return await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(running)), timeout_s)


_START_MS = 11_000  # A cold start: ten seconds at most for the initialisation.
