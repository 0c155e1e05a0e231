"""API Gateway → AWS Lambda: a proxied request's way into a function, past the API but not past its rules."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fogbank.aws.services.lambda_.calling import Caller
from fogbank.aws.services.lambda_.state import Named

if TYPE_CHECKING:
    from fogbank.aws.service import House
    from fogbank.functions.model import Outcome


async def call(
    house: House, function_arn: str, payload: bytes, request_id: str, source_arn: str, timeout_s: float, trace: str
) -> Outcome:
    """Raises `ServiceError` where the function is gone, full, or not open to this API; `TimeoutError` in the end."""
    _, _, _, region, account, _, name, *qualifier = function_arn.split(":")
    who = Named(account, region, name, *qualifier)
    calling = house.share(Caller).call(
        who, payload, request_id, principal="apigateway.amazonaws.com", source_arn=source_arn, trace_header=trace
    )
    _, outcome = await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(calling)), timeout_s)
    return outcome
