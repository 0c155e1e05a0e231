"""Provisioned concurrency: how many instances of a version or an alias are to be initialised, and whether they are.

Lambda Developer Guide, "Configuring provisioned concurrency for a function". What is beyond them runs on demand.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fogbank.aws.service import ServiceError
from fogbank.aws.services.lambda_ import state
from fogbank.aws.services.lambda_.admission import ACCOUNT_CONCURRENCY, UNRESERVED_MIN
from fogbank.aws.services.lambda_.calling import Caller
from fogbank.aws.services.lambda_.state import PROVISIONED, RESERVED, Provisioned
from fogbank.functions.engine import InitFailed

if TYPE_CHECKING:
    from fogbank.aws.service import House
    from fogbank.functions.model import Version
    from fogbank.kernel.store import Tx

CHANGED = "lambda.provisioned"
COMING, READY, FAILED = "IN_PROGRESS", "READY", "FAILED"


@dataclass(frozen=True, slots=True)
class _Promise:
    """What one configuration asks the engine for."""

    function_id: str
    who: state.Named
    version: Version
    row: Provisioned


def every(tx: Tx, function: state.Function) -> list[tuple[str, Provisioned]]:
    """Of a function: by qualifier."""
    return [(str(key[-1]), row) for key, row in PROVISIONED.scan(tx, function.id)]


def put(tx: Tx, who: state.Named, count: int, now_ms: int) -> Provisioned:
    function = state.find(tx, who)
    one = state.published(tx, function, who)
    if one.version == state.LATEST:
        raise ServiceError(
            "InvalidParameterValueException",
            "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
        )
    if state.snap_starts(one):  # "Supported features and limitations": it excludes provisioned concurrency.
        told = "Provisioned Concurrency is not supported for SnapStart enabled functions."
        raise ServiceError("InvalidParameterValueException", told)
    _check(tx, function, who, one, count)
    before = PROVISIONED.get(tx, function.id, who.qualifier)
    row = Provisioned(count, COMING, now_ms, turn=before.turn + 1 if before else 0)
    PROVISIONED.put(tx, function.id, who.qualifier, row=row)
    tx.emit(CHANGED)
    return row


def get(tx: Tx, who: state.Named) -> Provisioned:
    function = state.find(tx, who)
    found = PROVISIONED.get(tx, function.id, who.qualifier)
    if found is None:
        raise ServiceError(
            "ProvisionedConcurrencyConfigNotFoundException",
            "No Provisioned Concurrency Config found for this function",
            status=404,
            fields={"Type": "User"},
        )
    return found


def delete(tx: Tx, function_id: str, qualifier: str) -> None:
    PROVISIONED.delete(tx, function_id, qualifier)
    tx.emit(CHANGED)


def _check(tx: Tx, function: state.Function, who: state.Named, one: state.Published, count: int) -> None:
    others = [(name, row) for name, row in every(tx, function) if name != who.qualifier]
    if any(state.published(tx, function, who.at(name)).version == one.version for name, _ in others):
        told = "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
        if who.qualifier.isdigit():
            told = "Version is pointed by a Provisioned Concurrency alias"
        raise ServiceError("InvalidParameterValueException", told)
    alias = None if who.qualifier.isdigit() else state.alias(tx, function, who.qualifier)
    if alias is not None and alias.weights:
        told = "Provisioned Concurrency Configs cannot be applied to an alias with a routing configuration."
        raise ServiceError("InvalidParameterValueException", told)
    own = sum(row.count for _, row in others) + count
    if function.reserved is not None and own > function.reserved:
        told = (
            "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
        )
        raise ServiceError("InvalidParameterValueException", told)
    left = ACCOUNT_CONCURRENCY - (RESERVED.get(tx, function.account, function.region) or 0)
    if function.reserved is None and left - own < UNRESERVED_MIN:
        told = (
            "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency "
            f"[{max(left - UNRESERVED_MIN, 0)}]."
        )
        raise ServiceError("InvalidParameterValueException", told)


def renew(tx: Tx, function_id: str, qualifier: str) -> None:
    """What the qualifier means has changed: other instances are to be initialised."""
    row = PROVISIONED.get(tx, function_id, qualifier)
    if row is not None:
        PROVISIONED.put(tx, function_id, qualifier, row=replace(row, status=COMING, reason="", turn=row.turn + 1))
        tx.emit(CHANGED)


class Keeper:
    """Has what is promised ready on every node: after a start, and whenever a promise or what it is for has changed.

    One whose instances fail to be initialised is left alone until it is changed: they would only fail again.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._kept: dict[str, Version] = {}

    async def run(self) -> None:
        await self._house.store.transact(_renew_all)  # Nothing is ready yet, whatever was before.
        with self._house.signals.watch(CHANGED) as watch:
            while True:
                promises = await self._house.store.transact(self._promises)
                wanted = {promise.version.id: promise.version for promise in promises}
                for version_id in self._kept.keys() - wanted.keys():
                    await self._house.engine.prepare(self._kept[version_id], 0)
                self._kept = wanted
                await asyncio.gather(*(self._keep(promise) for promise in promises if promise.row.status != FAILED))
                await watch.wait()

    async def keep(self, who: state.Named) -> None:
        """Have the instances of this one ready, or its failure told."""
        for promise in await self._house.store.transact(self._promises):
            if promise.who == who:
                await self._keep(promise)

    async def _keep(self, promise: _Promise) -> None:
        status, reason = READY, ""
        try:
            await self._house.engine.prepare(promise.version, promise.row.count)
        except InitFailed as error:
            status, reason = FAILED, f"FUNCTION_ERROR_INIT_FAILURE: {error.document.decode(errors='replace')}"
            self._house.telemetry.error("provisioned instance failed", function=promise.version.name, error=str(error))
        if status != promise.row.status:
            await self._house.store.transact(_settle, promise, replace(promise.row, status=status, reason=reason))

    def _promises(self, tx: Tx) -> list[_Promise]:
        caller = self._house.share(Caller)
        promises = []
        for function in state.FUNCTIONS.all(tx):
            for qualifier, row in every(tx, function):
                who = state.Named(function.account, function.region, function.name, qualifier)
                one = state.published(tx, function, who)
                promises.append(_Promise(function.id, who, caller.version(tx, function, one), row))
        return promises


def _renew_all(tx: Tx) -> None:
    for key, row in list(PROVISIONED.scan(tx)):
        PROVISIONED.put(tx, *key[2:], row=replace(row, status=COMING, reason=""))  # type: ignore[arg-type]  # No bound.


def _settle(tx: Tx, promise: _Promise, row: Provisioned) -> None:
    """Unless it has been changed meanwhile."""
    if PROVISIONED.get(tx, promise.function_id, promise.who.qualifier) == promise.row:
        PROVISIONED.put(tx, promise.function_id, promise.who.qualifier, row=row)
