"""Subscriptions: who is told of what is published, once it has agreed to be."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.sns import deliveries, state, subscription_attributes, unserved
from fogbank.aws.services.sns.state import SUBSCRIPTIONS, TOKENS, TOPICS, Subscription, Token, Topic

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_PER_TOPIC_MAX = 10_000  # Of an account's own, on one machine; AWS allows 12,500,000.
_FILTERS_MAX = 200
_MAIL = (re.compile(r"[^@\s]+@[^@\s]+"), "Email address")
_FUNCTION = r"arn:aws:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9_$-]{1,129})?"
# By protocol: what its endpoints look like, and what is told of those that do not.
_ENDPOINTS = {
    "http": (re.compile(r"http://[^\s/?#]\S*"), "Endpoint must match the specified protocol"),
    "https": (re.compile(r"https://[^\s/?#]\S*"), "Endpoint must match the specified protocol"),
    "sqs": (re.compile(r"arn:aws:sqs:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,80}(\.fifo)?"), "SQS endpoint ARN"),
    "lambda": (re.compile(_FUNCTION), "Lambda endpoint ARN"),
    "email": _MAIL,
    "email-json": _MAIL,
}
_ASKED = ("http", "https", "email", "email-json")  # "the endpoint owner must … confirm the subscription".
_TOKEN_LENGTH = 232
_TOKEN = re.compile(r"[0-9a-f]+")
_HEX = "0123456789abcdef"


class Subscriptions(Operations):
    service: ClassVar = "sns"

    def subscribe(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        topic = state.topic(tx, call, request["TopicArn"], lock=True)
        protocol, endpoint = request["Protocol"], request.get("Endpoint", "")
        _check_endpoint(topic, protocol, endpoint)
        attributes = _attributes(request.get("Attributes", {}), topic, endpoint)
        every = state.subscriptions(tx, topic)
        found = next((one for one in every if (one.protocol, one.endpoint) == (protocol, endpoint)), None)
        if found is not None:
            _check_the_same(found, attributes)
        else:
            _check_room(topic, every)
            _check_filters(topic, every, attributes)
            found = Subscription(
                call.new_id(), topic.arn, call.account, call.principal, protocol, endpoint, attributes, call.now_ms,
                pending=protocol in _ASKED,
            )  # fmt: skip
            state.put_subscription(tx, found)
        if found.pending:
            self._ask(tx, call, topic, found, "SubscriptionConfirmation")
            # Subscribe, ReturnSubscriptionArn: whether the ARN is told although the subscription is not confirmed.
            return {"SubscriptionArn": found.arn if request.get("ReturnSubscriptionArn") else "pending confirmation"}
        return {"SubscriptionArn": found.arn}

    def confirm_subscription(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        place = state.topic_place(call, request["TopicArn"], "Topic")
        if not _TOKEN.fullmatch(request["Token"]):
            raise ServiceError("InvalidParameterException", "Invalid token")
        token = TOKENS.get(tx, request["Token"])
        if token is None or token.until_ms <= call.now_ms:
            raise state.invalid("Token")
        if token.subscription.key[:3] != place:
            raise state.invalid("Topic")
        topic = TOPICS.get(tx, *place)
        if topic is None or topic.id != token.topic_id:
            raise state.missing_topic()
        found = SUBSCRIPTIONS.get(tx, *token.subscription.key)
        if found is None:
            if not token.restores:
                raise state.invalid("Token")
            # Unsubscribe: "so that the endpoint owner can easily resubscribe to the topic".
            found = replace(token.subscription, pending=True)
        if found.pending:
            signed = _is_authenticated(call)
            guarded = signed and request.get("AuthenticateOnUnsubscribe", "").lower() == "true"
            found = replace(found, pending=False, authenticated=signed, guarded=guarded)
            state.put_subscription(tx, found)
        return {"SubscriptionArn": found.arn}

    def unsubscribe(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        """One that is gone already is no error."""
        found = SUBSCRIPTIONS.get(tx, *state.subscription_key(call, request["SubscriptionArn"]))
        if found is None:
            return
        if found.guarded and not _is_authenticated(call):
            raise ServiceError("AuthorizationErrorException", "Unsubscribe requires authentication")
        SUBSCRIPTIONS.delete(tx, *found.key)
        topic = TOPICS.get(tx, *found.key[:3])
        if topic is None:
            return
        topic = replace(topic, deleted=topic.deleted + 1)
        state.put_topic(tx, topic)
        if found.protocol in ("http", "https") and not found.pending:
            self._ask(tx, call, topic, found, "UnsubscribeConfirmation")

    def list_subscriptions(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        rows = (
            (key, one) for key, one in SUBSCRIPTIONS.scan(tx) if one.owner == call.account and one.key[1] == call.region
        )
        page, more = state.page(request, rows)
        return {"Subscriptions": [_listed(one) for one in page], **more}

    def list_subscriptions_by_topic(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        topic = state.topic(tx, call, request["TopicArn"])
        page, more = state.page(request, SUBSCRIPTIONS.scan(tx, *topic.place))
        return {"Subscriptions": [_listed(one) for one in page], **more}

    def get_subscription_attributes(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.subscription(tx, call, request["SubscriptionArn"])
        topic = TOPICS.get(tx, *found.key[:3])
        if topic is None:
            raise state.missing_topic()
        return {"Attributes": subscription_attributes.shown(found, topic)}

    def set_subscription_attributes(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        found = state.subscription(tx, call, request["SubscriptionArn"])
        topic = state.topic(tx, call, found.topic_arn, lock=True)
        name, value = request["AttributeName"], request.get("AttributeValue", "")
        try:
            value = subscription_attributes.checked(name, value, topic=topic, endpoint=found.endpoint)
            kept = {key: one for key, one in {**found.attributes, name: value}.items() if one}
            subscription_attributes.check_filter(kept)
        except subscription_attributes.UnknownAttribute as error:
            raise state.invalid("AttributeName") from error
        except subscription_attributes.BadAttribute as error:
            raise state.invalid(str(error)) from error
        if "FilterPolicy" not in found.attributes:
            _check_filters(topic, state.subscriptions(tx, topic), kept)
        state.put_subscription(tx, replace(found, attributes=kept))

    def _ask(self, tx: Tx, call: Call, topic: Topic, subscription: Subscription, kind: str) -> None:
        """Send the endpoint a token by which the subscription can be confirmed, or restored."""
        token = self.house.ids.token(_TOKEN_LENGTH, _HEX)
        until_ms, restores = call.now_ms + state.TOKEN_MS, kind == "UnsubscribeConfirmation"
        TOKENS.put(tx, token, row=Token(subscription, topic.id, until_ms, restores))
        deliveries.put_confirmation(tx, call, topic, subscription, kind, token)


def _is_authenticated(call: Call) -> bool:
    """Whether anybody says who it is: a SubscribeURL or an UnsubscribeURL is visited by nobody in particular."""
    return bool(call.access_key) or call.inside


def _check_endpoint(topic: Topic, protocol: str, endpoint: str) -> None:
    if protocol in unserved.PROTOCOLS:
        raise state.invalid(f"Protocol: fogbank does not serve subscriptions of the protocol {protocol} here.")
    if protocol not in _ENDPOINTS:
        raise state.invalid(f"Amazon SNS does not support this protocol string: {protocol}")
    shape, told = _ENDPOINTS[protocol]
    if not shape.fullmatch(endpoint):
        raise state.invalid(told)
    if protocol == "sqs" and endpoint.endswith(".fifo") and not topic.fifo:
        told = "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics"
        raise state.invalid(told)
    if protocol != "sqs" and topic.fifo:
        # "Amazon SNS FIFO topics can deliver messages to Amazon SQS FIFO queues and standard queues".
        raise state.invalid("Invalid parameter: Endpoint Reason: Please use FIFO SQS queue")


def _attributes(given: dict[str, str], topic: Topic, endpoint: str) -> dict[str, str]:
    kept: dict[str, str] = {}
    try:
        for name, value in given.items():
            kept[name] = subscription_attributes.checked(name, value, topic=topic, endpoint=endpoint)
        subscription_attributes.check_filter(kept)
    except subscription_attributes.UnknownAttribute as error:
        raise state.invalid(f"Attributes Reason: Unknown attribute: {error}") from error
    except subscription_attributes.BadAttribute as error:
        raise state.invalid(f"Attributes Reason: {error}") from error
    return {name: value for name, value in kept.items() if value}


def _check_the_same(found: Subscription, attributes: dict[str, str]) -> None:
    kept = subscription_attributes.DEFAULTS | found.attributes
    if any(kept.get(name) != value for name, value in attributes.items()):
        raise state.invalid("Attributes Reason: Subscription already exists with different attributes")


def _check_room(topic: Topic, every: list[Subscription]) -> None:
    if len(every) >= _PER_TOPIC_MAX:
        told = f"Subscription limit exceeded for topic: {topic.arn}"
        raise ServiceError("SubscriptionLimitExceededException", told)


def _check_filters(topic: Topic, every: list[Subscription], attributes: dict[str, str]) -> None:
    """ "By default, you can have up to 200 filter policies per topic"."""
    if "FilterPolicy" in attributes and sum("FilterPolicy" in one.attributes for one in every) >= _FILTERS_MAX:
        told = f"Filter policy limit exceeded for topic: {topic.arn}"
        raise ServiceError("FilterPolicyLimitExceededException", told)


def _listed(one: Subscription) -> dict[str, str]:
    return {
        "SubscriptionArn": "PendingConfirmation" if one.pending else one.arn, "Owner": one.owner,
        "Protocol": one.protocol, "Endpoint": one.endpoint, "TopicArn": one.topic_arn,
    }  # fmt: skip
