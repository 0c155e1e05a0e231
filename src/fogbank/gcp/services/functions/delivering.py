"""A request to a function by its name: to the version that answers, on an instance of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.functions.engine import Abandoned
from fogbank.gcp.service import RpcError
from fogbank.gcp.services.functions import permissions, state, versions
from fogbank.gcp.services.functions.versions import NotBuilt, Versions

if TYPE_CHECKING:
    from fogbank.functions.http.messages import HttpRequest, HttpResponse
    from fogbank.gcp.service import House
    from fogbank.gcp.services.functions.state import Function


class Undeliverable(Exception):
    """Nobody takes it; `status` is what Google's front would answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


async def deliver(house: House, name: str, request: HttpRequest, *, principal: str | None = None) -> HttpResponse:
    """`principal`: the account that asks; None for Google itself, which may. Raises `Undeliverable`."""
    try:
        function = await house.store.transact(state.find, name)
    except RpcError as error:
        raise Undeliverable(404, error.message) from error
    if principal is not None and not await permissions.may_invoke(house, function, principal):
        raise Undeliverable(403, f"{principal} may not invoke {name}.")
    return await run(house, function, request)


async def run(house: House, function: Function, request: HttpRequest) -> HttpResponse:
    """Whoever asks has been let in. One that waited for an instance of a version that answers no more is the next
    one's."""
    while True:
        try:
            return await _ask(house, function, request)
        except Abandoned as error:
            now = await house.store.transact(state.get, function.name)
            if now is None or now.id != function.id:
                raise Undeliverable(404, f"{function.name} was deleted.") from error
            if now.serving == function.serving:  # The server ends.
                raise Undeliverable(503, f"{function.name} has no instances any more.") from error
            function = now


async def _ask(house: House, function: Function, request: HttpRequest) -> HttpResponse:
    """Raises `Abandoned`."""
    serving = function.serving
    if serving is None:
        raise Undeliverable(404, f"{function.name} has no version that answers.")
    try:
        version = await house.share(Versions).of(function, serving)
    except (NotBuilt, RpcError) as error:
        raise Undeliverable(503, f"{function.name} cannot be made ready: {error}") from error
    return await house.engine.request(version, request, limit=versions.limits(function, serving))
