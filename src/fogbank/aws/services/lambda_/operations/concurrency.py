"""How many at once: reserved for a function, provisioned ahead for a version or alias."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Background, Call, Operations, ServiceError
from fogbank.aws.services.lambda_ import paging, settings, state
from fogbank.aws.services.lambda_.calling import ACCOUNT_CONCURRENCY, Caller
from fogbank.functions.engine import InitFailed

if TYPE_CHECKING:
    from fogbank.functions.model import Version
    from fogbank.kernel.store import Tx

_UNRESERVED_MIN = 100  # Lambda quotas: what reserved concurrency must leave to all others.


class Concurrency(Operations):
    service: ClassVar = "lambda"

    def backgrounds(self) -> list[Background]:
        return [Background("lambda: keep provisioned instances", self._keep_provisioned)]

    def put_function_concurrency(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        function = state.find(tx, state.named(call, request["FunctionName"]))
        wanted = request["ReservedConcurrentExecutions"]
        every = state.FUNCTIONS.all(tx, call.account, call.region)
        others = sum(one.reserved or 0 for one in every if one.id != function.id)
        if ACCOUNT_CONCURRENCY - others - wanted < _UNRESERVED_MIN:
            raise ServiceError(
                "InvalidParameterValueException",
                "Specified ReservedConcurrentExecutions for function decreases account's "
                f"UnreservedConcurrentExecution below its minimum value of [{_UNRESERVED_MIN}].",
            )
        state.put(tx, replace(function, reserved=wanted))
        return {"ReservedConcurrentExecutions": wanted}

    def get_function_concurrency(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        reserved = state.find(tx, state.named(call, request["FunctionName"])).reserved
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    def delete_function_concurrency(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        function = state.find(tx, state.named(call, request["FunctionName"]))
        state.put(tx, replace(function, reserved=None))

    def get_account_settings(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        every = state.FUNCTIONS.all(tx, call.account, call.region)
        reserved = sum(function.reserved or 0 for function in every)
        return {
            "AccountLimit": {
                "TotalCodeSize": 80_530_636_800,
                "CodeSizeUnzipped": 262_144_000,
                "CodeSizeZipped": 52_428_800,
                "ConcurrentExecutions": ACCOUNT_CONCURRENCY,
                "UnreservedConcurrentExecutions": ACCOUNT_CONCURRENCY - reserved,
            },
            "AccountUsage": {
                "TotalCodeSize": sum(function.latest.code.size for function in every),
                "FunctionCount": len(every),
            },
        }

    # -- provisioned --

    async def put_provisioned_concurrency_config(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Answers when the instances are initialised: sooner than AWS, never before it is true."""
        who, wanted = self._named(call, request), request["ProvisionedConcurrentExecutions"]
        version = await self.house.store.transact(self._set_provisioned, who, wanted)
        try:
            await self.house.engine.prepare(version, wanted)
        except InitFailed as error:
            await self.house.store.transact(self._set_provisioned, who, 0)
            raise ServiceError(
                "InvalidParameterValueException", f"FUNCTION_ERROR_INIT_FAILURE: {error.document.decode()}"
            ) from error
        return _shown(wanted, call.now_ms)

    def _set_provisioned(self, tx: Tx, who: state.Named, count: int) -> Version:
        function = state.find(tx, who)
        one = state.published(tx, function, who)
        if one.version == state.LATEST:
            raise ServiceError(
                "InvalidParameterValueException",
                "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
            )
        if count:
            _check_provisioned(tx, function, who, one, count)
        if who.qualifier.isdigit():
            state.VERSIONS.put(tx, function.id, int(who.qualifier), row=replace(one, provisioned=count))
        else:
            alias = state.alias(tx, function, who.qualifier)
            state.ALIASES.put(tx, function.id, alias.name, row=replace(alias, provisioned=count))
        return self.house.share(Caller).version(tx, function, one)

    def get_provisioned_concurrency_config(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        who = self._named(call, request)
        function = state.find(tx, who)
        count = _provisioned(tx, function, who)
        if not count:
            raise ServiceError(
                "ProvisionedConcurrencyConfigNotFoundException",
                "No Provisioned Concurrency Config found for this function",
                status=404,
            )
        return _shown(count, function.latest.modified_ms)

    async def delete_provisioned_concurrency_config(self, call: Call, request: dict[str, Any]) -> None:
        version = await self.house.store.transact(self._set_provisioned, self._named(call, request), 0)
        await self.house.engine.prepare(version, 0)

    def list_provisioned_concurrency_configs(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        function = state.find(tx, state.named(call, request["FunctionName"]))
        page, more = paging.page(request, _all_provisioned(tx, function), lambda found: found[0])
        rows = [
            {"FunctionArn": f"{function.arn}:{name}", **_shown(count, function.latest.modified_ms)}
            for name, count, _ in page
        ]
        return {"ProvisionedConcurrencyConfigs": rows, **more}

    def _named(self, call: Call, request: dict[str, Any]) -> state.Named:
        return state.named(call, request["FunctionName"], request["Qualifier"])

    async def _keep_provisioned(self) -> None:
        """After a start, and whenever an alias has moved, have what is promised ready."""
        with self.house.signals.watch("lambda.provisioned") as watch:
            while True:
                for version, count in await self.house.store.transact(self._promised):
                    try:
                        await self.house.engine.prepare(version, count)
                    except InitFailed as error:
                        self.house.telemetry.error(
                            "provisioned instance failed", function=version.name, error=str(error)
                        )
                await watch.wait()

    def _promised(self, tx: Tx) -> list[tuple[Version, int]]:
        caller = self.house.share(Caller)
        return [
            (caller.version(tx, function, one), count)
            for function in state.FUNCTIONS.all(tx)
            for _, count, one in _all_provisioned(tx, function)
        ]


def _check_provisioned(tx: Tx, function: state.Function, who: state.Named, one: state.Published, count: int) -> None:
    others = [found for found in _all_provisioned(tx, function) if found[0] != who.qualifier]
    if any(found[2].version == one.version for found in others):
        told = "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
        if who.qualifier.isdigit():
            told = "Version is pointed by a Provisioned Concurrency alias"
        raise ServiceError("InvalidParameterValueException", told)
    alias = None if who.qualifier.isdigit() else state.alias(tx, function, who.qualifier)
    if alias is not None and alias.weights:
        told = "Provisioned Concurrency Configs cannot be applied to an alias with a routing configuration."
        raise ServiceError("InvalidParameterValueException", told)
    if function.reserved is not None and sum(found[1] for found in others) + count > function.reserved:
        told = (
            "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
        )
        raise ServiceError("InvalidParameterValueException", told)


def _all_provisioned(tx: Tx, function: state.Function) -> list[tuple[str, int, state.Published]]:
    who = state.Named(function.account, function.region, function.name)
    found = [(one.version, one.provisioned, one) for one in state.VERSIONS.all(tx, function.id) if one.provisioned]
    for alias in state.ALIASES.all(tx, function.id):
        if alias.provisioned:
            one = state.published(tx, function, who.at(alias.name))
            found.append((alias.name, alias.provisioned, one))
    return found


def _provisioned(tx: Tx, function: state.Function, who: state.Named) -> int:
    return next((count for name, count, _ in _all_provisioned(tx, function) if name == who.qualifier), 0)


def _shown(count: int, at_ms: int) -> dict[str, Any]:
    return {
        "RequestedProvisionedConcurrentExecutions": count,
        "AvailableProvisionedConcurrentExecutions": count,
        "AllocatedProvisionedConcurrentExecutions": count,
        "Status": "READY",
        "LastModified": settings.iso(at_ms),
    }
