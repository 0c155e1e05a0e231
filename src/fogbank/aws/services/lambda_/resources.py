"""Lambda in a CloudFormation template, told in the operations that any customer would call."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import ServiceError
from fogbank.aws.services.lambda_ import inline
from fogbank.aws.services.lambda_.snapshots import Snapshots
from fogbank.aws.stacks.resource import unless_gone

if TYPE_CHECKING:
    from fogbank.aws.service import Ask, House
    from fogbank.aws.stacks.resource import Place

_SETTINGS = (
    "Role", "Handler", "Runtime", "Description", "Timeout", "MemorySize", "Environment", "DeadLetterConfig",
    "TracingConfig", "VpcConfig", "EphemeralStorage", "SnapStart", "LoggingConfig", "Layers", "KMSKeyArn",
)  # fmt: skip
_DEFAULTS: dict[str, Any] = {
    "Description": "", "Timeout": 3, "MemorySize": 128, "Environment": {"Variables": {}}, "Layers": [],
    "EphemeralStorage": {"Size": 512}, "TracingConfig": {"Mode": "PassThrough"}, "DeadLetterConfig": {},
}  # fmt: skip
_NUMBERS = ("Timeout", "MemorySize")


class Function:
    type: ClassVar = "AWS::Lambda::Function"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        name = wanted.get("FunctionName", name[:64])
        given = {member: _typed(member, wanted[member]) for member in _SETTINGS if member in wanted}
        extra = {"Architectures": wanted["Architectures"]} if "Architectures" in wanted else {}
        await ask(
            "lambda", "CreateFunction", FunctionName=name, Code=_code(wanted), Tags=_tags(wanted), **given, **extra
        )
        return str(name)

    async def finish(self, ask: Ask, physical_id: str, wanted: dict[str, Any], name: str) -> None:
        await self._reserve(ask, physical_id, wanted)

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        if wanted["Code"] != old.get("Code") or wanted.get("Handler") != old.get("Handler"):
            await ask("lambda", "UpdateFunctionCode", FunctionName=physical_id, **_code(wanted))
        given = {**_DEFAULTS, **{member: _typed(member, wanted[member]) for member in _SETTINGS if member in wanted}}
        await ask("lambda", "UpdateFunctionConfiguration", FunctionName=physical_id, **given)
        await self._reserve(ask, physical_id, wanted)
        arn = (await ask("lambda", "GetFunctionConfiguration", FunctionName=physical_id))["FunctionArn"]
        gone = sorted(_tags(old).keys() - _tags(wanted).keys())
        if gone:
            await ask("lambda", "UntagResource", Resource=arn, TagKeys=gone)
        if _tags(wanted):
            await ask("lambda", "TagResource", Resource=arn, Tags=_tags(wanted))

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(ask("lambda", "DeleteFunction", FunctionName=physical_id))

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        found = await ask("lambda", "GetFunctionConfiguration", FunctionName=physical_id)
        return {"Arn": found["FunctionArn"], "SnapStartResponse.ApplyOn": found["SnapStart"]["ApplyOn"]}

    async def _reserve(self, ask: Ask, name: str, wanted: dict[str, Any]) -> None:
        reserved = wanted.get("ReservedConcurrentExecutions")
        if reserved is None:
            await ask("lambda", "DeleteFunctionConcurrency", FunctionName=name)
        else:
            await ask("lambda", "PutFunctionConcurrency", FunctionName=name, ReservedConcurrentExecutions=int(reserved))


class Version:
    """Complete once it is Active: where it asks for a snapshot, that is taken first."""

    type: ClassVar = "AWS::Lambda::Version"
    looks_inside: ClassVar = False

    def placed(self, place: Place) -> _Version:
        return _Version(place.house)


class _Version:
    def __init__(self, house: House) -> None:
        self._house = house

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        given = {member: wanted[member] for member in ("Description", "CodeSha256") if member in wanted}
        made = await ask("lambda", "PublishVersion", FunctionName=wanted["FunctionName"], **given)
        return str(made["FunctionArn"])

    async def finish(self, ask: Ask, physical_id: str, wanted: dict[str, Any], name: str) -> None:
        await self._house.share(Snapshots).settled(physical_id)
        found = await ask("lambda", "GetFunctionConfiguration", FunctionName=physical_id)
        if found["State"] == "Failed":
            told = f"Resource of type '{Version.type}' with identifier '{physical_id}' did not stabilize. Status Reason is {found['StateReason']}"  # noqa: E501
            raise ServiceError("InvalidRequest", told)
        await _provision(ask, wanted, wanted["FunctionName"], physical_id.rpartition(":")[2])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        await _provision(ask, wanted, wanted["FunctionName"], physical_id.rpartition(":")[2])

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        name, _, number = physical_id.rpartition(":")
        if number.isdigit():
            await unless_gone(ask("lambda", "DeleteFunction", FunctionName=name, Qualifier=number))

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Version": physical_id.rpartition(":")[2], "FunctionArn": physical_id}


class Alias:
    type: ClassVar = "AWS::Lambda::Alias"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        made = await ask(
            "lambda", "CreateAlias", FunctionName=wanted["FunctionName"], Name=wanted["Name"], **_alias_settings(wanted)
        )
        return str(made["AliasArn"])

    async def finish(self, ask: Ask, physical_id: str, wanted: dict[str, Any], name: str) -> None:
        await _provision(ask, wanted, wanted["FunctionName"], wanted["Name"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        await ask(
            "lambda", "UpdateAlias", FunctionName=wanted["FunctionName"], Name=wanted["Name"], **_alias_settings(wanted)
        )
        await _provision(ask, wanted, wanted["FunctionName"], wanted["Name"], before=old)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        name, _, alias = physical_id.rpartition(":")
        await unless_gone(ask("lambda", "DeleteAlias", FunctionName=name, Name=alias))

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"AliasArn": physical_id}


class Permission:
    type: ClassVar = "AWS::Lambda::Permission"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        known = ("Action", "Principal", "SourceArn", "SourceAccount", "EventSourceToken", "FunctionUrlAuthType")
        given = {member: wanted[member] for member in known if member in wanted}
        await ask("lambda", "AddPermission", FunctionName=wanted["FunctionName"], StatementId=name[:100], **given)
        return name[:100]

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        """Every property of a permission is create-only: nothing can change in place."""

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(ask("lambda", "RemovePermission", FunctionName=old["FunctionName"], StatementId=physical_id))

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Id": physical_id}


class EventSourceMapping:
    type: ClassVar = "AWS::Lambda::EventSourceMapping"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        tags = {"Tags": _tags(wanted)} if wanted.get("Tags") else {}
        made = await ask("lambda", "CreateEventSourceMapping", **_mapping(wanted), **tags)
        return str(made["UUID"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        fixed = ("EventSourceArn", "StartingPosition", "StartingPositionTimestamp")
        unset = {member: value for member, value in _MAPPING_DEFAULTS.items() if member in old}
        given = unset | {member: value for member, value in _mapping(wanted).items() if member not in fixed}
        await ask("lambda", "UpdateEventSourceMapping", UUID=physical_id, **given)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(ask("lambda", "DeleteEventSourceMapping", UUID=physical_id))

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        found = await ask("lambda", "GetEventSourceMapping", UUID=physical_id)
        return {"Id": physical_id, "EventSourceMappingArn": found["EventSourceMappingArn"]}


class FunctionUrl:
    type: ClassVar = "AWS::Lambda::Url"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        made = await ask("lambda", "CreateFunctionUrlConfig", **_url(wanted))
        return str(made["FunctionArn"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        await ask("lambda", "UpdateFunctionUrlConfig", **{"Cors": {}, "InvokeMode": "BUFFERED", **_url(wanted)})

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        where = {member: value for member, value in _url(old).items() if member in ("FunctionName", "Qualifier")}
        await unless_gone(ask("lambda", "DeleteFunctionUrlConfig", **where))

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        where = {member: value for member, value in _url(wanted).items() if member in ("FunctionName", "Qualifier")}
        found = await ask("lambda", "GetFunctionUrlConfig", **where)
        return {"FunctionArn": found["FunctionArn"], "FunctionUrl": found["FunctionUrl"]}


class LayerVersion:
    type: ClassVar = "AWS::Lambda::LayerVersion"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        known = ("Description", "CompatibleRuntimes", "CompatibleArchitectures", "LicenseInfo")
        given = {member: wanted[member] for member in known if member in wanted}
        given["LayerName"] = wanted.get("LayerName", name)
        return str((await ask("lambda", "PublishLayerVersion", Content=wanted["Content"], **given))["LayerVersionArn"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        """Every property of a layer version is create-only: nothing can change in place."""

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        name, _, number = physical_id.rpartition(":")
        await ask("lambda", "DeleteLayerVersion", LayerName=name, VersionNumber=int(number))

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"LayerVersionArn": physical_id}


class LayerVersionPermission:
    type: ClassVar = "AWS::Lambda::LayerVersionPermission"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        known = ("Action", "Principal", "OrganizationId")
        given = {member: wanted[member] for member in known if member in wanted}
        await ask("lambda", "AddLayerVersionPermission", StatementId=name[:100], **_layer(wanted), **given)
        return f"{wanted['LayerVersionArn']}#{name[:100]}"

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        """Every property of a permission is create-only: nothing can change in place."""

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        statement = physical_id.partition("#")[2]
        await unless_gone(ask("lambda", "RemoveLayerVersionPermission", StatementId=statement, **_layer(old)))

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Id": physical_id}


class EventInvokeConfig:
    type: ClassVar = "AWS::Lambda::EventInvokeConfig"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        await self.update(ask, name, wanted, {})
        return f"{wanted['FunctionName']}|{wanted['Qualifier']}"

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        given = {member: value for member, value in wanted.items() if member not in ("FunctionName", "Qualifier")}
        for member in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds"):
            if member in given:
                given[member] = int(given[member])
        where = {"FunctionName": wanted["FunctionName"], "Qualifier": wanted["Qualifier"]}
        await ask("lambda", "PutFunctionEventInvokeConfig", **where, **given)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        name, _, qualifier = physical_id.partition("|")
        await unless_gone(ask("lambda", "DeleteFunctionEventInvokeConfig", FunctionName=name, Qualifier=qualifier))

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {}


def _url(wanted: dict[str, Any]) -> dict[str, Any]:
    given = {"FunctionName": wanted["TargetFunctionArn"], "AuthType": wanted["AuthType"]}
    for member in ("Qualifier", "InvokeMode"):
        if member in wanted:
            given[member] = wanted[member]
    if "Cors" in wanted:
        given["Cors"] = dict(wanted["Cors"])
        if "MaxAge" in given["Cors"]:
            given["Cors"]["MaxAge"] = int(given["Cors"]["MaxAge"])
        if "AllowCredentials" in given["Cors"]:
            given["Cors"]["AllowCredentials"] = str(given["Cors"]["AllowCredentials"]).lower() == "true"
    return given


def _layer(wanted: dict[str, Any]) -> dict[str, Any]:
    name, _, number = wanted["LayerVersionArn"].rpartition(":")
    return {"LayerName": name, "VersionNumber": int(number)}


async def _provision(
    ask: Ask, wanted: dict[str, Any], name: str, qualifier: str, before: dict[str, Any] | None = None
) -> None:
    """Returns once the instances are initialised, so the stack is complete no sooner than they are."""
    member = "ProvisionedConcurrencyConfig" if "ProvisionedConcurrencyConfig" in wanted else "ProvisioningConfig"
    count = (wanted.get(member) or {}).get("ProvisionedConcurrentExecutions")
    where = {"FunctionName": name, "Qualifier": qualifier}
    if count is not None:
        made = await ask(
            "lambda", "PutProvisionedConcurrencyConfig", ProvisionedConcurrentExecutions=int(count), **where
        )
        if made["Status"] == "FAILED":
            raise ServiceError("InvalidRequest", made["StatusReason"])
    elif before and before.get("ProvisionedConcurrencyConfig"):
        await ask("lambda", "DeleteProvisionedConcurrencyConfig", **where)


def _alias_settings(wanted: dict[str, Any]) -> dict[str, Any]:
    weights = {
        one["FunctionVersion"]: float(one["FunctionWeight"])
        for one in (wanted.get("RoutingConfig") or {}).get("AdditionalVersionWeights", [])
    }
    return {
        "FunctionVersion": str(wanted["FunctionVersion"]),
        "Description": wanted.get("Description", ""),
        "RoutingConfig": {"AdditionalVersionWeights": weights},
    }


# What a property that has left the template goes back to.
_MAPPING_DEFAULTS: dict[str, Any] = {
    "FilterCriteria": {}, "FunctionResponseTypes": [], "ScalingConfig": {}, "ProvisionedPollerConfig": {},
    "DestinationConfig": {}, "MaximumBatchingWindowInSeconds": 0, "ParallelizationFactor": 1,
    "MaximumRecordAgeInSeconds": -1, "MaximumRetryAttempts": -1, "TumblingWindowInSeconds": 0,
    "BisectBatchOnFunctionError": False, "Enabled": True,
}  # fmt: skip


def _mapping(wanted: dict[str, Any]) -> dict[str, Any]:
    """Numbers and booleans may stand as text in a template."""
    numbers = ("BatchSize", "MaximumBatchingWindowInSeconds", "ParallelizationFactor", "MaximumRecordAgeInSeconds",
               "MaximumRetryAttempts", "TumblingWindowInSeconds")  # fmt: skip
    given = {member: value for member, value in wanted.items() if member != "Tags"}
    given.update({member: int(given[member]) for member in numbers if member in given})
    for member in ("ScalingConfig", "ProvisionedPollerConfig"):
        if member in given:
            given[member] = {
                name: value if name == "PollerGroupName" else int(value) for name, value in given[member].items()
            }
    for member in ("Enabled", "BisectBatchOnFunctionError"):
        if member in given:
            given[member] = str(given[member]).lower() == "true"
    if "StartingPositionTimestamp" in given:
        given["StartingPositionTimestamp"] = datetime.fromtimestamp(float(given["StartingPositionTimestamp"]), UTC)
    return given


def _typed(member: str, value: Any) -> Any:
    if member in _NUMBERS:
        return int(value)
    if member == "EphemeralStorage":
        return {"Size": int(value["Size"])}
    if member == "Environment":
        return {"Variables": {name: _text(one) for name, one in (value.get("Variables") or {}).items()}}
    return value


def _text(value: Any) -> str:
    return "true" if value is True else "false" if value is False else str(value)


def _code(wanted: dict[str, Any]) -> dict[str, Any]:
    given = wanted["Code"]
    if "ZipFile" in given:
        return {"ZipFile": inline.bundle(str(given["ZipFile"]), str(wanted.get("Runtime", "")))}
    known = ("S3Bucket", "S3Key", "S3ObjectVersion", "ImageUri")
    return {member: given[member] for member in known if member in given}


def _tags(wanted: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: str(tag["Value"]) for tag in wanted.get("Tags", [])}
