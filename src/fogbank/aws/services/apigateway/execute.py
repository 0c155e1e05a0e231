"""Where an API answers: a request finds its stage, its method, passes its authorizer, and meets its integration.

The way of every request to an app, so a deployed stage is compiled once and kept until it changes.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

from fogbank.aws.protocol import edge
from fogbank.aws.service import ServiceError
from fogbank.aws.services.apigateway import events, gateway_responses, integrations, replies, state
from fogbank.aws.services.apigateway.compiled import Endpoint, Live, compile_stage
from fogbank.kernel.gateway.messages import Pending, Request, Response, Route

if TYPE_CHECKING:
    from fogbank.aws.service import House, KnownKey
    from fogbank.functions.model import Outcome
    from fogbank.kernel.gateway.messages import Answer
    from fogbank.kernel.store import Recaller, Tx

_HOST = re.compile(r"(?P<api>[a-z0-9]+)\.execute-api\.(?:[a-z0-9-]+\.amazonaws\.com|(?:[a-z0-9-]+\.)?localhost)")
_PATH = re.compile(r"/restapis/(?P<api>[a-z0-9]+)/(?P<stage>[^/]+)/_user_request_(?=/|$)")
_BODY_BYTES_MAX = 10 * 1024 * 1024  # API Gateway quotas: "Payload size".
_KEPT_MAX = 256
_PLACES_MAX, _PATH_CHARACTERS_MAX = 1024, 512  # Paths are the callers' to make up.


class _Way(msgspec.Struct):
    """Where a request leads."""

    live: Live
    endpoint: Endpoint | None = None
    labels: dict[str, str] = {}
    target: Any = None  # The link's own: what it calls.
    problem: ServiceError | None = None


class Execute:
    """One for each server: it holds the compiled stages."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._live: dict[tuple[str, str], Live] = {}
        self._plain: set[tuple[str, str, str, str]] = set()  # What leads to a function by a path without variables.
        self._places: dict[str, tuple[str, str, str]] = {}  # By whole path: the API, the stage, the path within.

    def routes(self) -> list[Route]:
        return [Route(self._by_host, host=_HOST), Route(self._by_path, path=_PATH)]

    def _by_host(self, request: Request) -> Answer:
        found = _HOST.fullmatch(request.host)
        assert found is not None
        stage, _, path = request.path[1:].partition("/")
        return self.answer(request, found["api"], unquote(stage), f"/{path}")

    def _by_path(self, request: Request) -> Answer:
        place = self._places.get(request.path) or self._place(request.path)
        return self.answer(request, *place)

    def _place(self, whole: str) -> tuple[str, str, str]:
        found = _PATH.match(whole)
        assert found is not None
        place = found["api"], unquote(found["stage"]), whole[found.end() :] or "/"
        if len(whole) <= _PATH_CHARACTERS_MAX:
            if len(self._places) >= _PLACES_MAX:
                self._places.clear()
            self._places[whole] = place
        return place

    def answer(self, request: Request, api_id: str, stage_name: str, path: str) -> Answer:
        store = self._house.store.immediate
        if store is None:
            return self._find_and_answer(request, api_id, stage_name, path)
        way = self._way(store, api_id, stage_name, request.method, path)
        return self._begin(request, way, path) or self._answer(request, way, path)

    async def _find_and_answer(self, request: Request, api_id: str, stage_name: str, path: str) -> Response:
        way = await self._house.store.transact(self._way, api_id, stage_name, request.method, path)
        return await self._answer(request, way, path)

    def _begin(self, request: Request, way: _Way | None, path: str) -> Pending | None:
        """The way of nearly every request: nothing stands before the function, and an instance of it is idle."""
        if way is None or way.target is None or len(request.body) > _BODY_BYTES_MAX:
            return None
        live, endpoint, target = way.live, way.endpoint, way.target
        if endpoint is None or not endpoint.is_open:
            return None
        trace, answer = edge.trace_header(request), Pending()
        event = events.event(request, live, endpoint, path, way.labels, trace, self._house.clock.now_ms())
        link = self._house.links["aws.apigateway_to_lambda"]
        done = partial(self._tell, answer, request, live, trace)
        if link.ends_in_time(self._house, target, endpoint.timeout_s):
            return answer if link.begin(self._house, target, event, request.id, trace, done) else None
        # The API gives up before the function does.
        late = partial(gateway_responses.customised, live.api, "INTEGRATION_TIMEOUT", request)
        limit = asyncio.get_running_loop().call_later(endpoint.timeout_s, answer.tell, late)

        def in_time(outcome: Outcome) -> None:
            limit.cancel()
            done(outcome)

        if link.begin(self._house, target, event, request.id, trace, in_time):
            return answer
        limit.cancel()
        return None

    def _tell(self, answer: Pending, request: Request, live: Live, trace: str, outcome: Outcome) -> None:
        answer.tell(partial(self._answer_of, outcome, request, live, trace))

    async def _answer(self, request: Request, way: _Way | None, path: str) -> Response:
        if way is None:
            return gateway_responses.refusal(403, "Forbidden", "ForbiddenException", request.id)
        live, endpoint = way.live, way.endpoint
        if endpoint is None:
            return gateway_responses.customised(live.api, "MISSING_AUTHENTICATION_TOKEN", request)
        if len(request.body) > _BODY_BYTES_MAX:
            return gateway_responses.customised(live.api, "REQUEST_TOO_LARGE", request)
        claims: dict[str, Any] | None = None
        who: KnownKey | None = None
        if endpoint.pools:
            claims, refused = await self._authorize(request, live, endpoint)
            if refused is not None:
                return refused
        elif endpoint.method["authorizationType"] != "NONE":
            try:
                who = await self._house.signer(request)
            except ServiceError:
                return gateway_responses.customised(live.api, "INVALID_SIGNATURE", request)
            if who is None:
                return gateway_responses.customised(live.api, "MISSING_AUTHENTICATION_TOKEN", request)
        if endpoint.method["apiKeyRequired"] or "validator" in endpoint.method:
            refusal = self._held_against(request, way, endpoint)
            if refusal is not None:
                return refusal
        if not endpoint.function_arn:
            status, headers, body = integrations.mock(endpoint.method["methodIntegration"])
            return Response(status, [*gateway_responses.id_headers(request.id), *headers], body.encode())
        return await self._call(request, way, endpoint, path, claims, who)

    def _held_against(self, request: Request, way: _Way, endpoint: Endpoint) -> Response | None:
        """What else the method asks for: an API key, a request that its validator lets through."""
        if endpoint.method["apiKeyRequired"]:  # API keys are not served: nobody has one.
            return gateway_responses.customised(way.live.api, "INVALID_API_KEY", request)
        validators = importlib.import_module("fogbank.aws.services.apigateway.validators")
        problem = validators.problem(way.live.api, endpoint.method, request, way.labels)
        return gateway_responses.customised(way.live.api, problem[0], request, problem[1]) if problem else None

    async def _authorize(
        self, request: Request, live: Live, endpoint: Endpoint
    ) -> tuple[dict[str, Any] | None, Response | None]:
        token = request.headers.get(endpoint.header, "").removeprefix("Bearer ").strip()
        link = self._house.links["aws.apigateway_to_cognito"]
        scopes = endpoint.method.get("authorizationScopes", [])
        try:
            claims = await link.claims(self._house, endpoint.pools, token, scopes)
        except link.Refused as refused:
            kind = "EXPIRED_TOKEN" if refused.expired else "UNAUTHORIZED"
            return None, gateway_responses.customised(live.api, kind, request)
        return claims, None

    async def _call(
        self, request: Request, way: _Way, endpoint: Endpoint, path: str, claims: dict[str, Any] | None,
        who: KnownKey | None,
    ) -> Response:  # fmt: skip
        live, trace = way.live, edge.trace_header(request)
        now_ms = self._house.clock.now_ms()
        event = events.event(request, live, endpoint, path, way.labels, trace, now_ms, claims=claims, who=who)
        link = self._house.links["aws.apigateway_to_lambda"]
        try:
            if way.problem is not None:
                raise way.problem
            outcome = await link.call(self._house, way.target, event, request.id, endpoint.timeout_s, trace)
        except TimeoutError:
            return gateway_responses.customised(live.api, "INTEGRATION_TIMEOUT", request)
        except ServiceError as error:
            self._house.telemetry.error("integration failed", api=live.api.id, path=path, error=error.message)
            kind = "THROTTLED" if error.code == "TooManyRequestsException" else "API_CONFIGURATION_ERROR"
            return gateway_responses.customised(live.api, kind, request)
        return self._answer_of(outcome, request, live, trace)

    def _answer_of(self, outcome: Outcome, request: Request, live: Live, trace: str) -> Response:
        if outcome.error:
            return gateway_responses.customised(live.api, "INTEGRATION_FAILURE", request)
        return replies.response_of(outcome.payload, live.api, request, trace)

    # -- finding --

    def _way(self, tx: Recaller, api_id: str, stage_name: str, method: str, path: str) -> _Way | None:
        """All that a request needs to know of what is stored, in one transaction."""
        asked = api_id, stage_name, method, path
        if asked in self._plain:
            way = tx.recall(self._plain_way, *asked)
            if way is not None:
                return way
            self._plain.discard(asked)
        way = self._any_way(tx, *asked)
        if way is not None and not way.labels and way.target is not None and way.target.is_only:
            if len(self._plain) >= _KEPT_MAX:
                self._plain.clear()
            self._plain.add(asked)
        return way

    def _plain_way(self, tx: Tx, api_id: str, stage_name: str, method: str, path: str) -> _Way | None:
        """One that follows from what is stored alone: chance does not choose between two versions of its function."""
        way = self._any_way(tx, api_id, stage_name, method, path)
        return way if way is not None and way.target is not None and way.target.is_only else None

    def _any_way(self, tx: Recaller, api_id: str, stage_name: str, method: str, path: str) -> _Way | None:
        live = tx.recall(self._find, api_id, stage_name)
        if live is None:
            return None
        endpoint, labels, source = live.find(method, path)
        if endpoint is None or not endpoint.function_arn:
            return _Way(live, endpoint, labels)
        if endpoint.method["methodIntegration"].get("httpMethod") != "POST":
            told = "functions are invoked with POST: the integration's httpMethod must be that"
            return _Way(live, endpoint, labels, problem=ServiceError("BadRequestException", told))
        link = self._house.links["aws.apigateway_to_lambda"]
        try:
            return _Way(live, endpoint, labels, link.target(self._house, tx, endpoint.function_arn, source))
        except ServiceError as error:  # The caller has to pass the authorizer before that matters.
            return _Way(live, endpoint, labels, problem=error)

    def _find(self, tx: Tx, api_id: str, stage_name: str) -> Live | None:
        """The compiled stage."""
        stage = state.STAGES.get_shared(tx, api_id, stage_name)
        if stage is None:
            return None
        kept = self._live.get((api_id, stage_name))  # A store that recalls nothing comes here each time.
        if kept is not None and kept.stage == stage:
            return kept
        deployment = state.DEPLOYMENTS.get(tx, api_id, stage.deployment)
        if deployment is None:
            return None
        live = compile_stage(deployment.api, stage)
        if len(self._live) > _KEPT_MAX:
            self._live.clear()
        self._live[(api_id, stage_name)] = live
        return live
