"""Events as the HTTP requests by which receivers get them.

CloudEvents come in binary mode (CloudEvents, "HTTP Protocol Binding"); those of the 1st generation are JSON with a form
of their own ("Event function signature": data and context).
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import orjson

from fogbank.gcp.services.eventarc import catalog

if TYPE_CHECKING:
    from fogbank.gcp.services.eventarc.state import Receiver

LEGACY_PUBLISHED: Final = "google.pubsub.topic.publish"
_ATTRIBUTE: Final = re.compile(r"ce-[a-z0-9]+")
_MESSAGE: Final = "type.googleapis.com/google.pubsub.v1.PubsubMessage"
# "HTTP Header Values": what is not printable ASCII is percent-encoded; so are space, double quote and percent.
_PLAIN: Final = "".join(map(chr, range(0x21, 0x7F))).replace('"', "").replace("%", "")


def made(receiver: Receiver, subscription: str, message: Any, attempt: int) -> tuple[dict[str, str], bytes]:
    """(headers, body) for a PubsubMessage: the event that is in it, or the event that it is."""
    if receiver.type == catalog.MESSAGE_PUBLISHED:
        return _published(receiver, subscription, message, attempt)
    if receiver.type:
        return {"Content-Type": catalog.JSON}, orjson.dumps(_legacy_published(receiver, message))
    headers = {"Content-Type": quote(message.attributes.get("content-type") or catalog.JSON, safe=_PLAIN)}
    for name, value in message.attributes.items():
        if _ATTRIBUTE.fullmatch(name):  # Anybody may publish to a trigger's topic, with attributes of any form.
            headers[name] = quote(value, safe=_PLAIN)
    return headers, message.data


def _published(
    receiver: Receiver, subscription: str, message: Any, attempt: int
) -> tuple[dict[str, str], bytes]:  # fmt: skip
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
    body: dict[str, Any] = {"message": told, "subscription": subscription}
    if attempt:
        body["deliveryAttempt"] = attempt
    headers = {
        "Content-Type": catalog.JSON, "ce-id": message.message_id, "ce-specversion": "1.0", "ce-time": published,
        "ce-source": f"//pubsub.googleapis.com/{receiver.topic}", "ce-type": catalog.MESSAGE_PUBLISHED,
    }  # fmt: skip
    return headers, orjson.dumps(body)


def _legacy_published(receiver: Receiver, message: Any) -> dict[str, Any]:
    resource = {"service": "pubsub.googleapis.com", "name": receiver.topic, "type": _MESSAGE}
    context = {
        "eventId": message.message_id, "timestamp": message.publish_time.ToJsonString(), "eventType": receiver.type,
        "resource": resource,
    }  # fmt: skip
    data = {"@type": _MESSAGE, "attributes": dict(message.attributes), "data": b64encode(message.data).decode()}
    return {"context": context, "data": data}
