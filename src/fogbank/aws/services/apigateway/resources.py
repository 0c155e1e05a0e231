"""API Gateway in a CloudFormation template, told in the operations that any customer would call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.service import ServiceError
from fogbank.aws.stacks.resource import unless_gone

if TYPE_CHECKING:
    from fogbank.aws.service import Ask


class RestApi:
    type: ClassVar = "AWS::ApiGateway::RestApi"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        given = {
            "description": wanted.get("Description"),
            "binaryMediaTypes": wanted.get("BinaryMediaTypes"),
            "endpointConfiguration": _endpoint(wanted),
            "tags": {tag["Key"]: tag["Value"] for tag in wanted.get("Tags", [])} or None,
        }
        given = {member: value for member, value in given.items() if value is not None}
        made = await ask("apigateway", "CreateRestApi", name=_name(wanted, name), **given)
        return str(made["id"])

    async def finish(self, ask: Ask, physical_id: str, wanted: dict[str, Any], name: str) -> None:
        await self._body(ask, physical_id, wanted, name)
        await self._settle(ask, physical_id, wanted, {})

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        await self._body(ask, physical_id, wanted, "")
        await self._settle(ask, physical_id, wanted, old)
        await _tag(ask, f"/restapis/{physical_id}", wanted, old)

    async def _settle(self, ask: Ask, api_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        """What stands beside the body: an overwriting import has taken it away."""
        found = await ask("apigateway", "GetRestApi", restApiId=api_id)
        types = [str(kind).replace("~1", "/") for kind in wanted.get("BinaryMediaTypes", [])]
        have = found.get("binaryMediaTypes", [])
        gone = [] if "Body" in wanted else [kind for kind in have if kind not in types]
        patches = [{"op": "remove", "path": f"/binaryMediaTypes/{kind.replace('/', '~1')}"} for kind in gone]
        new = [kind for kind in types if kind not in have]
        patches += [{"op": "add", "path": f"/binaryMediaTypes/{kind.replace('/', '~1')}"} for kind in new]
        if "Description" in wanted or "Description" in old:
            patches.append({"op": "replace", "path": "/description", "value": wanted.get("Description", "")})
        for member, path in _API_SETTINGS.items():
            if member in wanted:
                patches.append({"op": "replace", "path": path, "value": _text(wanted[member])})
        if patches:
            await ask("apigateway", "UpdateRestApi", restApiId=api_id, patchOperations=patches)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(ask("apigateway", "DeleteRestApi", restApiId=physical_id), "NotFoundException")

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        found = await ask("apigateway", "GetRestApi", restApiId=physical_id)
        return {"RootResourceId": found["rootResourceId"], "RestApiId": physical_id}

    async def _body(self, ask: Ask, api_id: str, wanted: dict[str, Any], name: str) -> None:
        body: bytes | None = None
        if "Body" in wanted:
            body = orjson.dumps(wanted["Body"])
        elif "BodyS3Location" in wanted:
            place = wanted["BodyS3Location"]
            found = await ask("s3", "GetObject", Bucket=place["Bucket"], Key=place["Key"])
            content = getattr(found["Body"], "body", found["Body"])
            body = content if isinstance(content, bytes) else bytes(content.read_bytes())
        if body is not None:
            await ask("apigateway", "PutRestApi", restApiId=api_id, mode="overwrite", body=body)
        if wanted.get("Name"):
            patch = [{"op": "replace", "path": "/name", "value": wanted["Name"]}]
            await ask("apigateway", "UpdateRestApi", restApiId=api_id, patchOperations=patch)


_API_SETTINGS = {
    "ApiKeySourceType": "/apiKeySource", "MinimumCompressionSize": "/minimumCompressionSize", "Policy": "/policy",
    "DisableExecuteApiEndpoint": "/disableExecuteApiEndpoint",
}  # fmt: skip


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else orjson.dumps(value).decode()


class GatewayResponse:
    type: ClassVar = "AWS::ApiGateway::GatewayResponse"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        await self.update(ask, name, wanted, {})
        return name

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        known = {"ResponseParameters": "responseParameters", "ResponseTemplates": "responseTemplates"}
        given = {theirs: wanted[ours] for ours, theirs in known.items() if ours in wanted}
        if "StatusCode" in wanted:
            given["statusCode"] = str(wanted["StatusCode"])
        kind = wanted["ResponseType"]
        await ask("apigateway", "PutGatewayResponse", restApiId=wanted["RestApiId"], responseType=kind, **given)
        if old and old["ResponseType"] != kind:
            await self.delete(ask, physical_id, old)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        where = {"restApiId": old["RestApiId"], "responseType": old["ResponseType"]}
        await unless_gone(ask("apigateway", "DeleteGatewayResponse", **where), "NotFoundException")

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Id": physical_id}


class Resource:
    type: ClassVar = "AWS::ApiGateway::Resource"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        made = await ask(
            "apigateway", "CreateResource", restApiId=wanted["RestApiId"], parentId=wanted["ParentId"],
            pathPart=wanted["PathPart"],
        )  # fmt: skip
        return str(made["id"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        """Every property is create-only."""

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(
            ask("apigateway", "DeleteResource", restApiId=old["RestApiId"], resourceId=physical_id), "NotFoundException"
        )

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"ResourceId": physical_id}


class Method:
    type: ClassVar = "AWS::ApiGateway::Method"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        await self.update(ask, "", wanted, {})
        return f"{wanted['RestApiId']}|{wanted['ResourceId']}|{wanted['HttpMethod']}"

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        where = {
            "restApiId": wanted["RestApiId"],
            "resourceId": wanted["ResourceId"],
            "httpMethod": wanted["HttpMethod"],
        }
        known = {"AuthorizationType": "authorizationType", "AuthorizerId": "authorizerId",
                 "OperationName": "operationName",
                 "RequestParameters": "requestParameters", "AuthorizationScopes": "authorizationScopes"}  # fmt: skip
        given = {theirs: wanted[ours] for ours, theirs in known.items() if ours in wanted}
        given.setdefault("authorizationType", "NONE")
        given["apiKeyRequired"] = str(wanted.get("ApiKeyRequired", False)).lower() == "true"
        await ask("apigateway", "PutMethod", **where, **given)
        for response in wanted.get("MethodResponses", []):
            await ask("apigateway", "PutMethodResponse", **where, statusCode=str(response["StatusCode"]))
        integration = wanted.get("Integration")
        if integration:
            await self._integration(ask, where, integration)

    async def _integration(self, ask: Ask, where: dict[str, str], given: dict[str, Any]) -> None:
        known = {"Uri": "uri", "Credentials": "credentials", "RequestTemplates": "requestTemplates",
                 "RequestParameters": "requestParameters", "PassthroughBehavior": "passthroughBehavior",
                 "IntegrationHttpMethod": "integrationHttpMethod", "ContentHandling": "contentHandling"}  # fmt: skip
        made = {theirs: given[ours] for ours, theirs in known.items() if ours in given}
        if "TimeoutInMillis" in given:
            made["timeoutInMillis"] = int(given["TimeoutInMillis"])
        await ask("apigateway", "PutIntegration", **where, type=given["Type"], **made)
        for response in given.get("IntegrationResponses", []):
            names = {"SelectionPattern": "selectionPattern", "ResponseParameters": "responseParameters",
                     "ResponseTemplates": "responseTemplates"}  # fmt: skip
            facts = {theirs: response[ours] for ours, theirs in names.items() if ours in response}
            await ask("apigateway", "PutIntegrationResponse", **where, statusCode=str(response["StatusCode"]), **facts)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        api, resource, method = physical_id.split("|")
        await unless_gone(
            ask("apigateway", "DeleteMethod", restApiId=api, resourceId=resource, httpMethod=method),
            "NotFoundException",
        )

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {}


class Authorizer:
    type: ClassVar = "AWS::ApiGateway::Authorizer"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        known = {"Name": "name", "Type": "type", "ProviderARNs": "providerARNs", "AuthorizerUri": "authorizerUri",
                 "IdentitySource": "identitySource", "AuthType": "authType"}  # fmt: skip
        given = {theirs: wanted[ours] for ours, theirs in known.items() if ours in wanted}
        made = await ask("apigateway", "CreateAuthorizer", restApiId=wanted["RestApiId"], **given)
        return str(made["id"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        raise ServiceError(
            "BadRequestException", "Changing an authorizer in place is not served here: give it a new name."
        )

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(
            ask("apigateway", "DeleteAuthorizer", restApiId=old["RestApiId"], authorizerId=physical_id),
            "NotFoundException",
        )

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"AuthorizerId": physical_id}


class Deployment:
    type: ClassVar = "AWS::ApiGateway::Deployment"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        given = {"stageName": wanted["StageName"]} if "StageName" in wanted else {}
        description = wanted.get("Description", "")
        made = await ask(
            "apigateway", "CreateDeployment", restApiId=wanted["RestApiId"], description=description, **given
        )
        return str(made["id"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        """A deployment is an API as it was: only its description could change, and nothing reads it."""

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        """The stage that it made by itself goes with it; one that another stage shows must stay."""
        api = old["RestApiId"]
        try:
            stages = (await ask("apigateway", "GetStages", restApiId=api, deploymentId=physical_id))["item"]
            for stage in stages:
                if stage["stageName"] == old.get("StageName"):
                    await ask("apigateway", "DeleteStage", restApiId=api, stageName=stage["stageName"])
            await ask("apigateway", "DeleteDeployment", restApiId=api, deploymentId=physical_id)
        except ServiceError as error:
            if error.code != "NotFoundException":
                raise

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"DeploymentId": physical_id}


class Stage:
    type: ClassVar = "AWS::ApiGateway::Stage"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        given = {
            "variables": {name: str(value) for name, value in wanted.get("Variables", {}).items()} or None,
            "description": wanted.get("Description"),
            "tracingEnabled": _text(wanted.get("TracingEnabled", False)) == "true" or None,
            "tags": {tag["Key"]: tag["Value"] for tag in wanted.get("Tags", [])} or None,
        }
        given = {member: value for member, value in given.items() if value is not None}
        await ask(
            "apigateway", "CreateStage", restApiId=wanted["RestApiId"], stageName=wanted["StageName"],
            deploymentId=wanted["DeploymentId"], **given,
        )  # fmt: skip
        return str(wanted["StageName"])

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        new_variables, old_variables = wanted.get("Variables", {}), old.get("Variables", {})
        patches = [{"op": "replace", "path": "/deploymentId", "value": wanted["DeploymentId"]}]
        patches += [{"op": "replace", "path": f"/variables/{k}", "value": str(v)} for k, v in new_variables.items()]
        patches += [{"op": "remove", "path": f"/variables/{k}"} for k in old_variables.keys() - new_variables.keys()]
        patches.append({"op": "replace", "path": "/description", "value": wanted.get("Description", "")})
        traced = _text(wanted.get("TracingEnabled", False))
        patches.append({"op": "replace", "path": "/tracingEnabled", "value": traced})
        await ask(
            "apigateway", "UpdateStage", restApiId=wanted["RestApiId"], stageName=physical_id, patchOperations=patches
        )
        await _tag(ask, f"/restapis/{wanted['RestApiId']}/stages/{physical_id}", wanted, old)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(
            ask("apigateway", "DeleteStage", restApiId=old["RestApiId"], stageName=physical_id), "NotFoundException"
        )

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {}


async def _tag(ask: Ask, path: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
    new, had = ({tag["Key"]: str(tag["Value"]) for tag in one.get("Tags", [])} for one in (wanted, old))
    arn = f"arn:aws:apigateway:us-east-1::{path}"  # The account and the region are the caller's.
    if had.keys() - new.keys():
        await ask("apigateway", "UntagResource", resourceArn=arn, tagKeys=sorted(had.keys() - new.keys()))
    if new and new != had:
        await ask("apigateway", "TagResource", resourceArn=arn, tags=new)


def _name(wanted: dict[str, Any], name: str) -> str:
    title = ((wanted.get("Body") or {}).get("info") or {}).get("title")
    return str(wanted.get("Name") or title or name)


def _endpoint(wanted: dict[str, Any]) -> dict[str, Any] | None:
    given = wanted.get("EndpointConfiguration")
    return {"types": given["Types"]} if given and "Types" in given else None
