"""Pub/Sub → Eventarc: a message of a transport's subscription goes to its receiver, as an event.

Pub/Sub keeps the message until it is taken, waits between attempts, and passes on what nobody takes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.links import eventarc_to_functions
from fogbank.gcp.links.eventarc_to_pubsub import MODE
from fogbank.gcp.protocol import hosts
from fogbank.gcp.services.eventarc import requests, state
from fogbank.kernel.posting import Sender, Unreachable

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.gcp.services.eventarc.state import Receiver
    from fogbank.gcp.services.pubsub.state import Subscription

PUSHED: Final = re.compile(rf"[?&]{MODE}=")
_AGENT: Final = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"
_TOO_MANY: Final = 429


async def push(house: House, subscription: Subscription, message: Any, attempt: int) -> bool | None:
    """Whether the message is done with; None where it is for the endpoint itself."""
    receiver = await house.store.transact(state.RECEIVERS.get, subscription.name)
    if receiver is None:  # Somebody's own subscription, to an address of that form.
        return None
    headers, body = requests.made(receiver, subscription.name, message, attempt)
    if receiver.kind == "http":
        status, once = await _post(house, subscription, receiver, headers, body), receiver.once
    else:
        status, retries = await eventarc_to_functions.deliver_event(house, receiver, headers, body)
        once = receiver.once or not retries
    return 200 <= status < 300 or (once and status not in (0, _TOO_MANY))


async def _post(
    house: House, subscription: Subscription, receiver: Receiver, headers: dict[str, str], body: bytes
) -> int:
    """The status; 0 where nobody has answered."""
    if receiver.account:
        headers["Authorization"] = f"Bearer {await house.identity.mint(receiver.target, receiver.account)}"
    sender = Sender(_AGENT, float(subscription.settings.ack_deadline_seconds), hosts.OURS)
    try:
        with house.clock.aside:
            return await sender.post(receiver.target, headers, body, here=house.endpoint())
    except Unreachable:
        return 0
