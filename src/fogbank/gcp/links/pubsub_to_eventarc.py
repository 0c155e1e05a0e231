"""Pub/Sub → Eventarc: a message of a transport's subscription, as the HTTP request that its receiver is sent.

CloudEvents come in binary mode (CloudEvents, "HTTP Protocol Binding"), those of the 1st generation as their own JSON.
Pub/Sub keeps the message until it is taken, waits between attempts, and passes on what nobody takes.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import orjson

from fogbank.gcp.links.eventarc_to_pubsub import MODE
from fogbank.gcp.services.eventarc import catalog, state
from fogbank.kernel.posting import Sender, Unreachable

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.gcp.services.eventarc.state import Receiver
    from fogbank.gcp.services.pubsub.state import Subscription

PUSHED: Final = re.compile(rf"[?&]{MODE}=")
_AGENT: Final = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"
# "Example of percent-encoding": what is not printable ASCII, and space, double quote and percent.
_UNENCODED: Final = "".join(map(chr, range(0x21, 0x7F))).replace('"', "").replace("%", "")
_TOO_MANY: Final = 429


async def push(house: House, subscription: Subscription, message: Any, attempt: int) -> bool | None:
    """Whether the message is done with; None where it is for the endpoint itself."""
    receiver = await house.store.transact(state.RECEIVERS.get, subscription.name)
    if receiver is None:  # Somebody's own subscription, to an address of that form.
        return None
    headers, body = _request(receiver, subscription, message, attempt)
    status = await _sent(house, subscription, receiver, headers, body)
    return 200 <= status < 300 or (receiver.once and status not in (0, _TOO_MANY))


async def _sent(
    house: House, subscription: Subscription, receiver: Receiver, headers: dict[str, str], body: bytes
) -> int:
    """The status; 0 where nobody has answered."""
    if receiver.account:
        audience = receiver.target
        headers["Authorization"] = f"Bearer {await house.identity.mint(audience, receiver.account)}"
    sender = Sender(_AGENT, float(subscription.settings.ack_deadline_seconds))
    try:
        with house.clock.aside:
            return await sender.post(receiver.target, headers, body)
    except Unreachable:
        return 0


def _request(
    receiver: Receiver, subscription: Subscription, message: Any, attempt: int
) -> tuple[dict[str, str], bytes]:
    if receiver.type == catalog.MESSAGE_PUBLISHED:
        return _published(receiver, subscription, message, attempt)
    headers = {"content-type": catalog.JSON, **dict(message.attributes)}
    return {_named(name): _encoded(value) for name, value in headers.items()}, message.data


def _published(
    receiver: Receiver, subscription: Subscription, message: Any, attempt: int
) -> tuple[dict[str, str], bytes]:
    """google.events.cloud.pubsub.v1.MessagePublishedData, with each name as a push has it."""
    published = message.publish_time.ToJsonString()
    told: dict[str, Any] = {
        "data": b64encode(message.data).decode(), "messageId": message.message_id, "message_id": message.message_id,
        "publishTime": published, "publish_time": published,
    }  # fmt: skip
    if message.attributes:
        told["attributes"] = dict(message.attributes)
    if message.ordering_key:
        told["orderingKey"] = message.ordering_key
    body: dict[str, Any] = {"message": told, "subscription": subscription.name}
    if attempt:
        body["deliveryAttempt"] = attempt
    headers = {
        "Content-Type": catalog.JSON, "ce-id": message.message_id, "ce-specversion": "1.0", "ce-time": published,
        "ce-source": f"//pubsub.googleapis.com/{receiver.topic}", "ce-type": catalog.MESSAGE_PUBLISHED,
    }  # fmt: skip
    return headers, orjson.dumps(body)


def _named(attribute: str) -> str:
    return "Content-Type" if attribute == "content-type" else attribute


def _encoded(value: str) -> str:
    return quote(value, safe=_UNENCODED)
