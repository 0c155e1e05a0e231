"""APIs and their parts: made one by one or from an OpenAPI document."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import orjson
import yaml

from fogbank.aws.service import Call, Operations
from fogbank.aws.services.apigateway import gateway_responses, integrations, openapi, state
from fogbank.aws.services.apigateway.state import Api, Authorizer, Resource, bad

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.kernel.store import Tx

_PAGE = 500
_ENDPOINT = {"types": ["EDGE"], "ipAddressType": "ipv4"}


class Apis(Operations):
    service: ClassVar = "apigateway"

    def create_rest_api(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        made = self._new(call, request["name"])
        made = replace(
            made, description=request.get("description", ""), version=request.get("version", ""),
            binary_types=request.get("binaryMediaTypes", []), tags=request.get("tags", {}),
            endpoint=request.get("endpointConfiguration", _ENDPOINT),
            settings={k: request[k] for k in ("policy", "apiKeySource", "minimumCompressionSize") if k in request},
        )  # fmt: skip
        state.put(tx, made)
        return described(made)

    def import_rest_api(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        made = openapi.fill(self._new(call, ""), _document(request["body"]), self.house.ids.token)
        if not made.name:
            raise bad("Invalid OpenAPI input: the API has no title.")
        state.put(tx, made)
        return described(made)

    def put_rest_api(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        before = state.api(tx, call, request["restApiId"])
        made = openapi.fill(before, _document(request["body"]), self.house.ids.token)
        if request.get("mode", "merge") == "merge":
            made = _merged(before, made)
        state.put(tx, made)
        return described(made)

    def get_rest_api(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return described(state.api(tx, call, request["restApiId"]))

    def get_rest_apis(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        limit, after = request.get("limit", _PAGE), request.get("position", "")
        own = [a for a in state.APIS.all(tx) if (a.account, a.region) == (call.account, call.region) and a.id > after]
        return {
            "items": [described(one) for one in own[:limit]],
            **({"position": own[limit - 1].id} if len(own) > limit else {}),
        }

    def update_rest_api(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        api = state.api(tx, call, request["restApiId"])
        for patch in request.get("patchOperations", []):
            api = _patched(api, patch)
        state.put(tx, api)
        return described(api)

    def delete_rest_api(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        api = state.api(tx, call, request["restApiId"])
        state.STAGES.clear(tx, api.id)
        state.DEPLOYMENTS.clear(tx, api.id)
        state.APIS.delete(tx, api.id)
        tx.emit(state.CHANGED, (api.id,))

    # -- resources and methods --

    def get_resources(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        api = state.api(tx, call, request["restApiId"])
        embedded = "methods" in request.get("embed", ())
        rows = sorted(api.resources.values(), key=lambda one: one.path)
        return {"items": [_resource(one, methods=embedded) for one in rows]}

    def get_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        api = state.api(tx, call, request["restApiId"])
        return _resource(state.resource(api, request["resourceId"]), methods="methods" in request.get("embed", ()))

    def create_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        api = state.api(tx, call, request["restApiId"])
        parent, part = state.resource(api, request["parentId"]), request["pathPart"]
        path = f"{parent.path.rstrip('/')}/{part}"
        if any(one.path == path for one in api.resources.values()):
            raise bad(f"Another resource with the same parent already has this name: {part}")
        made = Resource(self.house.ids.token(6), parent.id, part, path)
        state.put(tx, replace(api, resources=api.resources | {made.id: made}))
        return _resource(made, methods=False)

    def delete_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        api = state.api(tx, call, request["restApiId"])
        gone = state.resource(api, request["resourceId"])
        if not gone.parent:
            raise bad("The root resource cannot be deleted.")
        below = {i for i, one in api.resources.items() if one.path == gone.path or one.path.startswith(gone.path + "/")}
        state.put(tx, replace(api, resources={i: one for i, one in api.resources.items() if i not in below}))

    def put_method(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        api = state.api(tx, call, request["restApiId"])
        kind = request["authorizationType"]
        if kind in ("CUSTOM", "COGNITO_USER_POOLS") and request.get("authorizerId") not in api.authorizers:
            raise bad("Invalid authorizer ID specified. Setting the authorization type to CUSTOM or COGNITO_USER_POOLS requires a valid authorizer.")  # fmt: skip  # noqa: E501
        if "requestValidatorId" in request:  # They come with an OpenAPI document only.
            raise bad("Invalid Request Validator identifier specified")
        known = ("authorizationType", "authorizerId", "requestParameters", "requestModels", "operationName",
                 "authorizationScopes", "requestValidatorId")  # fmt: skip
        made = {name: request[name] for name in known if name in request}
        made |= {"httpMethod": request["httpMethod"], "apiKeyRequired": request.get("apiKeyRequired", False)}
        self._put_method(tx, api, request, made)
        return made

    def get_method(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return state.method(state.api(tx, call, request["restApiId"]), request["resourceId"], request["httpMethod"])

    def delete_method(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        api = state.api(tx, call, request["restApiId"])
        state.method(api, request["resourceId"], request["httpMethod"])
        resource = state.resource(api, request["resourceId"])
        left = {name: one for name, one in resource.methods.items() if name != request["httpMethod"]}
        state.put(tx, replace(api, resources=api.resources | {resource.id: replace(resource, methods=left)}))

    def put_method_response(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        known = ["statusCode", "responseParameters", "responseModels"]
        made = {name: request[name] for name in known if name in request}
        self._put_response(tx, call, request, ("methodResponses",), made)
        return made

    def put_integration(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        api = state.api(tx, call, request["restApiId"])
        method = state.method(api, request["resourceId"], request["httpMethod"])
        known = ("type", "uri", "credentials", "requestParameters", "requestTemplates", "passthroughBehavior",
                 "timeoutInMillis", "contentHandling", "connectionType")  # fmt: skip
        made = {name: request[name] for name in known if name in request}
        made["httpMethod"] = request.get("integrationHttpMethod")
        made.setdefault("timeoutInMillis", 29_000)
        made.setdefault("passthroughBehavior", "WHEN_NO_MATCH")
        made["integrationResponses"] = method.get("methodIntegration", {}).get("integrationResponses", {})
        made = {name: value for name, value in made.items() if value is not None}
        integrations.check(made)
        self._put_method(tx, api, request, method | {"methodIntegration": made})
        return made

    def get_integration(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        method = state.method(state.api(tx, call, request["restApiId"]), request["resourceId"], request["httpMethod"])
        if "methodIntegration" not in method:
            raise state.missing("No integration defined for method")
        return dict(method["methodIntegration"])

    def delete_integration(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        api = state.api(tx, call, request["restApiId"])
        method = state.method(api, request["resourceId"], request["httpMethod"])
        self._put_method(tx, api, request, {k: v for k, v in method.items() if k != "methodIntegration"})

    def put_integration_response(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        known = ("statusCode", "selectionPattern", "responseParameters", "responseTemplates", "contentHandling")
        made = {name: request[name] for name in known if name in request}
        self._put_response(tx, call, request, ("methodIntegration", "integrationResponses"), made)
        return made

    def _put_response(
        self, tx: Tx, call: Call, request: dict[str, Any], where: tuple[str, ...], made: dict[str, Any]
    ) -> None:
        api = state.api(tx, call, request["restApiId"])
        method = dict(state.method(api, request["resourceId"], request["httpMethod"]))
        at = method
        for name in where:
            at[name] = dict(at.get(name, {}))
            at = at[name]
        at[request["statusCode"]] = made
        if "methodIntegration" in method and "type" in method["methodIntegration"]:
            integrations.check(method["methodIntegration"])
        self._put_method(tx, api, request, method)

    def _put_method(self, tx: Tx, api: Api, request: dict[str, Any], made: dict[str, Any]) -> None:
        resource = state.resource(api, request["resourceId"])
        changed = replace(resource, methods=resource.methods | {request["httpMethod"]: made})
        state.put(tx, replace(api, resources=api.resources | {resource.id: changed}))

    # -- gateway responses --

    def put_gateway_response(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        api = state.api(tx, call, request["restApiId"])
        known = ("statusCode", "responseParameters", "responseTemplates")
        made = {name: request[name] for name in known if name in request}
        state.put(tx, replace(api, gateway_responses=api.gateway_responses | {request["responseType"]: made}))
        return {"responseType": request["responseType"], "defaultResponse": False, **made}

    def get_gateway_response(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.api(tx, call, request["restApiId"]).gateway_responses.get(request["responseType"])
        return _gateway_response(request["responseType"], found)

    def get_gateway_responses(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        own = state.api(tx, call, request["restApiId"]).gateway_responses
        names = sorted({*gateway_responses.TYPES, *own})
        return {"items": [_gateway_response(name, own.get(name)) for name in names]}

    def delete_gateway_response(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        api = state.api(tx, call, request["restApiId"])
        left = {name: one for name, one in api.gateway_responses.items() if name != request["responseType"]}
        if left == api.gateway_responses:
            raise state.missing("Gateway response type not defined on api")
        state.put(tx, replace(api, gateway_responses=left))

    # -- authorizers --

    def create_authorizer(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        api = state.api(tx, call, request["restApiId"])
        facts = {name: value for name, value in request.items() if name != "restApiId"}
        if facts["type"] != "COGNITO_USER_POOLS":
            raise bad(f"Authorizers of type {facts['type']} are not served here; COGNITO_USER_POOLS are.")
        made = Authorizer(self.house.ids.token(6), facts)
        state.put(tx, replace(api, authorizers=api.authorizers | {made.id: made}))
        return {"id": made.id, **facts}

    def get_authorizer(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.api(tx, call, request["restApiId"]).authorizers.get(request["authorizerId"])
        if found is None:
            raise state.missing("Invalid Authorizer identifier specified")
        return {"id": found.id, **found.facts}

    def get_authorizers(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        every = state.api(tx, call, request["restApiId"]).authorizers.values()
        return {"items": [{"id": one.id, **one.facts} for one in every]}

    def delete_authorizer(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        api = state.api(tx, call, request["restApiId"])
        left = {i: one for i, one in api.authorizers.items() if i != request["authorizerId"]}
        state.put(tx, replace(api, authorizers=left))

    def _new(self, call: Call, name: str) -> Api:
        root = Resource(self.house.ids.token(10), "", "", "/")
        return Api(
            self.house.ids.token(10), call.account, call.region, name, call.now_ms, endpoint=_ENDPOINT,
            resources={root.id: root},
        )  # fmt: skip


def described(api: Api) -> dict[str, Any]:
    root = next(one.id for one in api.resources.values() if not one.parent)
    shown = {
        "id": api.id,
        "name": api.name,
        "createdDate": api.created_ms / 1000,
        "apiKeySource": "HEADER",
        "endpointConfiguration": api.endpoint,
        "disableExecuteApiEndpoint": False,
        "rootResourceId": root,
        "tags": api.tags,
    }
    optional = {"description": api.description, "version": api.version, "binaryMediaTypes": api.binary_types}
    return shown | api.settings | {name: value for name, value in optional.items() if value}


def _document(body: bytes) -> dict[str, Any]:
    try:
        return dict(orjson.loads(body))
    except (orjson.JSONDecodeError, ValueError):
        pass
    try:
        found = yaml.safe_load(bytes(body))
    except yaml.YAMLError as error:
        raise bad(f"Invalid OpenAPI input: {error}") from error
    if not isinstance(found, dict):
        raise bad("Invalid OpenAPI input: it is not an object.")
    return found


def _gateway_response(name: str, own: dict[str, Any] | None) -> dict[str, Any]:
    if own is not None:
        return {"responseType": name, "defaultResponse": False, **own}
    templates = {"application/json": '{"message":$context.error.messageString}'}
    return {"responseType": name, "defaultResponse": True, "responseParameters": {}, "responseTemplates": templates}


def _merged(before: Api, made: Api) -> Api:
    """Mode `merge`: what the document does not have stays."""
    by_path = {one.path: one for one in made.resources.values()}
    kept = {i: one for i, one in before.resources.items() if one.path not in by_path}
    return replace(
        made, resources=kept | made.resources, authorizers=before.authorizers | made.authorizers,
        binary_types=list(dict.fromkeys([*before.binary_types, *made.binary_types])),
        gateway_responses=before.gateway_responses | made.gateway_responses,
    )  # fmt: skip


def _patched(api: Api, patch: dict[str, Any]) -> Api:
    path, value = patch["path"], patch.get("value", "")
    if path in ("/name", "/description", "/version") and patch["op"] == "replace":
        return replace(api, **{path[1:]: value})
    if path.startswith("/binaryMediaTypes/"):
        kind = path.removeprefix("/binaryMediaTypes/").replace("~1", "/")
        left = [one for one in api.binary_types if one != kind]
        return replace(api, binary_types=left if patch["op"] == "remove" else [*left, kind])
    if path in _SETTINGS and patch["op"] == "replace":
        name, typed = _SETTINGS[path]
        return replace(api, settings=api.settings | {name: typed(value)})
    raise bad(f"Invalid patch path {path}")


_SETTINGS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "/apiKeySource": ("apiKeySource", str),
    "/policy": ("policy", str),
    "/minimumCompressionSize": ("minimumCompressionSize", int),
    "/disableExecuteApiEndpoint": ("disableExecuteApiEndpoint", lambda value: value == "true"),
}


def _resource(resource: Resource, *, methods: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": resource.id, "path": resource.path}
    if resource.parent:
        shown |= {"parentId": resource.parent, "pathPart": resource.part}
    if resource.methods:
        shown["resourceMethods"] = resource.methods if methods else {name: {} for name in resource.methods}
    return shown
