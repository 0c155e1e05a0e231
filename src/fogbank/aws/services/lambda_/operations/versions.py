"""Versions and aliases: names for what a function was at a moment, and for which of them callers get."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.lambda_ import events, paging, provisioned, settings, state, unserved
from fogbank.aws.services.lambda_.operations.functions import publish

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx


_ALIAS = re.compile(r"(?![0-9]+$)[a-zA-Z0-9-_]+")


class Versions(Operations):
    service: ClassVar = "lambda"
    refused: ClassVar = unserved.REFUSED

    def publish_version(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        function = state.find(tx, state.named(call, request["FunctionName"]))
        state.check_revision(request.get("RevisionId"), function.latest.revision)
        given, kept = request.get("CodeSha256"), function.latest.code.sha256
        if given and given != kept:
            raise ServiceError(
                "InvalidParameterValueException",
                f"CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({kept}). "
                "Please try again with the CodeSHA256 in $LATEST.",
            )
        function, one = publish(tx, call, function, request.get("Description", function.latest.description))
        return settings.configuration(function, one)

    def list_versions_by_function(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        function = state.find(tx, state.named(call, request["FunctionName"]))
        every = [function.latest, *state.VERSIONS.all(tx, function.id)]
        page, more = paging.page(request, every, lambda one: one.version)
        return {"Versions": [settings.configuration(function, one) for one in page], **more}

    def create_alias(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        function = state.find(tx, state.named(call, request["FunctionName"]))
        name = request["Name"]
        if not _ALIAS.fullmatch(name):
            told = f"1 validation error detected: Value '{name}' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"  # noqa: E501
            raise ServiceError("ValidationException", told)
        if state.ALIASES.get(tx, function.id, name) is not None:
            raise ServiceError(
                "ResourceConflictException",
                f"Alias already exists: {function.arn}:{name}",
                status=409,
                fields={"Type": "User"},
            )
        made = state.Alias(
            name, request["FunctionVersion"], request.get("Description", ""), call.new_id(), _weights(request)
        )
        self._check(tx, function, made)
        state.ALIASES.put(tx, function.id, name, row=made)
        return described(function, made)

    def update_alias(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        function = state.find(tx, state.named(call, request["FunctionName"]))
        before = state.alias(tx, function, request["Name"])
        state.check_revision(request.get("RevisionId"), before.revision)
        made = replace(
            before,
            version=request.get("FunctionVersion", before.version),
            description=request.get("Description", before.description),
            weights=_weights(request) if "RoutingConfig" in request else before.weights,
            revision=call.new_id(),
        )
        self._check(tx, function, made)
        state.ALIASES.put(tx, function.id, made.name, row=made)
        provisioned.renew(tx, function.id, made.name)
        return described(function, made)

    def get_alias(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        function = state.find(tx, state.named(call, request["FunctionName"]))
        return described(function, state.alias(tx, function, request["Name"]))

    def list_aliases(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        function = state.find(tx, state.named(call, request["FunctionName"]))
        wanted = request.get("FunctionVersion")
        every = [alias for alias in state.ALIASES.all(tx, function.id) if wanted in (None, alias.version)]
        page, more = paging.page(request, every, lambda alias: alias.name)
        return {"Aliases": [described(function, alias) for alias in page], **more}

    def delete_alias(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        function = state.find(tx, state.named(call, request["FunctionName"]))
        state.ALIASES.delete(tx, function.id, request["Name"])
        state.POLICIES.delete(tx, function.id, request["Name"])
        events.CONFIGS.delete(tx, function.id, request["Name"])
        provisioned.delete(tx, function.id, request["Name"])

    def _check(self, tx: Tx, function: state.Function, made: state.Alias) -> None:
        who = state.Named(function.account, function.region, function.name)
        for version in (made.version, *made.weights):
            one = state.published(tx, function, who.at(version))
            if one.condition.state == state.FAILED:
                told = f"The operation cannot be performed at this time. The resource {function.arn}:{version} is currently in the following state: 'Failed'. StateReasonCode: '{one.condition.code}'"  # noqa: E501
                raise ServiceError(state.NOT_READY, told, status=409, fields={"Type": "User"})
        if len(made.weights) > 1:
            told = "Number of items in AdditionalVersionWeights cannot be greater than 1"
            raise ServiceError("InvalidParameterValueException", told)
        if made.version in made.weights:
            told = f"Invalid function version {made.version}. Function version {made.version} is already included in routing configuration."  # noqa: E501
            raise ServiceError("InvalidParameterValueException", told)
        if made.weights and (made.version == state.LATEST or state.LATEST in made.weights):
            raise ServiceError("InvalidParameterValueException", "$LATEST is not supported for an alias pointing to more than 1 version")  # fmt: skip  # noqa: E501


def _weights(request: dict[str, Any]) -> dict[str, float]:
    return dict(request.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}))


def described(function: state.Function, alias: state.Alias) -> dict[str, Any]:
    routing = {"RoutingConfig": {"AdditionalVersionWeights": alias.weights}} if alias.weights else {}
    return {
        "AliasArn": f"{function.arn}:{alias.name}",
        "Name": alias.name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision,
        **routing,
    }
