"""An OpenAPI document (2.0 or 3.0) with Amazon's extensions, as the parts of an API.

API Gateway Developer Guide, "OpenAPI extensions for API Gateway".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fogbank.aws.services.apigateway import integrations
from fogbank.aws.services.apigateway.state import Api, Authorizer, Resource, bad

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "x-amazon-apigateway-any-method")


def fill(api: Api, document: Mapping[str, Any], new_id: Callable[[int], str]) -> Api:
    """The API with its parts as the document has them (mode `overwrite`). Raises BadRequestException."""
    if not isinstance(document, dict) or not ("swagger" in document or "openapi" in document):
        raise bad("Invalid OpenAPI input: it must be an object with swagger or openapi in it.")
    info = document.get("info") or {}
    authorizers = _authorizers(document, new_id)
    by_name = {one.facts["name"]: one.id for one in authorizers.values()}
    root = next((one for one in api.resources.values() if not one.parent), None)
    root = Resource(root.id if root else new_id(10), "", "", "/")
    resources = {root.id: root}
    for path, item in (document.get("paths") or {}).items():
        made = _resource(resources, root.id, path, new_id)
        methods = {}
        for key, operation in item.items():
            if key.lower() in _METHODS:
                name = "ANY" if key.startswith("x-") else key.upper()
                methods[name] = _method(name, operation, document, by_name)
        resources[made.id] = replace(resources[made.id], methods=methods)
    return replace(
        api, name=str(info.get("title") or api.name), version=str(info.get("version", "")),
        description=str(info.get("description", api.description)), resources=resources, authorizers=authorizers,
        binary_types=[str(one) for one in document.get("x-amazon-apigateway-binary-media-types", [])],
        gateway_responses=dict(document.get("x-amazon-apigateway-gateway-responses", {})),
        models=dict(document.get("definitions", {}) or (document.get("components") or {}).get("schemas", {})),
    )  # fmt: skip


def _resource(resources: dict[str, Resource], root: str, path: str, new_id: Callable[[int], str]) -> Resource:
    """The resource at a path, with those above it."""
    by_path = {one.path: one for one in resources.values()}
    if not path.startswith("/"):
        raise bad(f"Invalid OpenAPI input: the path {path} does not begin with a slash.")
    at = root
    built = ""
    for part in [part for part in path.split("/") if part]:
        built += f"/{part}"
        found = by_path.get(built)
        if found is None:
            found = Resource(new_id(6), at, part, built)
            resources[found.id] = by_path[built] = found
        at = found.id
    return resources[at]


def _method(
    name: str, operation: Mapping[str, Any], document: Mapping[str, Any], by_name: dict[str, str]
) -> dict[str, Any]:
    made: dict[str, Any] = {"httpMethod": name, "authorizationType": "NONE", "apiKeyRequired": False}
    for requirement in operation.get("security", document.get("security", [])):
        for scheme, scopes in requirement.items():
            _secure(made, scheme, scopes, document, by_name)
    made["requestParameters"] = {
        f"method.request.{_PLACES[one['in']]}.{one['name']}": bool(one.get("required"))
        for one in operation.get("parameters", [])
        if one.get("in") in _PLACES
    }
    _validate(made, operation, document)
    made["methodResponses"] = {str(status): {"statusCode": str(status)} for status in operation.get("responses") or {}}
    given = operation.get("x-amazon-apigateway-integration")
    if given is not None:
        made["methodIntegration"] = integrations.from_extension(given)
    return made


def _validate(made: dict[str, Any], operation: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    """What the method's validator checks, and the schema of its body. "x-amazon-apigateway-request-validator"."""
    name = operation.get("x-amazon-apigateway-request-validator", document.get("x-amazon-apigateway-request-validator"))
    validators = document.get("x-amazon-apigateway-request-validators") or {}
    if name is None:
        return
    if name not in validators:
        raise bad(f"Invalid OpenAPI input: the request validator {name} is not defined.")
    made["validator"] = dict(validators[name])
    content = (operation.get("requestBody") or {}).get("content") or {}
    given = [one.get("schema") for one in operation.get("parameters", []) if one.get("in") == "body"]
    schema = next(iter(given), None) or (content.get("application/json") or {}).get("schema")
    if schema is not None:
        made["bodySchema"] = dict(schema)


_PLACES = {"path": "path", "query": "querystring", "header": "header"}


def _secure(
    made: dict[str, Any], scheme: str, scopes: list[str], document: Mapping[str, Any], by_name: dict[str, str]
) -> None:
    definition = _schemes(document).get(scheme, {})
    if scheme in by_name:
        kind = definition.get("x-amazon-apigateway-authtype", "")
        made["authorizationType"] = "COGNITO_USER_POOLS" if kind == "cognito_user_pools" else "CUSTOM"
        made["authorizerId"] = by_name[scheme]
        if scopes:
            made["authorizationScopes"] = scopes
    elif definition.get("x-amazon-apigateway-authtype", "").lower() == "awssigv4":
        made["authorizationType"] = "AWS_IAM"
    elif definition.get("type") == "apiKey":
        made["apiKeyRequired"] = True


def _schemes(document: Mapping[str, Any]) -> dict[str, Any]:
    return dict(document.get("securityDefinitions") or (document.get("components") or {}).get("securitySchemes") or {})


def _authorizers(document: Mapping[str, Any], new_id: Callable[[int], str]) -> dict[str, Authorizer]:
    found = {}
    for name, scheme in _schemes(document).items():
        given = scheme.get("x-amazon-apigateway-authorizer")
        if given is None:
            continue
        kind = {"cognito_user_pools": "COGNITO_USER_POOLS"}.get(
            given.get("type", ""), str(given.get("type", "")).upper()
        )
        if kind != "COGNITO_USER_POOLS":
            raise bad(f"Authorizers of type {kind or '(none)'} are not served here; COGNITO_USER_POOLS are.")
        facts: dict[str, Any] = {
            "name": name,
            "type": kind,
            "authType": scheme.get("x-amazon-apigateway-authtype", "custom"),
            "identitySource": given.get(
                "identitySource", f"method.request.header.{scheme.get('name', 'Authorization')}"
            ),
        }
        optional = {
            "providerARNs": given.get("providerARNs"), "authorizerUri": given.get("authorizerUri"),
            "authorizerCredentials": given.get("authorizerCredentials"),
            "authorizerResultTtlInSeconds": given.get("authorizerResultTtlInSeconds"),
            "identityValidationExpression": given.get("identityValidationExpression"),
        }  # fmt: skip
        authorizer = Authorizer(new_id(6), facts | {k: v for k, v in optional.items() if v is not None})
        found[authorizer.id] = authorizer
    return found
