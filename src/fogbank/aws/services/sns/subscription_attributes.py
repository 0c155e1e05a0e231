"""Attributes of subscriptions: which there are, what each may hold, how they are shown.

API reference, SetSubscriptionAttributes and GetSubscriptionAttributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from fogbank.aws.services.sns import delivery_policy, filters, unserved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.aws.services.sns.state import Subscription, Topic

_NAMES = ("DeliveryPolicy", "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy")
# What holds where nothing was set: who asks for that asks for nothing else.
DEFAULTS = {"RawMessageDelivery": "false", "FilterPolicyScope": filters.ATTRIBUTES}
_SCOPES = (filters.BODY, filters.ATTRIBUTES)


class BadAttribute(Exception):
    """The text says why."""


class UnknownAttribute(BadAttribute):
    """There is no such one."""


def checked(name: str, value: str, *, topic: Topic, endpoint: str) -> str:
    """The value as it is kept; "" takes the attribute away. Raises `BadAttribute`."""
    if name in unserved.ATTRIBUTES:
        raise BadAttribute(f"{name}: fogbank does not serve it here")
    if name not in _NAMES:
        raise UnknownAttribute(name)
    if name == "RawMessageDelivery":
        if value.lower() not in ("true", "false"):
            raise BadAttribute(f"RawMessageDelivery: Invalid value [{value}]. Must be true or false.")
        return value.lower()
    if name == "FilterPolicyScope":
        if value not in _SCOPES:
            told = f"FilterPolicyScope: Invalid value [{value}]. Please use either MessageBody or MessageAttributes"
            raise BadAttribute(told)
        return value
    if not value:
        return ""
    if name == "RedrivePolicy":
        return _redrive(value, topic, endpoint)
    if name == "DeliveryPolicy":
        try:
            return delivery_policy.of_subscription(value)
        except delivery_policy.BadPolicy as error:
            raise BadAttribute(f"DeliveryPolicy: {error}") from error
    return value


def check_filter(attributes: Mapping[str, str]) -> None:
    """Once all are there: what a policy may be depends on its scope. Raises `BadAttribute`."""
    policy, scope = attributes.get("FilterPolicy"), attributes.get("FilterPolicyScope", filters.ATTRIBUTES)
    if not policy:
        return
    try:
        filters.check(policy, scope)
    except filters.BadPolicy as error:
        raise BadAttribute(f"FilterPolicy: {error}") from error
    except filters.Nested as error:
        raise BadAttribute(f"Filter policy scope {scope} does not support nested filter policy") from error


def _redrive(text: str, topic: Topic, endpoint: str) -> str:
    """ "FIFO topic subscriptions use FIFO queues, and standard topic subscriptions use standard queues"."""
    try:
        policy = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadAttribute(f"RedrivePolicy: failed to parse JSON. {error}") from error
    if not isinstance(policy, dict) or "deadLetterTargetArn" not in policy:
        raise BadAttribute("RedrivePolicy: deadLetterTargetArn is a required parameter")
    arn = policy["deadLetterTargetArn"]
    if not isinstance(arn, str) or arn.count(":") != 5 or arn.split(":")[2] != "sqs":
        raise BadAttribute("RedrivePolicy: deadLetterTargetArn is an invalid arn")
    if topic.fifo and endpoint.endswith(".fifo") and not arn.endswith(".fifo"):
        raise BadAttribute("RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic.")
    if not topic.fifo and arn.endswith(".fifo"):
        raise BadAttribute("RedrivePolicy: must use a standard queue as DLQ for a Subscription to a standard Topic.")
    return text


def dead_letters(subscription: Subscription) -> str:
    """The ARN of its dead-letter queue; "" where it has none."""
    policy = subscription.attributes.get("RedrivePolicy")
    return str(orjson.loads(policy)["deadLetterTargetArn"]) if policy else ""


def shown(one: Subscription, topic: Topic) -> dict[str, str]:
    """As GetSubscriptionAttributes gives them."""
    kept = {name: value for name, value in one.attributes.items() if name != "FilterPolicyScope"}
    if "FilterPolicy" in kept:  # Without one, its scope is not shown.
        kept["FilterPolicyScope"] = one.attributes.get("FilterPolicyScope", filters.ATTRIBUTES)
    if one.protocol in ("http", "https"):
        own = kept.get("DeliveryPolicy", "")
        found = delivery_policy.effective(topic.attributes.get("DeliveryPolicy", ""), own)
        kept["EffectiveDeliveryPolicy"] = orjson.dumps(found).decode()
    return {
        "RawMessageDelivery": "false",
        **kept,
        "ConfirmationWasAuthenticated": "true" if one.authenticated and not one.pending else "false",
        "Endpoint": one.endpoint,
        "Owner": one.owner,
        "PendingConfirmation": "true" if one.pending else "false",
        "Protocol": one.protocol,
        "SubscriptionArn": one.arn,
        "SubscriptionPrincipal": one.principal,
        "TopicArn": one.topic_arn,
    }
