"""Where an API answers: a request finds its stage, its method, passes its authorizer, and meets its integration.

The way of every request to an app, so a deployed stage is compiled once and kept until it changes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson

from fogbank.aws.service import ServiceError
from fogbank.aws.services.apigateway import integrations, proxy, state
from fogbank.kernel.gateway.messages import Request, Response, Route

if TYPE_CHECKING:
    from fogbank.aws.service import House
    from fogbank.aws.services.apigateway.state import Api, Stage
    from fogbank.kernel.store import Tx

_HOST = re.compile(r"(?P<api>[a-z0-9]+)\.execute-api\.(?:[a-z0-9-]+\.amazonaws\.com|(?:[a-z0-9-]+\.)?localhost)")
_PATH = re.compile(r"/restapis/(?P<api>[a-z0-9]+)/(?P<stage>[^/]+)/_user_request_(?=/|$)")
_BODY_BYTES_MAX = 10 * 1024 * 1024  # API Gateway quotas: "Payload size".
_KEPT_MAX = 256


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of a deployed stage, ready to be called."""

    path: str  # "/items/{id}"
    resource_id: str
    method: dict[str, Any]
    function_arn: str  # Of an AWS_PROXY integration.
    pools: tuple[str, ...]  # ARNs of the user pools whose tokens let a caller in.
    header: str  # Where the token is, in lower case.
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Live:
    """A deployed stage, compiled."""

    api: Api
    stage: Stage
    tree: Node


class Node:
    """A step of the paths: what is said word for word comes before {one}, and that before {all+}."""

    __slots__ = ("all", "literal", "methods", "one")

    def __init__(self) -> None:
        self.literal: dict[str, Node] = {}
        self.one: tuple[str, Node] | None = None
        self.all: tuple[str, Node] | None = None
        self.methods: dict[str, Endpoint] = {}

    def find(self, parts: list[str], at: int = 0) -> tuple[Node, dict[str, str]] | None:
        if at == len(parts):
            return (self, {}) if self.methods else None
        below = self.literal.get(parts[at])
        found = below.find(parts, at + 1) if below else None
        if found is None and self.one:
            found = self.one[1].find(parts, at + 1)
            if found is not None:
                found[1][self.one[0]] = unquote(parts[at])
        if found is None and self.all:
            return self.all[1], {self.all[0]: unquote("/".join(parts[at:]))}
        return found


