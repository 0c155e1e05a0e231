"""Attributes of queues: which there are, what each may hold, and what holds where nothing was given.

API reference, SetQueueAttributes, "Attributes".
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import orjson

from fogbank.aws.service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULTS = {
    "DelaySeconds": "0", "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0", "VisibilityTimeout": "30", "SqsManagedSseEnabled": "true",
}  # fmt: skip
FIFO_DEFAULTS = {
    "FifoQueue": "true", "ContentBasedDeduplication": "false", "DeduplicationScope": "queue",
    "FifoThroughputLimit": "perQueue",
}  # fmt: skip
_RANGES = {
    "DelaySeconds": (0, 900), "MaximumMessageSize": (1024, 1_048_576), "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20), "VisibilityTimeout": (0, 43_200),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
}  # fmt: skip
_TEXTS = ("Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId")
_BOOLEANS = ("SqsManagedSseEnabled", "ContentBasedDeduplication", "FifoQueue")
_CHOICES = {"DeduplicationScope": ("messageGroup", "queue"), "FifoThroughputLimit": ("perQueue", "perMessageGroupId")}
_FIFO_ONLY = ("ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit", "FifoQueue")


def check(given: Mapping[str, str], *, fifo: bool) -> dict[str, str]:
    """The attributes to keep; one that is given empty goes back to its default. Raises SQS' own errors."""
    kept: dict[str, str] = {}
    for name, value in given.items():
        if name in _FIFO_ONLY and not fifo:
            raise ServiceError("InvalidAttributeName", f"Unknown Attribute {name}.")
        if name in _RANGES:
            low, high = _RANGES[name]
            if not value.isdigit() or not low <= int(value) <= high:
                raise _bad(name)
        elif name in _BOOLEANS:
            if value.lower() not in ("true", "false"):
                raise _bad(name)
        elif name in _CHOICES:
            if value not in _CHOICES[name]:
                raise _bad(name)
        elif name not in _TEXTS:
            raise ServiceError("InvalidAttributeName", f"Unknown Attribute {name}.")
        kept[name] = value
    if kept.get("RedrivePolicy"):
        kept["RedrivePolicy"] = _redrive(kept["RedrivePolicy"])
    return kept


def _bad(name: str) -> ServiceError:
    return ServiceError("InvalidAttributeValue", f"Invalid value for the parameter {name}.")


def _redrive(text: str) -> str:
    reason = f"Value {text} for parameter RedrivePolicy is invalid. Reason: "
    try:
        policy = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ServiceError("InvalidParameterValue", reason + "Redrive policy is not a valid JSON map.") from error
    if not isinstance(policy, dict) or "deadLetterTargetArn" not in policy or "maxReceiveCount" not in policy:
        missing = (
            "maxReceiveCount" if isinstance(policy, dict) and "deadLetterTargetArn" in policy else "deadLetterTargetArn"
        )
        raise ServiceError(
            "InvalidParameterValue", reason + f"Redrive policy does not contain mandatory attribute: {missing}."
        )
    count = str(policy["maxReceiveCount"])
    if not count.isdigit() or not 1 <= int(count) <= 1000:
        raise ServiceError(
            "InvalidParameterValue",
            reason
            + "Invalid value for maxReceiveCount: "
            + count
            + ", valid values are from 1 to 1000 both inclusive.",
        )
    return orjson.dumps({**policy, "maxReceiveCount": int(count)}).decode()


def redrive(attributes: Mapping[str, str]) -> tuple[str, int] | None:
    """(ARN of the dead-letter queue, receives allowed), where there is one."""
    text = attributes.get("RedrivePolicy")
    return _target(text) if text else None


@lru_cache(1024)
def _target(policy: str) -> tuple[str, int]:
    found = orjson.loads(policy)
    return found["deadLetterTargetArn"], found["maxReceiveCount"]
