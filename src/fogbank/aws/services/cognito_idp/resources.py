"""User pools in a CloudFormation template, told in the operations that any customer would call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.stacks.resource import unless_gone

if TYPE_CHECKING:
    from fogbank.aws.service import Ask

_RENAMED = {"UserPoolName": "PoolName"}
_NUMBERS = {"MinimumLength", "TemporaryPasswordValidityDays", "UnusedAccountValidityDays", "RefreshTokenValidity",
            "AccessTokenValidity", "IdTokenValidity", "AuthSessionValidity", "Precedence", "Priority"}  # fmt: skip
_POOL_ONLY_AT_CREATION = ("Schema", "AliasAttributes", "UsernameAttributes", "UsernameConfiguration")
_NOT_SERVED = ("EnabledMfas", "WebAuthnRelyingPartyID", "WebAuthnUserVerification", "EmailAuthenticationMessage",
               "EmailAuthenticationSubject")  # fmt: skip


class UserPool:
    type: ClassVar = "AWS::Cognito::UserPool"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        given = _request(wanted)
        given.setdefault("PoolName", name[:128])
        made = await ask("cognito-idp", "CreateUserPool", **given)
        return str(made["UserPool"]["Id"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        given = {name: value for name, value in _request(wanted).items() if name not in _POOL_ONLY_AT_CREATION}
        await ask("cognito-idp", "UpdateUserPool", UserPoolId=physical_id, **given)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(ask("cognito-idp", "DeleteUserPool", UserPoolId=physical_id))

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        found = (await ask("cognito-idp", "DescribeUserPool", UserPoolId=physical_id))["UserPool"]
        region = physical_id.partition("_")[0]
        provider = f"cognito-idp.{region}.amazonaws.com/{physical_id}"
        return {
            "Arn": found["Arn"],
            "ProviderName": provider,
            "ProviderURL": f"https://{provider}",
            "UserPoolId": physical_id,
        }


class UserPoolClient:
    type: ClassVar = "AWS::Cognito::UserPoolClient"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        given = _typed(wanted)
        given.setdefault("ClientName", name[:128])
        made = await ask("cognito-idp", "CreateUserPoolClient", **given)
        return str(made["UserPoolClient"]["ClientId"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        given = {name: value for name, value in _typed(wanted).items() if name != "GenerateSecret"}
        await ask("cognito-idp", "UpdateUserPoolClient", ClientId=physical_id, **given)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(
            ask("cognito-idp", "DeleteUserPoolClient", UserPoolId=old["UserPoolId"], ClientId=physical_id)
        )

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        found = await ask(
            "cognito-idp", "DescribeUserPoolClient", UserPoolId=wanted["UserPoolId"], ClientId=physical_id
        )
        client = found["UserPoolClient"]
        secret = {"ClientSecret": client["ClientSecret"]} if "ClientSecret" in client else {}
        return {"ClientId": physical_id, "Name": client["ClientName"], **secret}


class UserPoolGroup:
    type: ClassVar = "AWS::Cognito::UserPoolGroup"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        given = _typed(wanted)
        given.setdefault("GroupName", name[:128])
        await ask("cognito-idp", "CreateGroup", **given)
        return str(given["GroupName"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        await ask("cognito-idp", "UpdateGroup", **{**_typed(wanted), "GroupName": physical_id})

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(ask("cognito-idp", "DeleteGroup", UserPoolId=old["UserPoolId"], GroupName=physical_id))

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {}


def _request(wanted: dict[str, Any]) -> dict[str, Any]:
    given = {_RENAMED.get(name, name): value for name, value in _typed(wanted).items() if name not in _NOT_SERVED}
    tags = given.get("UserPoolTags")
    if isinstance(tags, list):
        given["UserPoolTags"] = {tag["Key"]: tag["Value"] for tag in tags}
    return given


def _typed(value: Any, name: str = "") -> Any:
    """Numbers and booleans may stand as text in a template."""
    if isinstance(value, dict):
        return {key: _typed(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    if isinstance(value, str) and name in _NUMBERS:
        return int(value)
    if value in ("true", "false"):
        return value == "true"
    return value
