"""Eventarc → Cloud Functions: an event goes to the function, or to the function behind a service of Cloud Run.

Events are Google's own requests: no policy of the function's is asked for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fogbank.functions.http.messages import HttpRequest
from fogbank.gcp.protocol import hosts
from fogbank.gcp.service import RpcError
from fogbank.gcp.services.functions import state
from fogbank.gcp.services.functions.delivering import Undeliverable, deliver
from fogbank.kernel.gateway.messages import Unfinished

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.gcp.services.eventarc.state import Receiver
    from fogbank.gcp.services.functions.state import Function
    from fogbank.kernel.store import Tx

_RETRY: Final = 2  # google.cloud.functions.v2.EventTrigger.RetryPolicy.


async def deliver_event(
    house: House, receiver: Receiver, headers: dict[str, str], body: bytes
) -> tuple[int, bool]:  # fmt: skip
    """(status, whether what has failed is to be tried again). The status is 0 where no function could be asked."""
    function = await house.store.transact(_find, receiver)
    if function is None:
        return 0, True
    if receiver.account:
        headers["Authorization"] = f"Bearer {await house.identity.mint(_audience(function), receiver.account)}"
    request = HttpRequest("POST", receiver.path, list(headers.items()), body)
    try:
        with house.clock.aside:
            response = await deliver(house, function.name, request)
            await response.over()
    except Undeliverable:
        return 0, True
    except Unfinished:
        return 500, _retries(receiver, function)
    return response.status, _retries(receiver, function)


def _find(tx: Tx, receiver: Receiver) -> Function | None:
    try:
        if receiver.kind == "function":
            return state.get(tx, receiver.target)
    except RpcError:  # A name that cannot be one.
        return None
    _, project, _, location, _, service = receiver.target.split("/")
    found = state.FUNCTIONS.all(tx, project, location)
    return next((one for one in found if one.generation == 2 and one.service == service), None)


def _audience(function: Function) -> str:
    """Of the 2nd generation the address of its service."""
    at = function.at
    if function.generation == 1:
        return f"https://{hosts.functions_host(at.project, at.location)}/{at.id}"
    return f"https://{hosts.service_host(at.project, at.location, function.service)}"


def _retries(receiver: Receiver, function: Function) -> bool:
    """A function's own trigger does as the function says; any other tries again."""
    if function.generation == 1:
        return bool(function.first.event_trigger.failure_policy.HasField("retry"))
    if function.trigger != receiver.name:
        return True
    return bool(function.second.event_trigger.retry_policy == _RETRY)
