"""Log groups in a CloudFormation template, told in the operations that any customer would call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import ServiceError
from fogbank.aws.stacks.resource import unless_gone

if TYPE_CHECKING:
    from fogbank.aws.service import Ask


class LogGroup:
    type: ClassVar = "AWS::Logs::LogGroup"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        name = wanted.get("LogGroupName", name)
        tags = {tag["Key"]: tag["Value"] for tag in wanted.get("Tags", [])}
        await ask("logs", "CreateLogGroup", logGroupName=name, **({"tags": tags} if tags else {}))
        return str(name)

    async def finish(self, ask: Ask, physical_id: str, wanted: dict[str, Any], name: str) -> None:
        await self._retain(ask, physical_id, wanted)

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        await self._retain(ask, physical_id, wanted)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(ask("logs", "DeleteLogGroup", logGroupName=physical_id))

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        found = (await ask("logs", "DescribeLogGroups", logGroupNamePrefix=physical_id))["logGroups"]
        arn = next((one["arn"] for one in found if one["logGroupName"] == physical_id), None)
        if arn is None:
            raise ServiceError("ResourceNotFoundException", "The specified log group does not exist.")
        return {"Arn": arn}

    async def _retain(self, ask: Ask, name: str, wanted: dict[str, Any]) -> None:
        if "RetentionInDays" in wanted:
            await ask("logs", "PutRetentionPolicy", logGroupName=name, retentionInDays=int(wanted["RetentionInDays"]))
        else:
            await ask("logs", "DeleteRetentionPolicy", logGroupName=name)
