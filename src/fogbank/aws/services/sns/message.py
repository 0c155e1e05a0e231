"""What may be published: the rules for a message's text, subject and attributes, and what each protocol is told of it.

API reference, Publish; Developer Guide, "Amazon SNS message attributes".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.service import ServiceError
from fogbank.aws.services.sns import state

if TYPE_CHECKING:
    from collections.abc import Mapping

_SUBJECT_MAX = 100
_NAME_MAX = 256
_TYPES = ("Binary", "Number", "String")
_TOKEN = re.compile(r"[A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,5})?", re.ASCII)
_FORBIDDEN_IN_NAME = re.compile(r"[^A-Za-z0-9_.-]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def check(request: Mapping[str, Any]) -> None:
    """One message, of Publish or of a batch. Raises SNS' own errors."""
    if not request["Message"]:
        raise state.invalid("Empty message")
    subject = request.get("Subject")
    # Publish, Subject: "UTF-8 text with no line breaks or control characters, and less than 100 characters long".
    if subject is not None and (not 0 < len(subject) <= _SUBJECT_MAX or _CONTROL.search(subject)):
        raise state.invalid("Subject")
    structure = request.get("MessageStructure", "")
    if structure not in ("", "json"):
        raise state.invalid("MessageStructure")
    for name, attribute in request.get("MessageAttributes", {}).items():
        _check_name(name)
        _check_attribute(name, attribute)
    if structure == "json":
        _by_protocol(request["Message"])


def size(request: Mapping[str, Any]) -> int:
    """ "the combined size of the message body and message attributes"."""
    total = len(request["Message"].encode())
    for name, attribute in request.get("MessageAttributes", {}).items():
        value = attribute.get("StringValue", "").encode() or bytes(attribute.get("BinaryValue", b""))
        total += len(name.encode()) + len(attribute["DataType"].encode()) + len(value)
    return total


def texts(request: Mapping[str, Any]) -> dict[str, str]:
    """By protocol, and under "default" for all others: "Set MessageStructure to json if you want to send a different
    message for each protocol"; "Non-string values will cause the key to be ignored"."""
    if request.get("MessageStructure") != "json":
        return {"default": request["Message"]}
    return {name: one for name, one in _by_protocol(request["Message"]).items() if isinstance(one, str)}


def check_token(name: str, value: str) -> None:
    """Of MessageGroupId and MessageDeduplicationId."""
    if not _TOKEN.fullmatch(value):
        told = (
            f"{name} Reason: The parameter can only include alphanumeric and punctuation characters. 1 to 128 in length"
        )
        raise state.invalid(told)


def _by_protocol(text: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise state.invalid("Message Structure - JSON message body failed to parse") from error
    if not isinstance(found, dict) or not isinstance(found.get("default"), str):
        raise state.invalid("Message Structure - No default entry in JSON message body")
    return found


def _bad(told: str) -> ServiceError:
    return ServiceError("InvalidParameterValueException", told)


def _check_name(name: str) -> None:
    if len(name.encode()) > _NAME_MAX:
        raise _bad("Length of message attribute name must be less than 256 bytes.")
    wrong = _FORBIDDEN_IN_NAME.search(name)
    if wrong:
        raise _bad(f"Invalid non-alphanumeric character '#x{ord(wrong[0]):X}' was found in the message attribute name. Can only include alphanumeric characters, hyphens, underscores, or dots.")  # fmt: skip  # noqa: E501
    if name.startswith("."):
        raise _bad("Invalid message attribute name starting with character '.' was found.")
    if name.endswith("."):
        raise _bad("Invalid message attribute name ending with character '.' was found.")
    if ".." in name:
        raise _bad("Message attribute name can not have successive '.' character.")


def _check_attribute(name: str, attribute: Mapping[str, Any]) -> None:
    kind = attribute["DataType"]
    base = kind.partition(".")[0]
    if base not in _TYPES:
        raise _bad(f"The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.")  # fmt: skip  # noqa: E501
    field = "Binary" if base == "Binary" else "String"
    if not attribute.get(f"{field}Value"):
        other = "StringValue" if base == "Binary" else "BinaryValue"
        if attribute.get(other):
            raise _bad(f"The message attribute '{name}' with type '{kind}' must use field '{field}'.")
        raise _bad(f"The message attribute '{name}' must contain non-empty message attribute value for message attribute type '{kind}'.")  # fmt: skip  # noqa: E501
    if kind == "Number":
        _check_number(name, attribute["StringValue"])


def _check_number(name: str, value: str) -> None:
    if not _NUMBER.fullmatch(value) or abs(float(value)) == float("inf"):
        raise _bad(f"Could not cast message attribute '{name}' value to number.")
