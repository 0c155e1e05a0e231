"""Kinesis in a CloudFormation template, told in the operations that any customer would call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.stacks.resource import unless_gone

if TYPE_CHECKING:
    from fogbank.aws.service import Ask

_HOURS = 24  # RetentionPeriodHours, where nothing is said.


class Stream:
    type: ClassVar = "AWS::Kinesis::Stream"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        chosen = str(wanted.get("Name", name[:128]))
        mode = wanted.get("StreamModeDetails", {}).get("StreamMode")
        given: dict[str, Any] = {"StreamModeDetails": {"StreamMode": mode}} if mode else {}
        if mode != "ON_DEMAND":
            given["ShardCount"] = int(wanted.get("ShardCount", 1))
        await ask("kinesis", "CreateStream", StreamName=chosen, **given)
        return chosen

    async def finish(self, ask: Ask, physical_id: str, wanted: dict[str, Any], name: str) -> None:
        await self._set(ask, physical_id, wanted, {})

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        mode = wanted.get("StreamModeDetails", {}).get("StreamMode", "PROVISIONED")
        arn = (await self._summary(ask, physical_id))["StreamARN"]
        await ask("kinesis", "UpdateStreamMode", StreamARN=arn, StreamModeDetails={"StreamMode": mode})
        count = int(wanted.get("ShardCount", 1))
        if mode == "PROVISIONED" and count != int(old.get("ShardCount", 1)):
            await ask(
                "kinesis", "UpdateShardCount", StreamName=physical_id, TargetShardCount=count,
                ScalingType="UNIFORM_SCALING",
            )  # fmt: skip
        await self._set(ask, physical_id, wanted, old)

    async def _set(self, ask: Ask, name: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        hours, before = (int(one.get("RetentionPeriodHours", _HOURS)) for one in (wanted, old))
        if hours != before:
            operation = "Increase" if hours > before else "Decrease"
            await ask(
                "kinesis", f"{operation}StreamRetentionPeriod", StreamName=name, RetentionPeriodHours=hours
            )  # fmt: skip
        key, old_key = (one.get("StreamEncryption") for one in (wanted, old))
        if old_key and not key:
            await ask("kinesis", "StopStreamEncryption", StreamName=name, EncryptionType="KMS", KeyId=old_key["KeyId"])
        if key and key != old_key:
            await ask("kinesis", "StartStreamEncryption", StreamName=name, EncryptionType="KMS", KeyId=key["KeyId"])
        gone = sorted(_tags(old).keys() - _tags(wanted).keys())
        if gone:
            await ask("kinesis", "RemoveTagsFromStream", StreamName=name, TagKeys=gone)
        if _tags(wanted):
            await ask("kinesis", "AddTagsToStream", StreamName=name, Tags=_tags(wanted))

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        gone = ask("kinesis", "DeleteStream", StreamName=physical_id, EnforceConsumerDeletion=True)
        await unless_gone(gone, "ResourceNotFoundException")

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Arn": (await self._summary(ask, physical_id))["StreamARN"]}

    async def _summary(self, ask: Ask, name: str) -> dict[str, Any]:
        told = await ask("kinesis", "DescribeStreamSummary", StreamName=name)
        return dict(told["StreamDescriptionSummary"])


class StreamConsumer:
    type: ClassVar = "AWS::Kinesis::StreamConsumer"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        given: dict[str, Any] = {"StreamARN": wanted["StreamARN"], "ConsumerName": wanted["ConsumerName"]}
        if _tags(wanted):
            given["Tags"] = _tags(wanted)
        return str((await ask("kinesis", "RegisterStreamConsumer", **given))["Consumer"]["ConsumerARN"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        gone = sorted(_tags(old).keys() - _tags(wanted).keys())
        if gone:
            await ask("kinesis", "UntagResource", ResourceARN=physical_id, TagKeys=gone)
        if _tags(wanted):
            await ask("kinesis", "TagResource", ResourceARN=physical_id, Tags=_tags(wanted))

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        gone = ask("kinesis", "DeregisterStreamConsumer", ConsumerARN=physical_id)
        await unless_gone(gone, "ResourceNotFoundException")

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        told = await ask("kinesis", "DescribeStreamConsumer", ConsumerARN=physical_id)
        found = told["ConsumerDescription"]
        return {
            "ConsumerARN": found["ConsumerARN"],
            "ConsumerName": found["ConsumerName"],
            "ConsumerStatus": found["ConsumerStatus"],
            "ConsumerCreationTimestamp": found["ConsumerCreationTimestamp"].isoformat(),
            "StreamARN": found["StreamARN"],
        }


def _tags(properties: dict[str, Any]) -> dict[str, str]:
    return {str(tag["Key"]): str(tag["Value"]) for tag in properties.get("Tags", ())}
