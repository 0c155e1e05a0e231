"""The end of every trigger: one event for a function, in the trace and the lineage of what it tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from fogbank.aws.service import ServiceError
from fogbank.aws.services.lambda_ import destinations, recursion, state
from fogbank.aws.services.lambda_.calling import Caller
from fogbank.aws.services.lambda_.debugging import Debugging
from fogbank.aws.services.lambda_.destinations import Parcel
from fogbank.aws.services.lambda_.state import by_arn
from fogbank.functions.model import Outcome
from fogbank.functions.triggers.model import Fed, NotRun
from fogbank.kernel.telemetry import current_lineage, current_trace

if TYPE_CHECKING:
    from fogbank.aws.service import House
    from fogbank.functions.triggers.model import Told
    from fogbank.kernel.store import Tx

_PROBLEMS = {
    "TooManyRequestsException": "Function is throttled", "ResourceNotFoundException": "Function not found",
}  # fmt: skip


class Feeder:
    """One for each server."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def invoke(self, function_arn: str, event: bytes) -> Fed:
        request_id = self._house.ids.new()
        try:
            target, outcome = await self._house.share(Caller).call(
                by_arn(function_arn), event, request_id, trace_id=current_trace.get(), lineage=current_lineage.get()
            )
        except ServiceError as error:
            if error.code == recursion.STOPPED:  # As a failure: what goes round stays away for its whole time.
                return Fed(Outcome(b"", error.code), request_id, "")
            raise NotRun(_PROBLEMS.get(error.code, str(error))) from error
        return Fed(outcome, request_id, target.published.version)

    async def is_debugged(self, function_arn: str) -> bool:
        debugging = self._house.share(Debugging)
        if not debugging.sessions:  # Asked for every batch.
            return False
        try:
            function, version = await self._house.store.transact(_version, by_arn(function_arn))
        except ServiceError:
            return False
        return debugging.is_on(function.id, version, function_arn)

    async def deliver(self, function_arn: str, told: Told) -> None:
        """ "Retain discarded records": what a destination does not take is lost, and the stream goes on."""
        house, who = self._house, by_arn(function_arn)
        parcel = Parcel(
            orjson.dumps(told.document).decode(), house.clock.now_ms(), house.ids.new, who.account, who.region,
            folder=told.folder,
        )  # fmt: skip
        try:
            await destinations.send(house, told.to, parcel)
        except ServiceError as error:
            house.telemetry.error(
                "a batch that was given up could not be told of", function=function_arn, error=str(error), to=told.to
            )


def _version(tx: Tx, who: state.Named) -> tuple[state.Function, str]:
    function = state.find(tx, who)
    return function, state.published(tx, function, who).version
