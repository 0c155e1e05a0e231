"""Functions: created, changed, read, listed, deleted."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Background, Call, Operations, ServiceError
from fogbank.aws.services.lambda_ import (
    bundles,
    destinations,
    events,
    layers,
    mappings,
    provisioned,
    settings,
    snapshots,
    state,
    unserved,
)
from fogbank.aws.services.lambda_.calling import Caller
from fogbank.aws.services.lambda_.operations.concurrency import release
from fogbank.aws.services.lambda_.retirement import Retirement, retire
from fogbank.kernel.gateway.messages import Request, Response, Route

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_PAGE_MAX = 50  # ListFunctions: "Lambda returns up to 50 functions in a single response".
_NAME_MAX = 64
_TAGS_MAX = 50
_DOWNLOAD = re.compile(r"/_fogbank-lambda-code/([0-9a-f]{64})\.zip")


class Functions(Operations):
    service: ClassVar = "lambda"
    refused: ClassVar = unserved.REFUSED

    def routes(self) -> list[Route]:
        return [Route(self._download, path=_DOWNLOAD)]

    def backgrounds(self) -> list[Background]:
        return [
            Background("lambda: retire instances", Retirement(self.house).run),
            Background("lambda: take snapshots", self.house.share(snapshots.Snapshots).run),
        ]

    async def create_function(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        who = state.named(call, request["FunctionName"])
        _check_name(who.name)
        if request.get("PackageType") == "Image" or "ImageUri" in request["Code"]:
            raise ServiceError(
                "InvalidParameterValueException",
                "Container images are not served by fogbank, which has no container engine; use a .zip package.",
            )
        if not request.get("Handler"):
            raise ServiceError(
                "InvalidParameterValueException",
                "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
            )
        chosen = self._chosen(request)
        kept = await bundles.keep(self.house, call, request["Code"])
        return await self.house.store.transact(self._create, call, who, request, chosen, kept)

    def _create(
        self, tx: Tx, call: Call, who: state.Named, request: dict[str, Any], chosen: dict[str, Any], kept: state.Code
    ) -> dict[str, Any]:
        if state.FUNCTIONS.get(tx, who.account, who.region, who.name) is not None:
            raise ServiceError(
                "ResourceConflictException", f"Function already exist: {who.name}", status=409, fields={"Type": "User"}
            )
        chosen = chosen | {settings.LAYER_SIZES: layers.check(tx, chosen.get("Layers", []))}
        latest = state.Published(
            state.LATEST, chosen, kept, call.new_id(), call.now_ms, description=request.get("Description", "")
        )
        function = state.Function(
            call.new_id(), who.account, who.region, who.name, latest, tags=_checked_tags(request.get("Tags", {}))
        )
        self.house.share(Caller).version(tx, function, latest)
        one = latest
        if request.get("Publish"):
            function, one = publish(tx, call, function, latest.description)
        state.put(tx, function)
        mappings.switch(tx, function, there=True)
        return settings.configuration(function, one, qualified=one is not latest)

    async def update_function_code(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        who = state.named(call, request["FunctionName"])
        if "ImageUri" in request:
            raise ServiceError("InvalidParameterValueException", "Please do not provide ImageUri when updating a function with packageType Zip.")  # fmt: skip  # noqa: E501
        function = await self.house.store.transact(state.find, who)
        kept = await bundles.keep(self.house, call, request, function.latest.code)
        return await self.house.store.transact(self._update_code, call, who, request, kept)

    def _update_code(
        self, tx: Tx, call: Call, who: state.Named, request: dict[str, Any], kept: state.Code
    ) -> dict[str, Any]:
        function = state.find(tx, who)
        state.check_revision(request.get("RevisionId"), function.latest.revision)
        latest = replace(function.latest, code=kept, revision=call.new_id(), modified_ms=call.now_ms)
        if "Architectures" in request:
            latest = replace(latest, settings=latest.settings | {"Architectures": request["Architectures"]})
        if request.get("DryRun"):
            return settings.configuration(replace(function, latest=latest), latest, qualified=False)
        return self._change(tx, call, function, latest, publish_too=bool(request.get("Publish")))

    def update_function_configuration(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        function = state.find(tx, state.named(call, request["FunctionName"]))
        state.check_revision(request.get("RevisionId"), function.latest.revision)
        latest = replace(
            function.latest,
            settings=self._chosen(request, function.latest.settings),
            description=request.get("Description", function.latest.description),
            revision=call.new_id(),
            modified_ms=call.now_ms,
        )
        return self._change(tx, call, function, latest, publish_too=False)

    def _change(
        self, tx: Tx, call: Call, function: state.Function, latest: state.Published, *, publish_too: bool
    ) -> dict[str, Any]:
        """Put a new $LATEST; instances of the old one end when they are idle."""
        if latest.settings.get("Layers") != function.latest.settings.get("Layers"):
            kept = set(function.latest.settings.get("Layers", ()))
            sizes = layers.check(tx, latest.settings.get("Layers", []), known=kept)
            latest = replace(latest, settings=latest.settings | {settings.LAYER_SIZES: sizes})
        old, function = state.version_id(function, function.latest), replace(function, latest=latest)
        self.house.share(Caller).version(tx, function, latest)
        one = latest
        if publish_too:
            function, one = publish(tx, call, function, latest.description)
        state.put(tx, function)
        retire(tx, [old], call.now_ms)
        return settings.configuration(function, one, qualified=one is not latest)

    def get_function(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        who = state.named(call, request["FunctionName"], request.get("Qualifier"))
        function = state.find(tx, who)
        one = state.published(tx, function, who)
        host = call.host or f"{self.house.config.host}:{self.house.config.port}"
        answer: dict[str, Any] = {
            "Configuration": _configuration(function, one, who),
            "Code": {"RepositoryType": "S3", "Location": f"http://{host}/_fogbank-lambda-code/{one.code.digest}.zip"},
        }
        if function.tags:
            answer["Tags"] = function.tags
        if function.reserved is not None:
            answer["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved}
        return answer

    def get_function_configuration(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        who = state.named(call, request["FunctionName"], request.get("Qualifier"))
        function = state.find(tx, who)
        return _configuration(function, state.published(tx, function, who), who)

    def list_functions(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        limit = min(request.get("MaxItems", _PAGE_MAX), _PAGE_MAX)
        after, last = request.get("Marker", ""), ""
        rows: list[dict[str, Any]] = []
        for function in state.FUNCTIONS.all(tx, call.account, call.region):
            if function.name <= after:
                continue
            if len(rows) >= limit:
                return {"Functions": rows, "NextMarker": last}
            every_version = request.get("FunctionVersion") == "ALL"
            rows.append(settings.configuration(function, function.latest, qualified=every_version))
            if every_version:
                rows += [settings.configuration(function, one) for one in state.VERSIONS.all(tx, function.id)]
            last = function.name
        return {"Functions": rows}

    def delete_function(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        who = state.named(call, request["FunctionName"], request.get("Qualifier"))
        function = state.find(tx, who)
        if not who.qualifier:
            release(tx, function)
            events.forget(tx, function.id)
            retire(tx, state.forget(tx, function), call.now_ms)
            mappings.switch(tx, function, there=False)
            return
        if not who.qualifier.isdigit():
            raise ServiceError(
                "InvalidParameterValueException", "$LATEST version cannot be deleted without deleting the function."
            )
        one = state.published(tx, function, who)
        using = [alias.name for alias in state.ALIASES.all(tx, function.id) if alias.version == one.version]
        if using:
            raise ServiceError(
                "ResourceConflictException",
                "Version deletion failed because the version is referenced by the following aliases: "
                f"[{', '.join(using)}].",
                status=409,
            )
        state.VERSIONS.delete(tx, function.id, int(one.version))
        provisioned.delete(tx, function.id, one.version)
        retire(tx, [state.version_id(function, one)], call.now_ms)

    def list_tags(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        mapping = mappings.by_arn(tx, request["Resource"])
        return {"Tags": mapping.tags if mapping else state.find(tx, state.named(call, request["Resource"])).tags}

    def tag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        mapping = mappings.by_arn(tx, request["Resource"])
        if mapping is not None:
            mappings.put(tx, replace(mapping, tags=_checked_tags(mapping.tags | request["Tags"])))
            return
        function = state.find(tx, state.named(call, request["Resource"]))
        state.put(tx, replace(function, tags=_checked_tags(function.tags | request["Tags"])))

    def untag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        gone = set(request["TagKeys"])
        mapping = mappings.by_arn(tx, request["Resource"])
        if mapping is not None:
            mappings.put(tx, replace(mapping, tags={k: v for k, v in mapping.tags.items() if k not in gone}))
            return
        function = state.find(tx, state.named(call, request["Resource"]))
        state.put(tx, replace(function, tags={k: v for k, v in function.tags.items() if k not in gone}))

    def _chosen(self, request: dict[str, Any], before: dict[str, Any] | None = None) -> dict[str, Any]:
        target = request.get("DeadLetterConfig", {}).get("TargetArn")
        if target:
            destinations.check(self.house, target, destinations.DEAD_LETTERS)
        return settings.chosen(request, before)

    # -- code --

    async def _download(self, request: Request) -> Response:
        """Where GetFunction's Code.Location leads."""
        found = _DOWNLOAD.match(request.path)
        assert found is not None
        path = self.house.blobs.path(found[1])
        if not path.is_file():
            return Response(404, [("content-type", "text/plain")], b"no such code\n")
        return Response(200, [("content-type", "application/zip")], path)


