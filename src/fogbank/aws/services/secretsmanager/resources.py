"""Secrets in a CloudFormation template, told in the operations that any customer would call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.service import ServiceError
from fogbank.aws.stacks.resource import unless_gone

if TYPE_CHECKING:
    from fogbank.aws.service import Ask

_BOOLEANS = ("ExcludeUppercase", "ExcludeLowercase", "ExcludeNumbers", "ExcludePunctuation", "IncludeSpace",
             "RequireEachIncludedType")  # fmt: skip


class Secret:
    type: ClassVar = "AWS::SecretsManager::Secret"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        _refuse_replicas(wanted)
        given = await self._value(ask, wanted)
        for member in ("Description", "KmsKeyId", "Tags"):
            if member in wanted:
                given[member] = wanted[member]
        return str((await ask("secretsmanager", "CreateSecret", Name=wanted.get("Name", name), **given))["ARN"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        _refuse_replicas(wanted)
        value_members = ("SecretString", "GenerateSecretString")
        changed = any(wanted.get(member) != old.get(member) for member in value_members)
        given = await self._value(ask, wanted) if changed else {}
        given["Description"] = wanted.get("Description", "")
        if "KmsKeyId" in wanted:
            given["KmsKeyId"] = wanted["KmsKeyId"]
        await ask("secretsmanager", "UpdateSecret", SecretId=physical_id, **given)
        left = {tag["Key"] for tag in wanted.get("Tags", [])}
        gone = [tag["Key"] for tag in old.get("Tags", []) if tag["Key"] not in left]
        if gone:
            await ask("secretsmanager", "UntagResource", SecretId=physical_id, TagKeys=gone)
        if wanted.get("Tags"):
            await ask("secretsmanager", "TagResource", SecretId=physical_id, Tags=wanted["Tags"])

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(ask("secretsmanager", "DeleteSecret", SecretId=physical_id, ForceDeleteWithoutRecovery=True))

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Id": physical_id}

    async def _value(self, ask: Ask, wanted: dict[str, Any]) -> dict[str, Any]:
        """SecretString as it stands, or one that is generated: alone, or as a member of a JSON template."""
        if "SecretString" in wanted:
            return {"SecretString": str(wanted["SecretString"])}
        if "GenerateSecretString" not in wanted:
            return {}
        asked = dict(wanted["GenerateSecretString"])
        template, key = asked.pop("SecretStringTemplate", None), asked.pop("GenerateStringKey", None)
        asked = {name: str(value).lower() == "true" if name in _BOOLEANS else value for name, value in asked.items()}
        if "PasswordLength" in asked:
            asked["PasswordLength"] = int(asked["PasswordLength"])
        password = (await ask("secretsmanager", "GetRandomPassword", **asked))["RandomPassword"]
        if template is None:
            return {"SecretString": password}
        try:
            document = orjson.loads(template)
            document[key] = password
        except (ValueError, TypeError) as error:
            raise ServiceError("ValidationError", "SecretStringTemplate must be a JSON object.") from error
        return {"SecretString": orjson.dumps(document).decode()}


class ResourcePolicy:
    type: ClassVar = "AWS::SecretsManager::ResourcePolicy"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        await self.update(ask, wanted["SecretId"], wanted, {})
        return str(wanted["SecretId"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        document = wanted["ResourcePolicy"]
        policy = document if isinstance(document, str) else orjson.dumps(document).decode()
        await ask("secretsmanager", "PutResourcePolicy", SecretId=wanted["SecretId"], ResourcePolicy=policy)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(
            ask("secretsmanager", "DeleteResourcePolicy", SecretId=physical_id),
            "ResourceNotFoundException",
            "InvalidRequestException",
        )

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Id": physical_id}


class RotationSchedule:
    type: ClassVar = "AWS::SecretsManager::RotationSchedule"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        await self.update(ask, wanted["SecretId"], wanted, {})
        return str(wanted["SecretId"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        if "HostedRotationLambda" in wanted:
            told = "HostedRotationLambda is not served by fogbank; name your own function in RotationLambdaARN."
            raise ServiceError("NotImplemented", told, status=501)
        rules = dict(wanted.get("RotationRules", {}))
        if "AutomaticallyAfterDays" in rules:
            rules["AutomaticallyAfterDays"] = int(rules["AutomaticallyAfterDays"])
        at_once = str(wanted.get("RotateImmediatelyOnUpdate", "true")).lower() == "true"
        await ask(
            "secretsmanager", "RotateSecret", SecretId=wanted["SecretId"], RotationRules=rules,
            RotationLambdaARN=wanted["RotationLambdaARN"], RotateImmediately=at_once,
        )  # fmt: skip

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(
            ask("secretsmanager", "CancelRotateSecret", SecretId=physical_id),
            "ResourceNotFoundException",
            "InvalidRequestException",
        )

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Id": physical_id}


def _refuse_replicas(wanted: dict[str, Any]) -> None:
    if wanted.get("ReplicaRegions"):
        raise ServiceError("NotImplemented", "ReplicaRegions of secrets is not served by fogbank.", status=501)
