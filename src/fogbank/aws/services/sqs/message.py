"""A message as SQS takes and gives it: its checks, its digests, its attributes on the wire.

Developer Guide, "Amazon SQS message metadata"; "Calculating the MD5 message digest for message attributes".
"""

from __future__ import annotations

import math
import re
from hashlib import md5
from struct import pack
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fogbank.primitives.queues import Message

BYTES_MAX = 1_048_576  # "Amazon SQS message quotas": message size, maximum; also of a batch.
_ATTRIBUTES_MAX = 10
# SendMessage, MessageBody: "#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF".
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME = re.compile(r"[A-Za-z0-9_\-.]{1,256}")
_TYPES = ("String", "Number", "Binary")
SYSTEM_NAMES = frozenset(
    [
        "All", "SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp",
        "SequenceNumber", "MessageDeduplicationId", "MessageGroupId", "AWSTraceHeader", "DeadLetterQueueSourceArn",
    ]
)  # fmt: skip
_LISTS = ("StringListValues", "BinaryListValues")  # MessageAttributeValue: "Not implemented. Reserved for future use."
# SendMessage, MessageGroupId: up to 128 alphanumeric characters and punctuation.
_TOKEN = re.compile(r"[A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}")


def check_body(body: str) -> None:
    if not body:
        raise ServiceError("MissingParameter", "The request must contain the parameter MessageBody.")
    if _FORBIDDEN.search(body):
        raise ServiceError(
            "InvalidMessageContents",
            "Invalid binary character was found in the message body, the set of allowed characters is #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",  # noqa: E501
        )


def size(body: str, attributes: Mapping[str, Mapping[str, Any]]) -> int:
    total = len(body.encode())
    for name, value in attributes.items():
        total += len(name) + len(value["DataType"])
        total += len(value.get("BinaryValue") or value.get("StringValue", "").encode())
    return total


def check_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> None:
    if len(attributes) > _ATTRIBUTES_MAX:
        raise ServiceError(
            "InvalidParameterValue",
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [10].",
        )
    for name, value in attributes.items():
        kind = value["DataType"].partition(".")[0]
        if (
            not _NAME.fullmatch(name)
            or name.lower().startswith(("aws.", "amazon.", "."))
            or name.endswith(".")
            or ".." in name
        ):
            raise ServiceError("InvalidParameterValue", f"Message (user) attribute name '{name}' is invalid.")
        if kind not in _TYPES:
            raise ServiceError(
                "InvalidParameterValue",
                f"The type of message (user) attribute '{name}' is invalid. You must use only the following supported "
                "type prefixes: Binary, Number, String.",
            )
        if any(value.get(member) for member in _LISTS):
            told = "Message attribute list values in SendMessage operation are not supported."
            raise ServiceError("UnsupportedOperation", told)
        given = value.get("BinaryValue") if kind == "Binary" else value.get("StringValue")
        if not given:
            raise ServiceError(
                "InvalidParameterValue",
                f"The message (user) attribute '{name}' must contain a non-empty message attribute value for message "
                f"attribute type '{kind}'.",
            )
        if kind == "Number" and not _is_number(given):
            told = f"Can't cast the value of message (user) attribute '{name}' to a number."
            raise ServiceError("InvalidParameterValue", told)


def check_system_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> None:
    """SendMessage, MessageSystemAttributes: "Currently, the only supported message system attribute is
    AWSTraceHeader. Its type must be String"."""
    for name, value in attributes.items():
        if name != "AWSTraceHeader":
            told = f"Message system attribute name '{name}' is invalid. You can only use AWSTraceHeader."
            raise ServiceError("InvalidParameterValue", told)
        if value["DataType"] != "String" or not value.get("StringValue"):
            told = f"The message system attribute '{name}' must be of the type String and contain a non-empty value."
            raise ServiceError("InvalidParameterValue", told)


def check_token(name: str, value: str) -> None:
    """Of a message group, or for deduplication."""
    if not _TOKEN.fullmatch(value):
        told = f"Value {value} for parameter {name} is invalid. Reason: {name} can only include alphanumeric and punctuation characters. 1 to 128 in length."  # noqa: E501
        raise ServiceError("InvalidParameterValue", told)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def md5_of(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def md5_of_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> str:
    """Names in order; of each its name, type, and value, each with its length; a byte tells text from binary."""
    digest = md5(usedforsecurity=False)
    for name in sorted(attributes):
        value = attributes[name]
        binary = value["DataType"].startswith("Binary")
        raw = bytes(value["BinaryValue"]) if binary else value["StringValue"].encode()
        for part in (name.encode(), value["DataType"].encode()):
            digest.update(pack(">I", len(part)) + part)
        digest.update(b"\x02" if binary else b"\x01")
        digest.update(pack(">I", len(raw)) + raw)
    return digest.hexdigest()


def on_wire(message: Message, handle: str, system: Iterable[str], wanted: Iterable[str]) -> dict[str, Any]:
    """As ReceiveMessage gives it; `system` and `wanted` are the names of attributes that were asked for."""
    shown: dict[str, Any] = {
        "MessageId": message.id,
        "ReceiptHandle": handle,
        "MD5OfBody": md5_of(message.body),
        "Body": message.body,
    }
    asked = set(system)
    if asked:
        every = system_attributes(message)
        chosen = every if "All" in asked else {name: value for name, value in every.items() if name in asked}
        if chosen:
            shown["Attributes"] = chosen
    own = _selected(message.notes.get("attributes", {}), list(wanted)) if wanted else None
    if own:
        shown["MessageAttributes"] = own
        shown["MD5OfMessageAttributes"] = md5_of_attributes(own)
    return shown


def system_attributes(message: Message) -> dict[str, str]:
    return {
        **message.notes.get("system", {}),
        "SentTimestamp": str(message.sent_ms),
        "ApproximateReceiveCount": str(message.receive_count),
        "ApproximateFirstReceiveTimestamp": str(message.first_received_ms),
        **({"MessageGroupId": message.group} if message.group else {}),
    }


def _selected(attributes: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
    if "All" in wanted or ".*" in wanted:
        return attributes
    prefixes = tuple(name[:-1] for name in wanted if name.endswith(".*"))
    return {n: v for n, v in attributes.items() if n in wanted or (prefixes and n.startswith(prefixes))}
