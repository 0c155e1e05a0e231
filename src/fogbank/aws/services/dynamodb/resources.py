"""DynamoDB in a CloudFormation template: AWS::DynamoDB::Table and, with one replica, AWS::DynamoDB::GlobalTable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Final

from fogbank.aws.service import ServiceError
from fogbank.aws.stacks.resource import begun, unless_gone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.aws.service import Ask
    from fogbank.aws.stacks.resource import Properties

NAME_MAX: Final = 255
_AS_THEY_ARE: Final = ("AttributeDefinitions", "KeySchema", "LocalSecondaryIndexes", "BillingMode", "TableClass")
_UNSERVED: Final = ("ImportSourceSpecification", "KinesisStreamSpecification", "VectorIndexes")


class Table:
    type: ClassVar = "AWS::DynamoDB::Table"

    async def create(self, ask: Ask, wanted: Properties, name: str) -> str:
        _check(wanted)
        table = str(wanted.get("TableName", name[:NAME_MAX]))
        made = await ask("dynamodb", "CreateTable", TableName=table, **_creation(wanted))
        with begun(table):
            await _settle(ask, table, made["TableDescription"]["TableArn"], wanted, {})
        return table

    async def update(self, ask: Ask, physical_id: str, wanted: Properties, old: Properties) -> None:
        _check(wanted)
        for name in ("KeySchema", "LocalSecondaryIndexes"):
            if wanted.get(name) != old.get(name):
                raise _refuse(f"CloudFormation cannot update a stack when {name} of a table changes in place")
        for change in _changes(wanted, old):
            await ask("dynamodb", "UpdateTable", TableName=physical_id, **change)
        found = await ask("dynamodb", "DescribeTable", TableName=physical_id)
        arn = found["Table"]["TableArn"]
        await _tag(ask, arn, wanted, old)
        await _settle(ask, physical_id, arn, wanted, old)

    async def delete(self, ask: Ask, physical_id: str, old: Properties) -> None:
        await unless_gone(ask("dynamodb", "DeleteTable", TableName=physical_id))

    async def read(self, ask: Ask, physical_id: str, wanted: Properties) -> dict[str, Any]:
        found = (await ask("dynamodb", "DescribeTable", TableName=physical_id))["Table"]
        answer = {"Arn": found["TableArn"]}
        if "LatestStreamArn" in found and "StreamSpecification" in found:
            answer["StreamArn"] = found["LatestStreamArn"]
        return answer


class GlobalTable:
    """With one replica it is a table with its settings in other places."""

    type: ClassVar = "AWS::DynamoDB::GlobalTable"

    async def create(self, ask: Ask, wanted: Properties, name: str) -> str:
        return await Table().create(ask, _as_table(wanted), name)

    async def update(self, ask: Ask, physical_id: str, wanted: Properties, old: Properties) -> None:
        await Table().update(ask, physical_id, _as_table(wanted), _as_table(old))

    async def delete(self, ask: Ask, physical_id: str, old: Properties) -> None:
        await Table().delete(ask, physical_id, old)

    async def read(self, ask: Ask, physical_id: str, wanted: Properties) -> dict[str, Any]:
        answer = await Table().read(ask, physical_id, _as_table(wanted))
        found = await ask("dynamodb", "DescribeTable", TableName=physical_id)
        return {**answer, "TableId": found["Table"]["TableId"]}


# What the properties mean --------------------------------------------------------------------------------------------


def _refuse(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def _check(wanted: Properties) -> None:
    for name in _UNSERVED:
        if name in wanted:
            raise _refuse(f"{name} is not supported by fogbank")
    stream = wanted.get("StreamSpecification", {})
    for name in ("ResourcePolicy", "Tags"):
        if name in stream:
            raise _refuse(f"StreamSpecification.{name} is not supported by fogbank")
    for owner in (wanted, *wanted.get("GlobalSecondaryIndexes", ())):
        if _true(owner.get("ContributorInsightsSpecification", {}).get("Enabled", False)):
            raise _refuse("ContributorInsightsSpecification is not supported by fogbank")


def _true(value: Any) -> bool:
    """A template may say a boolean as text."""
    return value is True or str(value).lower() == "true"


def _numbers(given: Mapping[str, Any]) -> dict[str, int]:
    """And a number."""
    return {name: int(value) for name, value in given.items()}


def _tags(given: Properties) -> dict[str, str]:
    return {str(tag["Key"]): str(tag["Value"]) for tag in given.get("Tags", ())}


def _policy(given: Properties) -> str:
    document = given.get("ResourcePolicy", {}).get("PolicyDocument", "")
    return document if isinstance(document, str) else json.dumps(document)


def _creation(wanted: Properties) -> dict[str, Any]:
    request: dict[str, Any] = {name: wanted[name] for name in _AS_THEY_ARE if name in wanted}
    request |= _throughputs(wanted)
    if "GlobalSecondaryIndexes" in wanted:
        request["GlobalSecondaryIndexes"] = [_index(index) for index in wanted["GlobalSecondaryIndexes"]]
    if "StreamSpecification" in wanted:
        request["StreamSpecification"] = _stream(wanted)
    if "SSESpecification" in wanted:
        request["SSESpecification"] = _sse(wanted)
    if "DeletionProtectionEnabled" in wanted:
        request["DeletionProtectionEnabled"] = _true(wanted["DeletionProtectionEnabled"])
    if wanted.get("Tags"):
        request["Tags"] = [{"Key": key, "Value": value} for key, value in _tags(wanted).items()]
    if _policy(wanted):
        request["ResourcePolicy"] = _policy(wanted)
    return request


def _throughputs(given: Properties) -> dict[str, Any]:
    names = ("ProvisionedThroughput", "OnDemandThroughput", "WarmThroughput")
    return {name: _numbers(given[name]) for name in names if name in given}


def _index(index: Properties) -> dict[str, Any]:
    kept = {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
    return {**kept, **_throughputs(index)}


def _stream(given: Properties) -> dict[str, Any]:
    if "StreamSpecification" not in given:
        return {"StreamEnabled": False}
    return {"StreamEnabled": True, "StreamViewType": given["StreamSpecification"]["StreamViewType"]}


def _sse(given: Properties) -> dict[str, Any]:
    sse = given.get("SSESpecification", {})
    request: dict[str, Any] = {"Enabled": _true(sse.get("SSEEnabled", False))}
    return request | {name: sse[name] for name in ("SSEType", "KMSMasterKeyId") if name in sse}


# Changes in place ----------------------------------------------------------------------------------------------------


def _changes(wanted: Properties, old: Properties) -> list[dict[str, Any]]:
    """UpdateTable requests, in an order in which each is valid."""
    steps = _index_deletions(wanted, old)
    steps += _billing(wanted, old)
    steps += _index_creations(wanted, old)
    if _stream(wanted) != _stream(old):
        if "StreamSpecification" in old:
            steps.append({"StreamSpecification": {"StreamEnabled": False}})
        if "StreamSpecification" in wanted:
            steps.append({"StreamSpecification": _stream(wanted)})
    if _sse(wanted) != _sse(old):
        steps.append({"SSESpecification": _sse(wanted)})
    if wanted.get("TableClass", "STANDARD") != old.get("TableClass", "STANDARD"):
        steps.append({"TableClass": wanted.get("TableClass", "STANDARD")})
    protected, was = (_true(each.get("DeletionProtectionEnabled", False)) for each in (wanted, old))
    if protected != was:
        steps.append({"DeletionProtectionEnabled": protected})
    return steps


def _by_name(given: Properties) -> dict[str, dict[str, Any]]:
    return {index["IndexName"]: _index(index) for index in given.get("GlobalSecondaryIndexes", ())}


def _is_other(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    return any(one[name] != two[name] for name in ("KeySchema", "Projection"))


def _index_deletions(wanted: Properties, old: Properties) -> list[dict[str, Any]]:
    now, before = _by_name(wanted), _by_name(old)
    gone = [name for name, index in before.items() if name not in now or _is_other(now[name], index)]
    return [{"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": name}}]} for name in gone]


def _index_creations(wanted: Properties, old: Properties) -> list[dict[str, Any]]:
    now, before = _by_name(wanted), _by_name(old)
    new = [index for name, index in now.items() if name not in before or _is_other(index, before[name])]
    return [
        {
            "AttributeDefinitions": wanted["AttributeDefinitions"],
            "GlobalSecondaryIndexUpdates": [{"Create": index}],
        }
        for index in new
    ]


def _billing(wanted: Properties, old: Properties) -> list[dict[str, Any]]:
    mode, was = (each.get("BillingMode", "PROVISIONED") for each in (wanted, old))
    now, before = _by_name(wanted), _by_name(old)
    moved = [
        {"Update": {"IndexName": name, **_throughputs(index)}}
        for name, index in now.items()
        if name in before and not _is_other(index, before[name]) and _throughputs(index) != _throughputs(before[name])
        if _throughputs(index)
    ]
    units, units_before = _throughputs(wanted), _throughputs(old)
    request = {name: value for name, value in units.items() if mode != was or value != units_before.get(name)}
    if mode != was:
        request["BillingMode"] = mode
    if moved:
        request["GlobalSecondaryIndexUpdates"] = moved
    return [request] if request else []


async def _settle(ask: Ask, table: str, arn: str, wanted: Properties, old: Properties) -> None:
    """What has operations of its own: time to live, recovery and, after creation, the policy."""
    await _set_ttl(ask, table, wanted.get("TimeToLiveSpecification", {}), old.get("TimeToLiveSpecification", {}))
    recovery = wanted.get("PointInTimeRecoverySpecification", {})
    if recovery != old.get("PointInTimeRecoverySpecification", {}):
        enabled = _true(recovery.get("PointInTimeRecoveryEnabled", False))
        given: dict[str, Any] = {"PointInTimeRecoveryEnabled": enabled}
        if enabled and "RecoveryPeriodInDays" in recovery:
            given["RecoveryPeriodInDays"] = int(recovery["RecoveryPeriodInDays"])
        await ask("dynamodb", "UpdateContinuousBackups", TableName=table, PointInTimeRecoverySpecification=given)
    if old and _policy(wanted) != _policy(old):
        if _policy(wanted):
            await ask("dynamodb", "PutResourcePolicy", ResourceArn=arn, Policy=_policy(wanted))
        else:
            await ask("dynamodb", "DeleteResourcePolicy", ResourceArn=arn)


async def _set_ttl(ask: Ask, table: str, wanted: Properties, old: Properties) -> None:
    now = wanted.get("AttributeName", "") if _true(wanted.get("Enabled", False)) else ""
    before = old.get("AttributeName", "") if _true(old.get("Enabled", False)) else ""
    for attribute, enabled in ((before, False), (now, True)):
        if now != before and attribute:
            specification = {"AttributeName": attribute, "Enabled": enabled}
            await ask("dynamodb", "UpdateTimeToLive", TableName=table, TimeToLiveSpecification=specification)


async def _tag(ask: Ask, arn: str, wanted: Properties, old: Properties) -> None:
    now, before = _tags(wanted), _tags(old)
    gone = [key for key in before if key not in now]
    if gone:
        await ask("dynamodb", "UntagResource", ResourceArn=arn, TagKeys=gone)
    new = [{"Key": key, "Value": value} for key, value in now.items() if before.get(key) != value]
    if new:
        await ask("dynamodb", "TagResource", ResourceArn=arn, Tags=new)


# Global tables -------------------------------------------------------------------------------------------------------


def _as_table(given: Properties) -> Properties:
    replicas = given.get("Replicas", [])
    if len(replicas) != 1:
        raise _refuse("AWS::DynamoDB::GlobalTable with more than one replica is not supported by fogbank")
    for name in ("GlobalTableWitnesses", "MultiRegionConsistency", "GlobalTableSourceArn", "VectorIndexes"):
        if name in given:
            raise _refuse(f"{name} is not supported by fogbank")
    replica = replicas[0]
    same = (*_AS_THEY_ARE[:-1], "TableName", "StreamSpecification", "TimeToLiveSpecification", "WarmThroughput")
    of_replica = ("TableClass", "DeletionProtectionEnabled", "Tags", "PointInTimeRecoverySpecification")
    table: dict[str, Any] = {name: given[name] for name in same if name in given}
    table |= {name: replica[name] for name in (*of_replica, "ResourcePolicy") if name in replica}
    if "SSESpecification" in given:
        table["SSESpecification"] = {**given["SSESpecification"], **replica.get("SSESpecification", {})}
    provisioned = given.get("BillingMode", "PROVISIONED") == "PROVISIONED"
    if provisioned:
        table["ProvisionedThroughput"] = _provisioned(given, replica)
    by_name = {index["IndexName"]: index for index in replica.get("GlobalSecondaryIndexes", ())}
    if "GlobalSecondaryIndexes" in given:
        table["GlobalSecondaryIndexes"] = [
            {
                **{name: index[name] for name in ("IndexName", "KeySchema", "Projection")},
                **(
                    {"ProvisionedThroughput": _provisioned(index, by_name.get(index["IndexName"], {}))}
                    if provisioned
                    else {}
                ),
            }
            for index in given["GlobalSecondaryIndexes"]
        ]
    return table


def _part(given: Properties, name: str) -> Properties:
    return dict(given.get(name, {}))


def _provisioned(writes: Properties, reads: Properties) -> dict[str, int]:
    """Units where they are fixed, the least that auto scaling may set where they are not."""
    write = _part(_part(writes, "WriteProvisionedThroughputSettings"), "WriteCapacityAutoScalingSettings")
    read = _part(reads, "ReadProvisionedThroughputSettings") or _part(writes, "ReadProvisionedThroughputSettings")
    scaled = _part(read, "ReadCapacityAutoScalingSettings")
    return {
        "ReadCapacityUnits": int(read.get("ReadCapacityUnits") or scaled.get("MinCapacity") or 1),
        "WriteCapacityUnits": int(write.get("SeedCapacity") or write.get("MinCapacity") or 1),
    }
