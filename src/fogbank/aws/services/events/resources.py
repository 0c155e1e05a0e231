"""EventBridge in a CloudFormation template, told in the operations that any customer would call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import ServiceError
from fogbank.aws.stacks.resource import begun

if TYPE_CHECKING:
    from fogbank.aws.service import Ask


class Rule:
    type: ClassVar = "AWS::Events::Rule"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        name = wanted.get("Name", name[:64])
        with begun(str(name)):
            await self._put(ask, name, wanted)
        return str(name)

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        gone = {one["Id"] for one in old.get("Targets", [])} - {one["Id"] for one in wanted.get("Targets", [])}
        if gone:
            await ask("events", "RemoveTargets", Rule=physical_id, Ids=sorted(gone))
        await self._put(ask, physical_id, {name: value for name, value in wanted.items() if name != "Tags"})
        await self._tag(ask, (await self.read(ask, physical_id, wanted))["Arn"], wanted, old)

    async def _tag(self, ask: Ask, arn: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        """PutRule, Tags: "If you are updating an existing rule, any tags you specify … are ignored"."""
        left = {tag["Key"] for tag in wanted.get("Tags", [])}
        gone = sorted({tag["Key"] for tag in old.get("Tags", [])} - left)
        if gone:
            await ask("events", "UntagResource", ResourceARN=arn, TagKeys=gone)
        if left:
            await ask("events", "TagResource", ResourceARN=arn, Tags=wanted["Tags"])

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        try:
            found = (await ask("events", "ListTargetsByRule", Rule=physical_id))["Targets"]
            if found:
                await ask("events", "RemoveTargets", Rule=physical_id, Ids=[one["Id"] for one in found])
            await ask("events", "DeleteRule", Name=physical_id)
        except ServiceError as error:
            if error.code != "ResourceNotFoundException":
                raise

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Arn": (await ask("events", "DescribeRule", Name=physical_id))["Arn"]}

    async def _put(self, ask: Ask, name: str, wanted: dict[str, Any]) -> None:
        known = ("ScheduleExpression", "EventPattern", "State", "Description", "EventBusName", "RoleArn", "Tags")
        await ask("events", "PutRule", Name=name, **{member: wanted[member] for member in known if member in wanted})
        if wanted.get("Targets"):
            await ask("events", "PutTargets", Rule=name, Targets=wanted["Targets"])
