"""How many at once: reserved for a function, provisioned ahead for a version or alias."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Background, Call, Operations, ServiceError
from fogbank.aws.services.lambda_ import paging, provisioned, settings, state
from fogbank.aws.services.lambda_.admission import ACCOUNT_CONCURRENCY, UNRESERVED_MIN
from fogbank.aws.services.lambda_.state import RESERVED, Provisioned

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx


class Concurrency(Operations):
    service: ClassVar = "lambda"

    def backgrounds(self) -> list[Background]:
        return [Background("lambda: keep provisioned instances", self.house.share(provisioned.Keeper).run)]

    def put_function_concurrency(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        function = state.find(tx, state.named(call, request["FunctionName"]))
        wanted = request["ReservedConcurrentExecutions"]
        others = (RESERVED.get(tx, function.account, function.region) or 0) - (function.reserved or 0)
        if wanted and ACCOUNT_CONCURRENCY - others - wanted < UNRESERVED_MIN:
            raise ServiceError(
                "InvalidParameterValueException",
                "Specified ReservedConcurrentExecutions for function decreases account's "
                f"UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_MIN}].",
            )
        promised = sum(row.count for _, row in provisioned.every(tx, function))
        if wanted < promised:
            raise ServiceError(
                "InvalidParameterValueException",
                f"ReservedConcurrentExecutions {wanted} should not be lower than function's total provisioned "
                f"concurrency [{promised}].",
            )
        _reserve(tx, function, wanted)
        return {"ReservedConcurrentExecutions": wanted}

    def get_function_concurrency(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        reserved = state.find(tx, state.named(call, request["FunctionName"])).reserved
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    def delete_function_concurrency(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        _reserve(tx, state.find(tx, state.named(call, request["FunctionName"])), None)

    def get_account_settings(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        every = state.FUNCTIONS.all(tx, call.account, call.region)
        reserved = RESERVED.get(tx, call.account, call.region) or 0
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
        """Answers when the instances are initialised, or one has failed to be: sooner than AWS, never before it is
        true."""
        who = self._named(call, request)
        wanted = request["ProvisionedConcurrentExecutions"]
        await self.house.store.transact(provisioned.put, who, wanted, call.now_ms)
        await self.house.share(provisioned.Keeper).keep(who)
        return _shown(await self.house.store.transact(provisioned.get, who))

    def get_provisioned_concurrency_config(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return _shown(provisioned.get(tx, self._named(call, request)))

    def delete_provisioned_concurrency_config(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        who = self._named(call, request)
        provisioned.delete(tx, state.find(tx, who).id, who.qualifier)

    def list_provisioned_concurrency_configs(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        function = state.find(tx, state.named(call, request["FunctionName"]))
        page, more = paging.page(request, provisioned.every(tx, function), lambda found: found[0])
        rows = [{"FunctionArn": f"{function.arn}:{name}", **_shown(row)} for name, row in page]
        return {"ProvisionedConcurrencyConfigs": rows, **more}

    def _named(self, call: Call, request: dict[str, Any]) -> state.Named:
        return state.named(call, request["FunctionName"], request["Qualifier"])


def _reserve(tx: Tx, function: state.Function, wanted: int | None) -> None:
    all_of_them = (RESERVED.get(tx, function.account, function.region) or 0) - (function.reserved or 0) + (wanted or 0)
    RESERVED.put(tx, function.account, function.region, row=all_of_them)
    state.put(tx, replace(function, reserved=wanted))


def release(tx: Tx, function: state.Function) -> None:
    """The function is going: what was kept for it is free."""
    _reserve(tx, function, None)
    for qualifier, _ in provisioned.every(tx, function):
        provisioned.delete(tx, function.id, qualifier)


def _shown(row: Provisioned) -> dict[str, Any]:
    ready = row.count if row.status == provisioned.READY else 0
    return {
        "RequestedProvisionedConcurrentExecutions": row.count,
        "AvailableProvisionedConcurrentExecutions": ready,
        "AllocatedProvisionedConcurrentExecutions": ready,
        "Status": row.status,
        **({"StatusReason": row.reason} if row.reason else {}),
        "LastModified": settings.iso(row.modified_ms),
    }
