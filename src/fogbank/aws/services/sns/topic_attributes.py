"""Attributes of topics: which there are, what each may hold, and what is shown where nothing was set.

API reference, SetTopicAttributes and GetTopicAttributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.services.sns import delivery_policy, state, unserved

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fogbank.aws.services.sns.state import Subscription, Topic

SIZE_MAX = 262_144  # Where MaximumMessageSize says nothing else.
# What holds where nothing was set: who asks for that asks for nothing else.
DEFAULTS = {
    "ContentBasedDeduplication": "false", "FifoThroughputScope": "Topic", "MaximumMessageSize": str(SIZE_MAX),
    "SignatureVersion": "1", "TracingConfig": "PassThrough",
}  # fmt: skip
_SIZES = (1024, 1_048_576)
_DISPLAY_NAME_MAX = 100
_POLICY_BYTES_MAX = 30_720
_CHOICES = {
    "SignatureVersion": ("1", "2"), "TracingConfig": ("PassThrough", "Active"),
    "FifoThroughputScope": ("Topic", "MessageGroup"),
}  # fmt: skip
_FIFO_ONLY = ("ContentBasedDeduplication", "FifoThroughputScope")
# "Amazon SNS message delivery status": by the word that stands first.
FEEDBACK = {"http": "HTTP", "https": "HTTP", "lambda": "Lambda", "sqs": "SQS"}
_FEEDBACK_NAMES = frozenset(
    f"{kind}{what}"
    for kind in ("HTTP", "Firehose", "Lambda", "Application", "SQS")
    for what in ("SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn")
)
# The policy of a topic that was given none ("Example cases for Amazon SNS access control").
_DEFAULT_ACTIONS = (
    "GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic", "Subscribe",
    "ListSubscriptionsByTopic", "Publish",
)  # fmt: skip


class BadAttribute(Exception):
    """The text says why; it begins with the attribute's name."""


class UnknownAttribute(BadAttribute):
    """There is no such one, or none that may be set."""


def checked(name: str, value: str, *, fifo: bool) -> str:
    """The value as it is kept; "" takes the attribute away. Raises `BadAttribute`."""
    if name in unserved.ATTRIBUTES:
        raise BadAttribute(f"{name}: fogbank does not serve it here")
    check = _CHECKS.get(name)
    if check is None:
        raise UnknownAttribute(name)
    if name in _FIFO_ONLY and not fifo:
        raise BadAttribute(f"{name}: it can only be set for FIFO topics")
    return check(name, value) if value else ""


def _display_name(name: str, value: str) -> str:
    if len(value) > _DISPLAY_NAME_MAX:
        raise BadAttribute(f"{name}: it must not be longer than {_DISPLAY_NAME_MAX} characters")
    return value


def _choice(name: str, value: str) -> str:
    if value not in _CHOICES[name]:
        raise BadAttribute(f"{name}: Invalid value [{value}]. Must be one of {', '.join(_CHOICES[name])}.")
    return value


def _boolean(name: str, value: str) -> str:
    if value.lower() not in ("true", "false"):
        raise BadAttribute(f"{name}: Invalid value [{value}]. Must be true or false.")
    return value.lower()


def _size(name: str, value: str) -> str:
    return _number(name, value, *_SIZES)


def _number(name: str, value: str, low: int, high: int) -> str:
    if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
        raise BadAttribute(f"{name}: Invalid value [{value}]. Must be between {low} and {high}.")
    return value


def _feedback(name: str, value: str) -> str:
    if name.endswith("SampleRate"):
        return _number(name, value, 0, 100)
    if not value.startswith("arn:"):
        raise BadAttribute(f"{name}: Invalid value [{value}]. Must be the ARN of a role.")
    return value


def _delivery_policy(name: str, text: str) -> str:
    try:
        return delivery_policy.of_topic(text)
    except delivery_policy.BadPolicy as error:
        raise BadAttribute(f"{name}: {error}") from error


def _policy(_name: str, text: str) -> str:
    try:
        policy = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadAttribute("Policy Error: null") from error
    if not isinstance(policy, dict) or len(text.encode()) > _POLICY_BYTES_MAX:
        raise BadAttribute("Policy Error: null")
    statements = _statements(policy)
    if not statements or not all(isinstance(one, dict) for one in statements):
        raise BadAttribute("Policy Error: null")
    return text


def _statements(policy: dict[str, Any]) -> list[Any]:
    """A policy of one statement need not have a list."""
    found = policy.get("Statement")
    return found if isinstance(found, list) else [found]


# There are no keys and no X-Ray here: KmsMasterKeyId is kept, and a trace's header passes through in either mode of
# TracingConfig.
_CHECKS: dict[str, Callable[[str, str], str]] = {
    "ContentBasedDeduplication": _boolean, "MaximumMessageSize": _size, "DeliveryPolicy": _delivery_policy,
    "Policy": _policy, "DisplayName": _display_name, "KmsMasterKeyId": lambda _, value: value,
    **dict.fromkeys(_CHOICES, _choice), **dict.fromkeys(_FEEDBACK_NAMES, _feedback),
}  # fmt: skip


def policy(topic: Topic) -> dict[str, Any]:
    """Whom the topic lets in: its own policy, or the one that each topic has at first."""
    if topic.attributes.get("Policy"):
        own = orjson.loads(topic.attributes["Policy"])
        return {**own, "Statement": _statements(own)}
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in _DEFAULT_ACTIONS],
        "Resource": topic.arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": topic.account}},
    }
    return {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}


def shown(topic: Topic, subscriptions: list[Subscription]) -> dict[str, str]:
    """As GetTopicAttributes gives them."""
    pending = sum(one.pending for one in subscriptions)
    kept = topic.attributes
    return {
        **({"ContentBasedDeduplication": "false", "FifoTopic": "true"} if topic.fifo else {}),
        "DisplayName": "",
        **kept,
        "Policy": kept.get("Policy") or orjson.dumps(policy(topic)).decode(),
        "Owner": topic.account,
        "TopicArn": topic.arn,
        "EffectiveDeliveryPolicy": delivery_policy.effective_topic(kept.get("DeliveryPolicy", "")),
        "SubscriptionsConfirmed": str(len(subscriptions) - pending),
        "SubscriptionsPending": str(pending),
        "SubscriptionsDeleted": str(topic.deleted),
    }


def with_attributes(kept: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """What is given takes the place of what was; what is given empty is gone."""
    return {name: value for name, value in {**kept, **given}.items() if value}


def checked_all(given: Mapping[str, str], *, fifo: bool) -> dict[str, str]:
    """Of CreateTopic. Raises InvalidParameter."""
    kept: dict[str, str] = {}
    for name, value in given.items():
        if name == "FifoTopic":
            continue
        if name == "ContentBasedDeduplication" and not fifo:
            raise state.invalid("Attributes Reason: Content-based deduplication can only be set for FIFO topics")
        try:
            kept[name] = checked(name, value, fifo=fifo)
        except UnknownAttribute as error:
            raise state.invalid(f"Attributes Reason: Unknown attribute: {name}") from error
        except BadAttribute as error:
            raise state.invalid(f"Attributes Reason: {error}") from error
    return with_attributes({}, kept)
