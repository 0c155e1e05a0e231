"""Layers: published version by version, listed, read, shared, deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.lambda_ import bundles, layers, permissions, settings, state
from fogbank.aws.services.lambda_.layers import LAST, LAYERS, Layer

if TYPE_CHECKING:
    from fogbank.aws.services.lambda_.state import Code
    from fogbank.kernel.store import Tx

_PAGE_MAX = 50


class Layers(Operations):
    service: ClassVar = "lambda"

    async def publish_layer_version(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        kept = await bundles.keep(self.house, call, request["Content"])
        return await self.house.store.transact(self._publish, call, request, kept)

    def _publish(self, tx: Tx, call: Call, request: dict[str, Any], kept: Code) -> dict[str, Any]:
        name = _name(request)
        number = (LAST.get(tx, call.account, call.region, name, lock=True) or 0) + 1
        LAST.put(tx, call.account, call.region, name, row=number)
        made = Layer(
            name, number, f"{_arn(call, name)}:{number}", kept, request.get("Description", ""), call.now_ms,
            request.get("CompatibleRuntimes", []), request.get("CompatibleArchitectures", []),
            request.get("LicenseInfo", ""),
        )  # fmt: skip
        LAYERS.put(tx, call.account, call.region, name, number, row=made)
        return self._described(call, made)

    def get_layer_version(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._described(call, _find(tx, call, request))

    def get_layer_version_by_arn(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._described(call, layers.find(tx, request["Arn"]))
        except ServiceError as error:
            raise _missing() from error

    def list_layer_versions(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        before = int(request.get("Marker", 0) or 0)
        every = [one for one in LAYERS.all(tx, call.account, call.region, _name(request)) if _fits(one, request)]
        newest_first = [one for one in reversed(every) if not before or one.version < before]
        limit = min(request.get("MaxItems", _PAGE_MAX), _PAGE_MAX)
        more = {"NextMarker": str(newest_first[limit - 1].version)} if len(newest_first) > limit else {}
        return {"LayerVersions": [_summary(one) for one in newest_first[:limit]], **more}

    def list_layers(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        newest = {one.name: one for one in LAYERS.all(tx, call.account, call.region) if _fits(one, request)}
        names = [name for name in sorted(newest) if name > request.get("Marker", "")]
        limit = min(request.get("MaxItems", _PAGE_MAX), _PAGE_MAX)
        more = {"NextMarker": names[limit - 1]} if len(names) > limit else {}
        rows = [
            {"LayerName": name, "LayerArn": _arn(call, name), "LatestMatchingVersion": _summary(newest[name])}
            for name in names[:limit]
        ]
        return {"Layers": rows, **more}

    def delete_layer_version(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        """Functions that use it go on doing so: what they run was unpacked when they were made."""
        number = request["VersionNumber"]
        found = LAYERS.get(tx, call.account, call.region, _name(request), number)
        if found is not None:
            LAYERS.put(tx, call.account, call.region, found.name, number, row=replace(found, deleted=True))
        state.POLICIES.delete(tx, f"{_arn(call, _name(request))}:{number}", "")

    # -- who may use it --

    def add_layer_version_permission(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        layer = _find(tx, call, request)
        before = state.POLICIES.get(tx, layer.arn, "") or state.Policy("")
        state.check_revision(request.get("RevisionId"), before.revision)
        if any(known["Sid"] == request["StatementId"] for known in before.statements):
            raise ServiceError(
                "ResourceConflictException", f"The statement id ({request['StatementId']}) provided already exists. "
                "Please provide a new statement id, or remove the existing statement.", status=409,
            )  # fmt: skip
        made = permissions.statement(request, layer.arn)
        if "OrganizationId" in request:
            made["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": request["OrganizationId"]}}
        after = state.Policy(call.new_id(), [*before.statements, made])
        state.POLICIES.put(tx, layer.arn, "", row=after)
        return {"Statement": orjson.dumps(made).decode(), "RevisionId": after.revision}

    def remove_layer_version_permission(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        layer, policy = self._policy(tx, call, request)
        state.check_revision(request.get("RevisionId"), policy.revision)
        left = [known for known in policy.statements if known["Sid"] != request["StatementId"]]
        if len(left) == len(policy.statements):
            told = f"Statement {request['StatementId']} is not found in resource policy."
            raise ServiceError("ResourceNotFoundException", told)
        if left:
            state.POLICIES.put(tx, layer.arn, "", row=state.Policy(call.new_id(), left))
        else:
            state.POLICIES.delete(tx, layer.arn, "")

    def get_layer_version_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        _, policy = self._policy(tx, call, request)
        document = {"Version": "2012-10-17", "Id": "default", "Statement": policy.statements}
        return {"Policy": orjson.dumps(document).decode(), "RevisionId": policy.revision}

    def _policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> tuple[Layer, state.Policy]:
        layer = _find(tx, call, request)
        policy = state.POLICIES.get(tx, layer.arn, "")
        if policy is None:
            raise ServiceError("ResourceNotFoundException", "No policy is associated with the given resource.")
        return layer, policy

    def _described(self, call: Call, one: Layer) -> dict[str, Any]:
        host = call.host or f"{self.house.config.host}:{self.house.config.port}"
        content = {
            "Location": f"http://{host}/_fogbank-lambda-code/{one.code.digest}.zip",
            "CodeSha256": one.code.sha256,
            "CodeSize": one.code.size,
        }
        return {"Content": content, "LayerArn": one.arn.rpartition(":")[0], **_summary(one)}


def _summary(one: Layer) -> dict[str, Any]:
    moment = settings.iso(one.created_ms)
    shown: dict[str, Any] = {
        "LayerVersionArn": one.arn, "Version": one.version, "Description": one.description, "CreatedDate": moment,
    }  # fmt: skip
    given = {"CompatibleRuntimes": one.runtimes, "CompatibleArchitectures": one.architectures}
    given |= {"LicenseInfo": one.license}  # type: ignore[dict-item]  # Text beside lists.
    return shown | {name: value for name, value in given.items() if value}


def _fits(one: Layer, request: dict[str, Any]) -> bool:
    runtime, architecture = request.get("CompatibleRuntime"), request.get("CompatibleArchitecture")
    if one.deleted or (runtime and runtime not in one.runtimes):
        return False
    return not architecture or architecture in one.architectures


def _find(tx: Tx, call: Call, request: dict[str, Any]) -> Layer:
    found = LAYERS.get(tx, call.account, call.region, _name(request), request["VersionNumber"])
    if found is None or found.deleted:
        raise _missing()
    return found


def _missing() -> ServiceError:
    return ServiceError(
        "ResourceNotFoundException", "The resource you requested does not exist.", fields={"Type": "User"}
    )


def _name(request: dict[str, Any]) -> str:
    """LayerName is a name or an ARN."""
    given = str(request["LayerName"])
    return given.split(":")[6] if given.startswith("arn:") and given.count(":") >= 6 else given


def _arn(call: Call, name: str) -> str:
    return call.arn("lambda", f"layer:{name}")
