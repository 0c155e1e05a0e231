"""EventBridge in a CloudFormation template, told in the operations that any customer would call."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import ServiceError
from fogbank.aws.stacks.resource import begun

if TYPE_CHECKING:
    from fogbank.aws.service import Ask


class EventBus:
    type: ClassVar = "AWS::Events::EventBus"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        known = ("EventSourceName", "Description", "KmsKeyIdentifier", "DeadLetterConfig", "LogConfig", "Tags")
        given = {member: wanted[member] for member in known if member in wanted}
        await ask("events", "CreateEventBus", Name=wanted["Name"], **given)
        return str(wanted["Name"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        await ask("events", "UpdateEventBus", Name=physical_id, Description=wanted.get("Description", ""))
        await _tag(ask, (await self.read(ask, physical_id, wanted))["Arn"], wanted, old)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await ask("events", "DeleteEventBus", Name=physical_id)

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Arn": (await ask("events", "DescribeEventBus", Name=physical_id))["Arn"], "Name": physical_id}


class Rule:
    """Its physical id is its name; on a bus of one's own, that of the bus stands before it: "orders|new-order"."""

    type: ClassVar = "AWS::Events::Rule"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        name = wanted.get("Name", name[:64])
        bus = str(wanted.get("EventBusName", "default")).rpartition("event-bus/")[2]
        physical_id = name if bus == "default" else f"{bus}|{name}"
        with begun(physical_id):
            await self._put(ask, physical_id, wanted)
        return str(physical_id)

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        bus, name = _place(physical_id)
        gone = {one["Id"] for one in old.get("Targets", [])} - {one["Id"] for one in wanted.get("Targets", [])}
        if gone:
            await ask("events", "RemoveTargets", Rule=name, Ids=sorted(gone), **bus)
        await self._put(ask, physical_id, {member: value for member, value in wanted.items() if member != "Tags"})
        await _tag(ask, (await self.read(ask, physical_id, wanted))["Arn"], wanted, old)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        bus, name = _place(physical_id)
        try:
            found = (await ask("events", "ListTargetsByRule", Rule=name, **bus))["Targets"]
            if found:
                await ask("events", "RemoveTargets", Rule=name, Ids=[one["Id"] for one in found], **bus)
            await ask("events", "DeleteRule", Name=name, **bus)
        except ServiceError as error:
            if error.code != "ResourceNotFoundException":
                raise

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        bus, name = _place(physical_id)
        return {"Arn": (await ask("events", "DescribeRule", Name=name, **bus))["Arn"]}

    async def _put(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> None:
        bus, name = _place(physical_id)
        known = ("ScheduleExpression", "State", "Description", "RoleArn", "Tags")
        given = {member: wanted[member] for member in known if member in wanted}
        if wanted.get("EventPattern"):
            given["EventPattern"] = json.dumps(wanted["EventPattern"])
        await ask("events", "PutRule", Name=name, **bus, **given)
        if wanted.get("Targets"):
            await ask("events", "PutTargets", Rule=name, Targets=wanted["Targets"], **bus)


def _place(physical_id: str) -> tuple[dict[str, str], str]:
    bus, _, name = physical_id.rpartition("|")
    return {"EventBusName": bus} if bus else {}, name


async def _tag(ask: Ask, arn: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
    """PutRule, Tags: "If you are updating an existing rule, any tags you specify … are ignored"."""
    left = {tag["Key"] for tag in wanted.get("Tags", [])}
    gone = sorted({tag["Key"] for tag in old.get("Tags", [])} - left)
    if gone:
        await ask("events", "UntagResource", ResourceARN=arn, TagKeys=gone)
    if left:
        await ask("events", "TagResource", ResourceARN=arn, Tags=wanted["Tags"])
