"""SQS in a CloudFormation template, told in the operations that any customer would call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.services.sqs.attributes import DEFAULTS
from fogbank.aws.stacks.resource import unless_gone

if TYPE_CHECKING:
    from fogbank.aws.service import Ask

_NOT_ATTRIBUTES = {"QueueName", "Tags"}
_UNSET = {"RedrivePolicy": "", "RedriveAllowPolicy": "", "KmsMasterKeyId": ""}


class Queue:
    type: ClassVar = "AWS::SQS::Queue"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        made_up = f"{name[:75]}.fifo" if str(wanted.get("FifoQueue", "")).lower() == "true" else name[:80]
        made = await ask(
            "sqs",
            "CreateQueue",
            QueueName=wanted.get("QueueName", made_up),
            Attributes=_attributes(wanted),
            tags=_tags(wanted),
        )
        return str(made["QueueUrl"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        attributes = {**DEFAULTS, **_UNSET, **_attributes(wanted)}
        attributes.pop("FifoQueue", None)
        if attributes["KmsMasterKeyId"]:
            attributes.pop("SqsManagedSseEnabled")  # The other kind of encryption; only one is allowed.
        await ask("sqs", "SetQueueAttributes", QueueUrl=physical_id, Attributes=attributes)
        gone = sorted(_tags(old).keys() - _tags(wanted).keys())
        if gone:
            await ask("sqs", "UntagQueue", QueueUrl=physical_id, TagKeys=gone)
        if _tags(wanted):
            await ask("sqs", "TagQueue", QueueUrl=physical_id, Tags=_tags(wanted))

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(ask("sqs", "DeleteQueue", QueueUrl=physical_id), "QueueDoesNotExist")

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        found = await ask("sqs", "GetQueueAttributes", QueueUrl=physical_id, AttributeNames=["QueueArn"])
        arn = found["Attributes"]["QueueArn"]
        return {"Arn": arn, "QueueName": arn.rpartition(":")[2], "QueueUrl": physical_id}


class QueuePolicy:
    type: ClassVar = "AWS::SQS::QueuePolicy"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        await self.update(ask, name, wanted, {})
        return name

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        policy = _text(wanted["PolicyDocument"])
        for url in wanted["Queues"]:
            await ask("sqs", "SetQueueAttributes", QueueUrl=url, Attributes={"Policy": policy})
        for url in set(old.get("Queues", [])) - set(wanted["Queues"]):
            await self._take_away(ask, url)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        for url in old.get("Queues", []):
            await self._take_away(ask, url)

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Id": physical_id}

    async def _take_away(self, ask: Ask, url: str) -> None:
        await unless_gone(
            ask("sqs", "SetQueueAttributes", QueueUrl=url, Attributes={"Policy": ""}), "QueueDoesNotExist"
        )


def _attributes(wanted: dict[str, Any]) -> dict[str, str]:
    """Attributes are text on the wire: a policy as JSON, true as "true"; text stays as it is."""
    return {name: _text(value) for name, value in wanted.items() if name not in _NOT_ATTRIBUTES}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _tags(wanted: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in wanted.get("Tags", [])}