class Execute:
    """One for each server: it holds the compiled stages."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._live: dict[tuple[str, str], tuple[tuple[str, int], Live]] = {}

    def routes(self) -> list[Route]:
        return [Route(self._by_host, host=_HOST), Route(self._by_path, path=_PATH)]

    async def _by_host(self, request: Request) -> Response:
        found = _HOST.fullmatch(request.host)
        assert found is not None
        stage, _, path = request.path[1:].partition("/")
        return await self.answer(request, found["api"], unquote(stage), f"/{path}")

    async def _by_path(self, request: Request) -> Response:
        found = _PATH.match(request.path)
        assert found is not None
        rest = request.path[found.end() :] or "/"
        return await self.answer(request, found["api"], unquote(found["stage"]), rest)

    async def answer(self, request: Request, api_id: str, stage_name: str, path: str) -> Response:
        live = await self._house.store.transact(self._find, api_id, stage_name)
        request_id = self._house.ids.new()
        if live is None:
            return proxy.refusal(403, "Forbidden", "ForbiddenException", request_id)
        parts = [part for part in path.split("/") if part]
        found = live.tree.find(parts)
        endpoint = None
        if found is not None:
            endpoint = found[0].methods.get(request.method) or found[0].methods.get("ANY")
        if endpoint is None or found is None:
            return proxy.gateway_response(live.api, "MISSING_AUTHENTICATION_TOKEN", request_id)
        if len(request.body) > _BODY_BYTES_MAX:
            return proxy.gateway_response(live.api, "REQUEST_TOO_LARGE", request_id)
        claims: dict[str, Any] | None = None
        if endpoint.pools:
            claims, refused = await self._authorize(request, live, endpoint, request_id)
            if refused is not None:
                return refused
        elif endpoint.method["authorizationType"] != "NONE":
            return proxy.gateway_response(live.api, "MISSING_AUTHENTICATION_TOKEN", request_id)
        if not endpoint.function_arn:
            status, headers, body = integrations.mock(endpoint.method["methodIntegration"])
            return Response(status, [*proxy.id_headers(request_id), *headers], body.encode())
        return await self._call(request, live, endpoint, path, found[1], claims, request_id)

    async def _authorize(
        self, request: Request, live: Live, endpoint: Endpoint, request_id: str
    ) -> tuple[dict[str, Any] | None, Response | None]:
        token = request.headers.get(endpoint.header, "").removeprefix("Bearer ").strip()
        link = self._house.links["aws.apigateway_to_cognito"]
        scopes = endpoint.method.get("authorizationScopes", [])
        try:
            claims = await link.claims(self._house, endpoint.pools, token, scopes)
        except link.Refused as refused:
            kind = "EXPIRED_TOKEN" if refused.expired else "UNAUTHORIZED"
            return None, proxy.gateway_response(live.api, kind, request_id)
        return claims, None

    async def _call(
        self, request: Request, live: Live, endpoint: Endpoint, path: str, labels: dict[str, str],
        claims: dict[str, Any] | None, request_id: str,
    ) -> Response:  # fmt: skip
        now_ms = self._house.clock.now_ms()
        event = proxy.event(request, live, endpoint, path, labels, claims, request_id, now_ms)
        source = f"{live.api.id}/{live.stage.name}/{request.method}{endpoint.path}"
        source_arn = f"arn:aws:execute-api:{live.api.region}:{live.api.account}:{source}"
        link = self._house.links["aws.apigateway_to_lambda"]
        try:
            outcome = await link.call(
                self._house, endpoint.function_arn, orjson.dumps(event), request_id, source_arn, endpoint.timeout_s,
                event["headers"]["X-Amzn-Trace-Id"],
            )  # fmt: skip
        except TimeoutError:
            return proxy.gateway_response(live.api, "INTEGRATION_TIMEOUT", request_id)
        except ServiceError as error:
            self._house.telemetry.error("integration failed", api=live.api.id, path=path, error=error.message)
            kind = "THROTTLED" if error.code == "TooManyRequestsException" else "API_CONFIGURATION_ERROR"
            return proxy.gateway_response(live.api, kind, request_id)
        if outcome.error:
            return proxy.gateway_response(live.api, "INTEGRATION_FAILURE", request_id)
        return proxy.response(outcome.payload, live.api, request_id, event["headers"]["X-Amzn-Trace-Id"])

    # -- compiling --

    def _find(self, tx: Tx, api_id: str, stage_name: str) -> Live | None:
        """The compiled stage, made again when its row says that it has changed."""
        stage = state.STAGES.get(tx, api_id, stage_name)
        if stage is None:
            return None
        version = (stage.deployment, stage.modified_ms)
        kept = self._live.get((api_id, stage_name))
        if kept is not None and kept[0] == version and kept[1].stage == stage:
            return kept[1]
        deployment = state.DEPLOYMENTS.get(tx, api_id, stage.deployment)
        if deployment is None:
            return None
        live = Live(deployment.api, stage, _tree(deployment.api, stage))
        if len(self._live) > _KEPT_MAX:
            self._live.clear()
        self._live[(api_id, stage_name)] = (version, live)
        return live


def _tree(api: Api, stage: Stage) -> Node:
    root = Node()
    for resource in api.resources.values():
        node = root
        for part in [part for part in resource.path.split("/") if part]:
            node = _below(node, part)
        node.methods = {
            name: _endpoint(api, stage, resource.path, resource.id, method) for name, method in resource.methods.items()
        }
    return root


def _below(node: Node, part: str) -> Node:
    if part.startswith("{") and part.endswith("+}"):
        node.all = node.all or (part[1:-2], Node())
        return node.all[1]
    if part.startswith("{") and part.endswith("}"):
        node.one = node.one or (part[1:-1], Node())
        return node.one[1]
    return node.literal.setdefault(part, Node())


def _endpoint(api: Api, stage: Stage, path: str, resource_id: str, method: dict[str, Any]) -> Endpoint:
    integration = method["methodIntegration"]
    proxied = integration["type"] == "AWS_PROXY"
    authorizer = api.authorizers.get(method.get("authorizerId", ""))
    facts = authorizer.facts if authorizer else {}
    source = facts.get("identitySource", "method.request.header.Authorization")
    return Endpoint(
        path, resource_id, method,
        integrations.function_arn(integration, stage.variables) if proxied else "",
        tuple(facts.get("providerARNs", ())) if method["authorizationType"] == "COGNITO_USER_POOLS" else (),
        source.rpartition(".")[2].lower(), integration.get("timeoutInMillis", 29_000) / 1000,
    )  # fmt: skip