def _check_name(name: str) -> None:
    """CreateFunction, FunctionName: "If you specify only the function name, it is limited to 64 characters"."""
    if len(name) > _NAME_MAX:
        told = f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to {_NAME_MAX}"  # noqa: E501
        raise ServiceError("ValidationException", told)


def _checked_tags(tags: dict[str, str]) -> dict[str, str]:
    """Developer Guide, "Using tags on Lambda functions": at most fifty, none of AWS's own."""
    if len(tags) > _TAGS_MAX:
        raise ServiceError("InvalidParameterValueException", f"Number of tags exceeds resource tag limit. (Limit: {_TAGS_MAX}).")  # fmt: skip  # noqa: E501
    if any(key.lower().startswith("aws:") for key in tags):
        raise ServiceError("InvalidParameterValueException", "Tag keys starting with 'aws:' are reserved for system use.")  # fmt: skip  # noqa: E501
    return tags


def publish(tx: Tx, call: Call, function: state.Function, description: str) -> tuple[state.Function, state.Published]:
    """The next number for what $LATEST is now; the one before if nothing has changed since."""
    latest = function.latest
    if function.last_version:
        before = state.VERSIONS.get(tx, function.id, function.last_version)
        if before is not None and (before.code, before.settings) == (latest.code, latest.settings):
            return function, before
    number = function.last_version + 1
    one = replace(latest, version=str(number), description=description, revision=call.new_id(), modified_ms=call.now_ms)
    one = snapshots.begin(tx, function, one)
    state.VERSIONS.put(tx, function.id, number, row=one)
    function = replace(function, last_version=number)
    state.put(tx, function)
    return function, one


def _configuration(function: state.Function, one: state.Published, who: state.Named) -> dict[str, Any]:
    shown = settings.configuration(function, one, qualified=bool(who.qualifier))
    return shown | {"FunctionArn": f"{function.arn}:{who.qualifier}"} if who.qualifier else shown
