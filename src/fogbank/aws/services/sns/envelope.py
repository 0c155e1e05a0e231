"""What receivers are sent: the JSON of a notification or a confirmation, and the event of a function.

Developer Guide, "Parsing Amazon SNS message formats"; Lambda Developer Guide, "Invoking Lambda functions with Amazon
SNS notifications".
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from fogbank.aws.services.sns.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.aws.service import House

_LAMBDA_NAMES = {"SigningCertURL": "SigningCertUrl", "UnsubscribeURL": "UnsubscribeUrl"}
_CONFIRM = (
    "You have chosen to subscribe to the topic {topic}.\n"
    "To confirm the subscription, visit the SubscribeURL included in this message."
)
_RESTORE = (
    "You have chosen to deactivate subscription {subscription}.\n"
    "To cancel this operation and restore the subscription, visit the SubscribeURL included in this message."
)


async def notification(house: House, notes: Mapping[str, Any], text: str, *, version: str) -> dict[str, Any]:
    """The document, in the order in which SNS writes it. Messages of FIFO topics are not signed."""
    message = notes["message"]
    document: dict[str, Any] = {"Type": "Notification", "MessageId": message["id"]}
    if message.get("sequence"):
        document["SequenceNumber"] = message["sequence"]
    document["TopicArn"] = notes["topic"]
    if message.get("subject"):
        document["Subject"] = message["subject"]
    document |= {"Message": text, "Timestamp": stamp(message["at_ms"])}
    if not message.get("sequence"):
        document |= await house.share(Signer).signed(document, version)
    document["UnsubscribeURL"] = (
        f"{house.endpoint()}/?Action=Unsubscribe&SubscriptionArn={quote(notes['subscription'], safe=':')}"
    )
    attributes = message.get("attributes")
    return {**document, "MessageAttributes": _attributes(attributes)} if attributes else document


async def lambda_event(house: House, notes: Mapping[str, Any], text: str) -> bytes:
    """Its signature is of version 1, whatever the topic says."""
    document = await notification(house, notes, text, version="1")
    told = {_LAMBDA_NAMES.get(name, name): value for name, value in document.items()}
    told = {"Subject": None, "MessageAttributes": {}, **told}
    record = {
        "EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": notes["subscription"], "Sns": told,
    }  # fmt: skip
    return orjson.dumps({"Records": [record]})


async def confirmation(house: House, notes: Mapping[str, Any], *, version: str) -> dict[str, Any]:
    """Of a subscription, or of its end: either is confirmed, or undone, by visiting the SubscribeURL."""
    kind, topic = notes["kind"], notes["topic"]
    told = _CONFIRM if kind == "SubscriptionConfirmation" else _RESTORE
    document = {
        "Type": kind,
        "MessageId": notes["message"]["id"],
        "Token": notes["token"],
        "TopicArn": topic,
        "Message": told.format(topic=topic, subscription=notes["subscription"]),
        "SubscribeURL": confirm_url(house, topic, notes["token"]),
        "Timestamp": stamp(notes["message"]["at_ms"]),
    }
    return document | await house.share(Signer).signed(document, version)


def confirm_url(house: House, topic_arn: str, token: str) -> str:
    return f"{house.endpoint()}/?Action=ConfirmSubscription&TopicArn={quote(topic_arn, safe=':')}&Token={token}"


def stamp(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def _attributes(given: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    return {name: {"Type": one["DataType"], "Value": _value(one)} for name, one in given.items()}


def _value(attribute: Mapping[str, Any]) -> str:
    if attribute["DataType"].partition(".")[0] == "Binary":
        return b64encode(bytes(attribute["BinaryValue"])).decode()
    return str(attribute["StringValue"])
