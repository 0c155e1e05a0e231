"""Deployments and stages: an API as it was at a moment, and the name under which that answers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.apigateway import state
from fogbank.aws.services.apigateway.execute import Execute
from fogbank.aws.services.apigateway.state import Api, Deployment, Stage, bad

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.kernel.gateway.messages import Route
    from fogbank.kernel.store import Tx

_TAGGED = re.compile(r"arn:aws:apigateway:[a-z0-9-]+::/restapis/(?P<api>[^/]+)(?:/stages/(?P<stage>[^/]+))?")
_SETTINGS = ("cacheClusterEnabled", "cacheClusterSize", "tracingEnabled", "documentationVersion", "canarySettings")


class Stages(Operations):
    service: ClassVar = "apigateway"

    def routes(self) -> list[Route]:
        return self.house.share(Execute).routes()

    def create_deployment(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        api = state.api(tx, call, request["restApiId"])
        methods = [method for one in api.resources.values() for method in one.methods.values()]
        if not methods:
            raise bad("The REST API doesn't contain any methods")
        if any("methodIntegration" not in method for method in methods):
            raise bad("No integration defined for method")
        made = Deployment(self.house.ids.token(6), call.now_ms, request.get("description", ""), api)
        state.DEPLOYMENTS.put(tx, api.id, made.id, row=made)
        name = request.get("stageName")
        if name:
            before = state.STAGES.get(tx, api.id, name)
            fresh = Stage(name, made.id, call.now_ms, call.now_ms, variables=request.get("variables", {}))
            kept = replace(before, deployment=made.id, modified_ms=call.now_ms) if before else fresh
            state.put_stage(tx, api.id, kept)
        return _deployment(made)

    def get_deployment(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return _deployment(self._find(tx, call, request))

    def get_deployments(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        api = state.api(tx, call, request["restApiId"])
        return {"items": [_deployment(one) for one in state.DEPLOYMENTS.all(tx, api.id)]}

    def delete_deployment(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        found = self._find(tx, call, request)
        if any(stage.deployment == found.id for stage in state.STAGES.all(tx, request["restApiId"])):
            raise bad("Active stages pointing to this deployment must be moved or deleted")
        state.DEPLOYMENTS.delete(tx, request["restApiId"], found.id)

    def create_stage(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        self._find(tx, call, request)
        api_id, name = request["restApiId"], request["stageName"]
        if state.STAGES.get(tx, api_id, name) is not None:
            raise ServiceError("ConflictException", "Stage already exists", status=409)
        made = Stage(
            name, request["deploymentId"], call.now_ms, call.now_ms, request.get("description", ""),
            request.get("variables", {}), {k: request[k] for k in _SETTINGS if k in request}, request.get("tags", {}),
        )  # fmt: skip
        state.put_stage(tx, api_id, made)
        return _stage(made)

    def get_stage(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        state.api(tx, call, request["restApiId"])
        return _stage(state.stage(tx, request["restApiId"], request["stageName"]))

    def get_stages(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        api = state.api(tx, call, request["restApiId"])
        wanted = request.get("deploymentId")
        return {"item": [_stage(one) for one in state.STAGES.all(tx, api.id) if wanted in (None, one.deployment)]}

    def update_stage(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        api = state.api(tx, call, request["restApiId"])
        stage = state.stage(tx, api.id, request["stageName"])
        for patch in request.get("patchOperations", []):
            stage = _patched(stage, patch)
        if state.DEPLOYMENTS.get(tx, api.id, stage.deployment) is None:
            raise bad("Invalid Deployment identifier specified")
        state.put_stage(tx, api.id, replace(stage, modified_ms=call.now_ms))
        return _stage(stage)

    def delete_stage(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        api = state.api(tx, call, request["restApiId"])
        state.stage(tx, api.id, request["stageName"])
        state.STAGES.delete(tx, api.id, request["stageName"])
        tx.emit(state.CHANGED, (api.id,))

    # -- tags, of APIs and of stages --

    def get_tags(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        api, stage = self._tagged(tx, call, request)
        return {"tags": stage.tags if stage else api.tags}

    def tag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        self._retag(tx, call, request, lambda tags: tags | request["tags"])

    def untag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        gone = set(request["tagKeys"])
        self._retag(tx, call, request, lambda tags: {name: value for name, value in tags.items() if name not in gone})

    def _retag(
        self, tx: Tx, call: Call, request: dict[str, Any], change: Callable[[dict[str, str]], dict[str, str]]
    ) -> None:
        api, stage = self._tagged(tx, call, request)
        if stage is None:
            state.put(tx, replace(api, tags=change(api.tags)))
        else:
            state.put_stage(tx, api.id, replace(stage, tags=change(stage.tags)))

    def _tagged(self, tx: Tx, call: Call, request: dict[str, Any]) -> tuple[Api, Stage | None]:
        found = _TAGGED.fullmatch(request["resourceArn"])
        if found is None:
            raise bad("Invalid resource ARN")
        api = state.api(tx, call, found["api"])
        return api, state.stage(tx, api.id, found["stage"]) if found["stage"] else None

    def _find(self, tx: Tx, call: Call, request: dict[str, Any]) -> Deployment:
        api = state.api(tx, call, request["restApiId"])
        found = state.DEPLOYMENTS.get(tx, api.id, request["deploymentId"])
        if found is None:
            raise state.missing("Invalid Deployment identifier specified")
        return found


def _patched(stage: Stage, patch: dict[str, Any]) -> Stage:
    path, value = patch["path"], patch.get("value", "")
    if path == "/deploymentId":
        return replace(stage, deployment=value)
    if path == "/description":
        return replace(stage, description=value)
    if path.startswith("/variables/"):
        name = path.removeprefix("/variables/")
        left = {k: v for k, v in stage.variables.items() if k != name}
        return replace(stage, variables=left if patch["op"] == "remove" else left | {name: value})
    known = path[1:]
    if known in ("cacheClusterEnabled", "tracingEnabled"):
        return replace(stage, settings=stage.settings | {known: value == "true"})
    if known in _SETTINGS:
        return replace(stage, settings=stage.settings | {known: value})
    raise bad(f"Invalid patch path {path}")


def _deployment(made: Deployment) -> dict[str, Any]:
    shown = {"id": made.id, "createdDate": made.created_ms / 1000}
    return shown | ({"description": made.description} if made.description else {})


def _stage(stage: Stage) -> dict[str, Any]:
    shown = {
        "deploymentId": stage.deployment,
        "stageName": stage.name,
        "cacheClusterEnabled": False,
        "cacheClusterStatus": "NOT_AVAILABLE",
        "methodSettings": {},
        "tracingEnabled": False,
        "createdDate": stage.created_ms / 1000,
        "lastUpdatedDate": stage.modified_ms / 1000,
        **stage.settings,
    }
    optional = {"description": stage.description, "variables": stage.variables, "tags": stage.tags}
    return shown | {name: value for name, value in optional.items() if value}
