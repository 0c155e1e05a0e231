"""IAM in a CloudFormation template, told in the operations that any customer would call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.service import ServiceError
from fogbank.aws.stacks.resource import begun, unless_gone

if TYPE_CHECKING:
    from fogbank.aws.service import Ask


class Role:
    type: ClassVar = "AWS::IAM::Role"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        name = wanted.get("RoleName", name[:64])
        optional = {
            "Path": wanted.get("Path"), "Description": wanted.get("Description"),
            "PermissionsBoundary": wanted.get("PermissionsBoundary"), "Tags": wanted.get("Tags"),
            "MaxSessionDuration": int(wanted["MaxSessionDuration"]) if "MaxSessionDuration" in wanted else None,
        }  # fmt: skip
        given = {member: value for member, value in optional.items() if value is not None}
        trust = _text(wanted["AssumeRolePolicyDocument"])
        await ask("iam", "CreateRole", RoleName=name, AssumeRolePolicyDocument=trust, **given)
        with begun(str(name)):
            await self._policies(ask, name, wanted, {})
        return str(name)

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        trust = _text(wanted["AssumeRolePolicyDocument"])
        await ask("iam", "UpdateAssumeRolePolicy", RoleName=physical_id, PolicyDocument=trust)
        session_s = int(wanted.get("MaxSessionDuration", 3600))
        await ask(
            "iam",
            "UpdateRole",
            RoleName=physical_id,
            Description=wanted.get("Description", ""),
            MaxSessionDuration=session_s,
        )
        await self._policies(ask, physical_id, wanted, old)
        gone = sorted({tag["Key"] for tag in old.get("Tags", [])} - {tag["Key"] for tag in wanted.get("Tags", [])})
        if gone:
            await ask("iam", "UntagRole", RoleName=physical_id, TagKeys=gone)
        if wanted.get("Tags"):
            await ask("iam", "TagRole", RoleName=physical_id, Tags=wanted["Tags"])

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        try:
            found = await ask("iam", "ListAttachedRolePolicies", RoleName=physical_id)
            for one in found["AttachedPolicies"]:
                await ask("iam", "DetachRolePolicy", RoleName=physical_id, PolicyArn=one["PolicyArn"])
            for name in (await ask("iam", "ListRolePolicies", RoleName=physical_id))["PolicyNames"]:
                await ask("iam", "DeleteRolePolicy", RoleName=physical_id, PolicyName=name)
            await ask("iam", "DeleteRole", RoleName=physical_id)
        except ServiceError as error:
            if error.code != "NoSuchEntity":
                raise

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        found = (await ask("iam", "GetRole", RoleName=physical_id))["Role"]
        return {"Arn": found["Arn"], "RoleId": found["RoleId"]}

    async def _policies(self, ask: Ask, name: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        inline = {one["PolicyName"]: _text(one["PolicyDocument"]) for one in wanted.get("Policies", [])}
        for policy, document in inline.items():
            await ask("iam", "PutRolePolicy", RoleName=name, PolicyName=policy, PolicyDocument=document)
        for policy in {one["PolicyName"] for one in old.get("Policies", [])} - inline.keys():
            await ask("iam", "DeleteRolePolicy", RoleName=name, PolicyName=policy)
        arns = list(dict.fromkeys(wanted.get("ManagedPolicyArns", [])))
        for arn in arns:
            await ask("iam", "AttachRolePolicy", RoleName=name, PolicyArn=arn)
        for arn in set(old.get("ManagedPolicyArns", [])) - set(arns):
            await ask("iam", "DetachRolePolicy", RoleName=name, PolicyArn=arn)


class ManagedPolicy:
    type: ClassVar = "AWS::IAM::ManagedPolicy"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        made = await ask(
            "iam", "CreatePolicy", PolicyName=wanted.get("ManagedPolicyName", name[:128]), Path=wanted.get("Path", "/"),
            PolicyDocument=_text(wanted["PolicyDocument"]), Description=wanted.get("Description", ""),
        )  # fmt: skip
        arn = str(made["Policy"]["Arn"])
        with begun(arn):
            for role in wanted.get("Roles", []):
                await ask("iam", "AttachRolePolicy", RoleName=role, PolicyArn=arn)
        return arn

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        if wanted["PolicyDocument"] != old.get("PolicyDocument"):
            versions = (await ask("iam", "ListPolicyVersions", PolicyArn=physical_id))["Versions"]
            if len(versions) >= 5:
                oldest = next(one["VersionId"] for one in versions if not one["IsDefaultVersion"])
                await ask("iam", "DeletePolicyVersion", PolicyArn=physical_id, VersionId=oldest)
            document = _text(wanted["PolicyDocument"])
            await ask("iam", "CreatePolicyVersion", PolicyArn=physical_id, PolicyDocument=document, SetAsDefault=True)
        for role in set(wanted.get("Roles", [])) - set(old.get("Roles", [])):
            await ask("iam", "AttachRolePolicy", RoleName=role, PolicyArn=physical_id)
        for role in set(old.get("Roles", [])) - set(wanted.get("Roles", [])):
            await ask("iam", "DetachRolePolicy", RoleName=role, PolicyArn=physical_id)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        for role in old.get("Roles", []):
            await unless_gone(ask("iam", "DetachRolePolicy", RoleName=role, PolicyArn=physical_id), "NoSuchEntity")
        await unless_gone(ask("iam", "DeletePolicy", PolicyArn=physical_id), "NoSuchEntity")

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        found = (await ask("iam", "GetPolicy", PolicyArn=physical_id))["Policy"]
        return {"PolicyArn": physical_id, "PolicyId": found["PolicyId"], "DefaultVersionId": found["DefaultVersionId"]}


class Policy:
    """An inline policy of roles that are named elsewhere in the template."""

    type: ClassVar = "AWS::IAM::Policy"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        await self.update(ask, name, wanted, {})
        return name

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        document = _text(wanted["PolicyDocument"])
        for role in wanted.get("Roles", []):
            await ask("iam", "PutRolePolicy", RoleName=role, PolicyName=wanted["PolicyName"], PolicyDocument=document)
        same_name = wanted["PolicyName"] == old.get("PolicyName")
        for role in set(old.get("Roles", [])) - (set(wanted.get("Roles", [])) if same_name else set()):
            await unless_gone(
                ask("iam", "DeleteRolePolicy", RoleName=role, PolicyName=old["PolicyName"]), "NoSuchEntity"
            )

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        for role in old.get("Roles", []):
            await unless_gone(
                ask("iam", "DeleteRolePolicy", RoleName=role, PolicyName=old["PolicyName"]), "NoSuchEntity"
            )

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Id": physical_id}


def _text(document: Any) -> str:
    return document if isinstance(document, str) else orjson.dumps(document).decode()
