"""Attributes of queues: which there are, what each may hold, and what holds where nothing was given.

API reference, SetQueueAttributes, "Attributes".
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

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
_SOURCES_MAX = 10  # "You can specify up to 10 source queue ARNs."
_RANGES = {
    "DelaySeconds": (0, 900), "MaximumMessageSize": (1024, 1_048_576), "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20), "VisibilityTimeout": (0, 43_200),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
}  # fmt: skip
NAMES = frozenset(
    [
        *DEFAULTS, *FIFO_DEFAULTS, "All", "Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId",
        "KmsDataKeyReusePeriodSeconds", "QueueArn", "CreatedTimestamp", "LastModifiedTimestamp",
        "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed",
    ]
)  # fmt: skip
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
    return _check_documents(kept)


def _check_documents(kept: dict[str, str]) -> dict[str, str]:
    if kept.get("Policy"):
        _check_policy(kept["Policy"])
    if kept.get("RedrivePolicy"):
        kept["RedrivePolicy"] = _redrive(kept["RedrivePolicy"])
    if kept.get("RedriveAllowPolicy"):
        _allow(kept["RedriveAllowPolicy"])
    if kept.get("KmsMasterKeyId") and kept.get("SqsManagedSseEnabled", "").lower() == "true":
        told = "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE."  # noqa: E501
        raise ServiceError("InvalidAttributeValue", told)
    return kept


def check_throughput(attributes: Mapping[str, str]) -> None:
    """ "The perMessageGroupId value is allowed only when the value for DeduplicationScope is messageGroup." """
    merged = {**FIFO_DEFAULTS, **attributes}
    if merged["FifoThroughputLimit"] == "perMessageGroupId" and merged["DeduplicationScope"] != "messageGroup":
        told = "Invalid value for the parameter FifoThroughputLimit. Reason: The perMessageGroupId value is allowed only when the value for DeduplicationScope is messageGroup."  # noqa: E501
        raise ServiceError("InvalidAttributeValue", told)


def _check_policy(text: str) -> None:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _bad("Policy") from error
    if not isinstance(document, dict) or "Statement" not in document:
        raise _bad("Policy")


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


def _allow(text: str) -> dict[str, Any]:
    """Developer Guide, "Configuring a dead-letter queue": which queues may name this one."""
    reason = f"Value {text} for parameter RedriveAllowPolicy is invalid. Reason: "

    def wrong(told: str) -> ServiceError:
        return ServiceError("InvalidParameterValue", reason + told)

    try:
        policy = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise wrong("Amazon SQS can't parse the redrive allow policy.") from error
    if not isinstance(policy, dict) or policy.get("redrivePermission") not in ("allowAll", "denyAll", "byQueue"):
        raise wrong("redrivePermission must be one of allowAll, denyAll, byQueue.")
    sources = policy.get("sourceQueueArns")
    if policy["redrivePermission"] != "byQueue":
        if sources is not None:
            raise wrong("sourceQueueArns can be specified only when redrivePermission is byQueue.")
    elif not isinstance(sources, list) or not 1 <= len(sources) <= _SOURCES_MAX:
        raise wrong(f"sourceQueueArns must hold 1 to {_SOURCES_MAX} ARNs when redrivePermission is byQueue.")
    return dict(policy)


def lets_in(attributes: Mapping[str, str], source_arn: str) -> bool:
    """Whether a queue with these attributes may be the dead-letter queue of that one."""
    policy = _allow(attributes["RedriveAllowPolicy"]) if attributes.get("RedriveAllowPolicy") else {}
    permission = policy.get("redrivePermission", "allowAll")
    return permission == "allowAll" or (permission == "byQueue" and source_arn in policy["sourceQueueArns"])


def redrive(attributes: Mapping[str, str]) -> tuple[str, int] | None:
    """(ARN of the dead-letter queue, receives allowed), where there is one."""
    text = attributes.get("RedrivePolicy")
    return _target(text) if text else None


@lru_cache(1024)
def _target(policy: str) -> tuple[str, int]:
    found = orjson.loads(policy)
    return found["deadLetterTargetArn"], found["maxReceiveCount"]
