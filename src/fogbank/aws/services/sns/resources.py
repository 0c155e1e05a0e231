"""SNS in a CloudFormation template, told in the operations that any customer would call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.service import ServiceError
from fogbank.aws.stacks.resource import unless_gone

if TYPE_CHECKING:
    from fogbank.aws.service import Ask

# Properties that are attributes of the same name; those of a subscription.
_ATTRIBUTES = (
    "ArchivePolicy", "ContentBasedDeduplication", "DisplayName", "FifoThroughputScope", "KmsMasterKeyId",
    "MaximumMessageSize", "SignatureVersion", "TracingConfig",
)  # fmt: skip
_OF_SUBSCRIPTION = (
    "DeliveryPolicy", "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy", "ReplayPolicy",
    "SubscriptionRoleArn",
)  # fmt: skip
# What holds where a property has left the template and cannot be taken away.
_DEFAULTS = {
    "ContentBasedDeduplication": "false", "RawMessageDelivery": "false", "FilterPolicyScope": "MessageAttributes",
}  # fmt: skip
_LOGGED = {
    "http/s": "HTTP", "http": "HTTP", "https": "HTTP", "lambda": "Lambda", "sqs": "SQS", "firehose": "Firehose",
    "application": "Application",
}  # fmt: skip
_FEEDBACK = ("SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn")


class Topic:
    type: ClassVar = "AWS::SNS::Topic"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        if wanted.get("DataProtectionPolicy"):
            raise ServiceError("InvalidParameterException", "fogbank does not serve DataProtectionPolicy here.")
        fifo = str(wanted.get("FifoTopic", "")).lower() == "true"
        chosen = wanted.get("TopicName") or (f"{name[:251]}.fifo" if fifo else name[:256])
        attributes = _topic_attributes(wanted) | ({"FifoTopic": "true"} if fifo else {})
        made = await ask("sns", "CreateTopic", Name=chosen, Attributes=attributes, Tags=wanted.get("Tags", []))
        return str(made["TopicArn"])

    async def finish(self, ask: Ask, physical_id: str, wanted: dict[str, Any], name: str) -> None:
        for one in _subscriptions(wanted):
            await ask("sns", "Subscribe", TopicArn=physical_id, **one)

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        await _set_each(
            ask, "SetTopicAttributes", {"TopicArn": physical_id}, _topic_attributes(wanted), _topic_attributes(old)
        )  # fmt: skip
        gone = [one for one in _subscriptions(old) if one not in _subscriptions(wanted)]
        if gone:
            for arn, found in await _subscribed(ask, physical_id):
                if found in gone:
                    await ask("sns", "Unsubscribe", SubscriptionArn=arn)
        for one in _subscriptions(wanted):
            if one not in _subscriptions(old):
                await ask("sns", "Subscribe", TopicArn=physical_id, **one)
        await _tag(ask, physical_id, wanted, old)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await ask("sns", "DeleteTopic", TopicArn=physical_id)

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"TopicArn": physical_id, "TopicName": physical_id.rpartition(":")[2]}


class Subscription:
    type: ClassVar = "AWS::SNS::Subscription"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        topic, region = str(wanted["TopicArn"]), wanted.get("Region")
        if region and topic.count(":") == 5 and region != topic.split(":")[3]:
            told = f"Invalid parameter: TopicArn: {topic} is not in the region {region}"
            raise ServiceError("InvalidParameterException", told)
        made = await ask(
            "sns", "Subscribe", TopicArn=topic, Protocol=wanted["Protocol"], Endpoint=wanted.get("Endpoint", ""),
            Attributes=_attributes(wanted, _OF_SUBSCRIPTION), ReturnSubscriptionArn=True,
        )  # fmt: skip
        return str(made["SubscriptionArn"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        now, before = (_attributes(one, _OF_SUBSCRIPTION) for one in (wanted, old))
        where = {"SubscriptionArn": physical_id}
        if now.get("FilterPolicyScope") != before.get("FilterPolicyScope") and "FilterPolicy" in before:
            # A policy that is only right in the one scope would stand in the way of the other.
            await ask("sns", "SetSubscriptionAttributes", **where, AttributeName="FilterPolicy", AttributeValue="")
            before = {name: value for name, value in before.items() if name != "FilterPolicy"}
        await _set_each(ask, "SetSubscriptionAttributes", where, now, before)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        if physical_id.startswith("arn:"):  # Else its creation was cut, and there is none.
            await ask("sns", "Unsubscribe", SubscriptionArn=physical_id)

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Arn": physical_id}


class TopicPolicy:
    """One policy for several topics; a topic that has none any more has the one that each has at first."""

    type: ClassVar = "AWS::SNS::TopicPolicy"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        await self.update(ask, name, wanted, {})
        return name

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        for arn in wanted["Topics"]:
            await _set_policy(ask, arn, _text(wanted["PolicyDocument"]))
        for arn in sorted(set(old.get("Topics", [])) - set(wanted["Topics"])):
            await unless_gone(_set_policy(ask, arn, ""), "NotFoundException")

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        for arn in old.get("Topics", []):
            await unless_gone(_set_policy(ask, arn, ""), "NotFoundException")

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Id": physical_id}


class TopicInlinePolicy:
    """The policy of one topic, which is its name, too."""

    type: ClassVar = "AWS::SNS::TopicInlinePolicy"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        await self.update(ask, "", wanted, {})
        return str(wanted["TopicArn"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        await _set_policy(ask, wanted["TopicArn"], _text(wanted["PolicyDocument"]))

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        if old.get("TopicArn"):
            await unless_gone(_set_policy(ask, old["TopicArn"], ""), "NotFoundException")

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {}


async def _set_policy(ask: Ask, arn: str, policy: str) -> None:
    await ask("sns", "SetTopicAttributes", TopicArn=arn, AttributeName="Policy", AttributeValue=policy)


async def _set_each(
    ask: Ask, operation: str, where: dict[str, str], wanted: dict[str, str], old: dict[str, str]
) -> None:
    """Those that differ; one that left the template goes back to its default. Scopes go before what they are for."""
    for name in sorted(wanted.keys() | old.keys(), key=lambda name: (name != "FilterPolicyScope", name)):
        value = wanted.get(name, _DEFAULTS.get(name, ""))
        if value != old.get(name):
            await ask("sns", operation, **where, AttributeName=name, AttributeValue=value)


async def _subscribed(ask: Ask, topic_arn: str) -> list[tuple[str, dict[str, str]]]:
    """The subscriptions that can be ended, with what a template says of each."""
    found: list[tuple[str, dict[str, str]]] = []
    more: dict[str, str] = {}
    while True:
        page = await ask("sns", "ListSubscriptionsByTopic", TopicArn=topic_arn, **more)
        for one in page["Subscriptions"]:
            if one["SubscriptionArn"].startswith("arn:"):  # A pending one is forgotten by itself.
                told = {"Protocol": one["Protocol"], "Endpoint": one["Endpoint"]}
                found.append((one["SubscriptionArn"], told))
        if "NextToken" not in page:
            return found
        more = {"NextToken": page["NextToken"]}


def _subscriptions(properties: dict[str, Any]) -> list[dict[str, str]]:
    given = properties.get("Subscription") or []
    return [{"Protocol": str(one["Protocol"]), "Endpoint": str(one["Endpoint"])} for one in given]


def _topic_attributes(properties: dict[str, Any]) -> dict[str, str]:
    found = _attributes(properties, _ATTRIBUTES)
    for one in properties.get("DeliveryStatusLogging") or []:
        kind = _LOGGED.get(str(one["Protocol"]).lower())
        if kind is None:
            raise ServiceError("InvalidParameterException", f"Invalid parameter: Protocol {one['Protocol']}")
        found |= {f"{kind}{name}": _text(one[name]) for name in _FEEDBACK if name in one}
    return found


def _attributes(properties: dict[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    return {name: _text(properties[name]) for name in names if properties.get(name) is not None}


def _text(value: Any) -> str:
    """Attributes are text on the wire: a policy as JSON, true as "true"; text stays as it is."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


async def _tag(ask: Ask, arn: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
    left = {tag["Key"] for tag in wanted.get("Tags", [])}
    gone = sorted({tag["Key"] for tag in old.get("Tags", [])} - left)
    if gone:
        await ask("sns", "UntagResource", ResourceArn=arn, TagKeys=gone)
    if left:
        await ask("sns", "TagResource", ResourceArn=arn, Tags=wanted["Tags"])
