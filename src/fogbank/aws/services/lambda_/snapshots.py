"""SnapStart: a version that asks for a snapshot is Pending until it is taken, and Failed where initialisation fails.

Lambda Developer Guide, "Improving startup performance with Lambda SnapStart", "Lambda SnapStart and function states".
That a snapshot is to be taken is written down with the version: a server that has been killed meanwhile goes on with it
at its next start. A snapshot lives as long as its server; the next one takes it anew when it is first needed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fogbank.aws.services.lambda_ import state
from fogbank.aws.services.lambda_.calling import Caller
from fogbank.functions.engine import InitFailed
from fogbank.kernel.store import StoreError
from fogbank.kernel.store.records import Records
from fogbank.kernel.tasks import end

if TYPE_CHECKING:
    from fogbank.aws.service import House
    from fogbank.functions.model import Version
    from fogbank.kernel.store import Tx


@dataclass(frozen=True, slots=True)
class _Due:
    """A snapshot that is to be taken."""

    function_id: str
    number: int
    arn: str  # Of the version.


_DUE = Records(_Due, "lambda", "snapshot-due")  # (function id, number)
_WANTED, _SETTLED = "lambda.snapshot-wanted", "lambda.snapshot-settled"
_AT_ONCE = 4  # The initialisations of a stack's many functions would only wait for each other.
_AGAIN_AFTER_MS = 1000


def begin(tx: Tx, function: state.Function, one: state.Published) -> state.Published:
    """A version as it is published: where it asks for a snapshot that is due now, and it is not ready before."""
    if not state.snap_starts(one):
        return one
    number = int(one.version)
    _DUE.put(tx, function.id, number, row=_Due(function.id, number, f"{function.arn}:{one.version}"))
    tx.emit(_WANTED)
    return replace(one, condition=state.CREATING)


class Snapshots:
    """Takes those that are due, on every node: each begins its instances with one of its own."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._taking: dict[_Due, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        try:
            with self._house.signals.watch(_WANTED) as watch:
                while True:
                    for due in await self._house.store.transact(_DUE.all):
                        self._begin(due)
                    await watch.wait()
        finally:  # The server ends: what is under way begins anew when it is back.
            await end(self._taking.values())

    async def settled(self, version_arn: str) -> None:
        """Wait until this version is no longer Pending, or is gone."""
        with self._house.signals.watch(_SETTLED) as watch:
            while await self._house.store.transact(_is_due, version_arn):
                await watch.wait()

    def _begin(self, due: _Due) -> None:
        if due not in self._taking:
            self._taking[due] = task = asyncio.get_running_loop().create_task(self._take(due))
            task.add_done_callback(lambda _: self._taking.pop(due, None))

    async def _take(self, due: _Due) -> None:
        async with self._room:
            version = await self._house.store.transact(self._version, due)
            condition = state.ACTIVE if version is None else await self._initialised(version)
        while True:
            try:
                await self._house.store.transact(_settle, due, condition)
                return
            except StoreError as error:  # A full disk, say. Until this can be said the version stays Pending.
                self._house.telemetry.error("a snapshot could not be told of", version=due.arn, error=str(error))
                await self._house.clock.sleep(_AGAIN_AFTER_MS)

    async def _initialised(self, version: Version) -> state.Condition:
        try:
            await self._house.engine.snapshot(version)
        except InitFailed as failed:
            self._house.telemetry.error("no snapshot was taken", function=version.name, error=str(failed))
            return state.INIT_FAILED
        except Exception as error:  # The machine has no room for a process, say: nobody waits for that for ever.
            self._house.telemetry.error("no snapshot was taken", function=version.name, error=repr(error))
            return state.Condition(state.FAILED, "InternalError", f"No snapshot could be taken: {error}")
        return state.ACTIVE

    def _version(self, tx: Tx, due: _Due) -> Version | None:
        """None where it is gone."""
        who = state.by_arn(due.arn)
        function = state.FUNCTIONS.get(tx, who.account, who.region, who.name)
        one = state.VERSIONS.get(tx, due.function_id, due.number)
        if function is None or one is None or function.id != due.function_id:
            return None
        return self._house.share(Caller).version(tx, function, one)


def _is_due(tx: Tx, version_arn: str) -> bool:
    return any(due.arn == version_arn for due in _DUE.all(tx))


def _settle(tx: Tx, due: _Due, condition: state.Condition) -> None:
    """Unless it is gone, or another node was quicker."""
    one = state.VERSIONS.get(tx, due.function_id, due.number)
    if one is not None and one.condition == state.CREATING:
        state.VERSIONS.put(tx, due.function_id, due.number, row=replace(one, condition=condition))
    _DUE.delete(tx, due.function_id, due.number)
    tx.emit(_SETTLED)
