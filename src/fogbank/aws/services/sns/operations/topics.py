"""Topics: made, described, changed, deleted; whom they let in; their tags."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.service import Background, Call, Operations, ServiceError
from fogbank.aws.services.sns import state, topic_attributes, unserved
from fogbank.aws.services.sns.deliveries import Courier
from fogbank.aws.services.sns.signing import Signer
from fogbank.aws.services.sns.state import TOPICS, Topic

if TYPE_CHECKING:
    from fogbank.kernel.gateway.messages import Route
    from fogbank.kernel.store import Tx

_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")
_FIFO_NAME = re.compile(r"[A-Za-z0-9_-]{1,251}\.fifo")
_TAGS_MAX = 50
_FORGET_EVERY_MS = 3_600_000
# AddPermission, ActionName: "Any Amazon SNS action name, for example Publish"; those that are a topic's.
_ACTIONS = frozenset(
    [
        "Publish", "RemovePermission", "SetTopicAttributes", "DeleteTopic", "ListSubscriptionsByTopic",
        "GetTopicAttributes", "Receive", "AddPermission", "Subscribe", "GetDataProtectionPolicy",
        "PutDataProtectionPolicy", "TagResource", "UntagResource", "ListTagsForResource",
    ]
)  # fmt: skip


class Topics(Operations):
    service: ClassVar = "sns"
    refused: ClassVar = unserved.REFUSED

    def routes(self) -> list[Route]:
        return self.house.share(Signer).routes()

    def backgrounds(self) -> list[Background]:
        return [
            Background("sns: deliver to queues and functions", self.house.share(Courier).run),
            Background("sns: deliver to endpoints", self.house.share(Courier).run_endpoints),
            Background("sns: forget what is over", self._forget),
        ]

    def create_topic(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name, given = request["Name"], request.get("Attributes", {})
        fifo = given.get("FifoTopic", "false").lower() == "true"
        if not (_FIFO_NAME if fifo else _NAME).fullmatch(name):
            raise state.invalid("Topic Name")
        attributes = topic_attributes.checked_all(given, fifo=fifo)
        tags = _tags(request.get("Tags", []))
        before = TOPICS.get(tx, call.account, call.region, name)
        if before is not None:
            _check_the_same(before, attributes, tags)
            return {"TopicArn": before.arn}
        topic = Topic(call.new_id(), call.account, call.region, name, attributes, tags)
        state.put_topic(tx, topic)
        return {"TopicArn": topic.arn}

    def delete_topic(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        """ "deleting a topic that does not exist does not result in an error"."""
        found = TOPICS.get(tx, *state.topic_place(call, request["TopicArn"]))
        if found is not None:
            state.forget_topic(tx, found)

    def list_topics(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        page, more = state.page(request, TOPICS.scan(tx, call.account, call.region))
        return {"Topics": [{"TopicArn": topic.arn} for topic in page], **more}

    def get_topic_attributes(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        topic = state.topic(tx, call, request["TopicArn"])
        return {"Attributes": topic_attributes.shown(topic, state.subscriptions(tx, topic))}

    def set_topic_attributes(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        topic, name = state.topic(tx, call, request["TopicArn"]), request["AttributeName"]
        try:
            value = topic_attributes.checked(name, request.get("AttributeValue", ""), fifo=topic.fifo)
        except topic_attributes.UnknownAttribute as error:
            raise state.invalid("AttributeName") from error
        except topic_attributes.BadAttribute as error:
            raise state.invalid(str(error)) from error
        kept = topic_attributes.with_attributes(topic.attributes, {name: value})
        state.put_topic(tx, replace(topic, attributes=kept))

    # -- permissions: kept, and shown in the policy --

    def add_permission(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        topic = state.topic(tx, call, request["TopicArn"])
        policy = topic_attributes.policy(topic)
        if any(one.get("Sid") == request["Label"] for one in policy["Statement"]):
            raise state.invalid("Statement already exists")
        if not request["ActionName"] or not set(request["ActionName"]) <= _ACTIONS:
            raise state.invalid("Policy statement action out of service scope!")
        principals = [f"arn:aws:iam::{account}:root" for account in request["AWSAccountId"]]
        actions = [f"SNS:{action}" for action in request["ActionName"]]
        statement = {
            "Sid": request["Label"], "Effect": "Allow", "Principal": {"AWS": _one_or_all(principals)},
            "Action": _one_or_all(actions), "Resource": topic.arn,
        }  # fmt: skip
        _put_policy(tx, topic, {**policy, "Statement": [*policy["Statement"], statement]})

    def remove_permission(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        topic = state.topic(tx, call, request["TopicArn"])
        policy = topic_attributes.policy(topic)
        left = [one for one in policy["Statement"] if one.get("Sid") != request["Label"]]
        if len(left) == len(policy["Statement"]):
            raise state.invalid("Label")
        _put_policy(tx, topic, {**policy, "Statement": left})

    # -- tags --

    def list_tags_for_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        tags = _tagged(tx, call, request).tags
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def tag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        topic = _tagged(tx, call, request)
        tags = topic.tags | _tags(request["Tags"])
        _check_count(tags)
        state.put_topic(tx, replace(topic, tags=tags))
        return {}

    def untag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        topic = _tagged(tx, call, request)
        left = {key: value for key, value in topic.tags.items() if key not in request["TagKeys"]}
        state.put_topic(tx, replace(topic, tags=left))
        return {}

    async def _forget(self) -> None:
        house = self.house
        while True:
            await house.store.transact(state.expire, house.clock.now_ms())
            await house.clock.sleep(_FORGET_EVERY_MS)


def _check_the_same(before: Topic, attributes: dict[str, str], tags: dict[str, str]) -> None:
    """ "This action is idempotent": but not for a topic that is another one."""
    kept = topic_attributes.DEFAULTS | before.attributes
    if any(kept.get(name) != value for name, value in attributes.items()):
        raise state.invalid("Attributes Reason: Topic already exists with different attributes")
    if tags and tags != before.tags:
        raise state.invalid("Tags Reason: Topic already exists with different tags")


def _tags(given: list[dict[str, str]]) -> dict[str, str]:
    tags = {tag["Key"]: tag["Value"] for tag in given}
    if len(tags) < len(given):
        raise state.invalid("Duplicated keys are not allowed.")
    _check_count(tags)
    return tags


def _check_count(tags: dict[str, str]) -> None:
    if len(tags) > _TAGS_MAX:
        raise ServiceError(
            "TagLimitExceededException", "Could not complete request: tag quota of per resource exceeded"
        )


def _tagged(tx: Tx, call: Call, request: dict[str, Any]) -> Topic:
    found = TOPICS.get(tx, *state.topic_place(call, request["ResourceArn"], "ResourceArn"))
    if found is None:
        raise ServiceError("ResourceNotFoundException", "Resource does not exist")
    return found


def _put_policy(tx: Tx, topic: Topic, policy: dict[str, Any]) -> None:
    state.put_topic(
        tx, replace(topic, attributes={**topic.attributes, "Policy": orjson.dumps(policy).decode()})
    )  # fmt: skip


def _one_or_all(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values
