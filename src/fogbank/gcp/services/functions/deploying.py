"""Carries out what was begun: builds, starts, triggers; then, in one transaction, what was asked for is so, or is not.

What is to be done is written down with its operation, so a server that was killed meanwhile goes on at its next start:
every step may be done twice.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fogbank.functions.engine import InitFailed
from fogbank.gcp.protocol import longrunning
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.functions import failures, metadata, settling, state, triggering
from fogbank.gcp.services.functions.state import BUILDS, DUE, FUNCTIONS, JOBS, Build, Function, Job, Serving
from fogbank.gcp.services.functions.versions import NotBuilt, Versions
from fogbank.kernel.store import StoreError
from fogbank.kernel.tasks import end

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.kernel.store import Tx

_AT_ONCE = 4
_AGAIN_AFTER_MS = 1000
_BUILDS_KEPT = 20  # Of each function: every save makes one.
_REVISION_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a job."""

    serving: Serving | None = None  # The version that was made, or stays.
    trigger: str = ""
    error: RpcError | None = None


class Deploying:
    """Every job there is, each in a task of its own."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._doing: dict[str, asyncio.Task[None]] = {}  # By operation.
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        try:
            with self._house.signals.watch(DUE) as watch:
                while True:
                    for job in await self._house.store.transact(JOBS.all):
                        self._begin(job)
                    await watch.wait()
        finally:  # The server ends: what is under way begins anew when it is back.
            await end(self._doing.values())

    def _begin(self, job: Job) -> None:
        if job.operation not in self._doing:
            self._doing[job.operation] = task = asyncio.get_running_loop().create_task(self._carry_out(job))
            task.add_done_callback(lambda _: self._doing.pop(job.operation, None))

    async def _carry_out(self, job: Job) -> None:
        house = self._house
        async with self._room:
            while True:
                try:
                    function = await house.store.transact(_function_of, job)
                    if function is None:
                        return
                    ended = await self._done(function, job)
                    await settling.settle(house, job, ended.serving, ended.trigger, ended.error)
                    return
                except StoreError as error:  # A full disk, say: it is done once that is mended.
                    house.telemetry.error("a deployment waits", function=job.name, error=str(error))
                    await house.clock.sleep(_AGAIN_AFTER_MS)

    async def _done(self, function: Function, job: Job) -> Ended:
        try:
            if job.kind == "delete":
                await triggering.delete(self._house, function.trigger)
                return Ended()
            return await self._deployed(function, job)
        except RpcError as error:
            return Ended(error=error)
        except StoreError:
            raise
        except Exception as error:  # Whatever it is, whoever waits for the operation is told.
            self._house.telemetry.error("a deployment failed", function=job.name, error=repr(error))
            return Ended(error=RpcError(Code.INTERNAL, f"The deployment came to nothing: {error!r}"))

    async def _deployed(self, function: Function, job: Job) -> Ended:
        serving = function.serving
        if job.rebuilds or serving is None:
            serving = await self._made(replace(function, told=job.told), job)
        else:
            serving = replace(serving, told=job.told)
        try:
            wanted = replace(function, told=job.told)
            if function.generation == 2 and wanted.second.HasField("event_trigger"):
                await self._tell(job, "TRIGGER", serving.build, function)
            trigger = await triggering.bring(self._house, function, wanted, job.operation)
        except BaseException:
            await self._drop(function, serving)
            raise
        return Ended(serving, trigger)

    async def _made(self, function: Function, job: Job) -> Serving:
        """Built and started. Raises `RpcError`."""
        house, versions = self._house, self._house.share(Versions)
        build_id, began_ms = _build_id(job.operation), house.clock.now_ms()
        number = function.deployments
        revision = f"{function.service}-{number:05d}-{_letters(job.operation)}"
        serving = Serving(number, revision, job.source, build_id, job.told)
        await self._tell(job, "BUILD", build_id, function)
        settings = function.second if function.generation == 2 else function.first
        log, failed = "", None
        try:
            _, _, added = await versions.built(job.source, function.generation, settings)
            log = "".join(f"Added to requirements.txt, which is not there: {package}\n" for package in added)
        except NotBuilt as error:
            log, failed = str(error), failures.build(function, build_id, str(error))
        ended_ms = house.clock.now_ms()
        row = Build(build_id, function.name, began_ms, ended_ms, failed is None, log)
        await house.store.transact(keep_build, function, row)
        if failed is not None:
            raise failed
        await self._tell(job, "SERVICE", build_id, function)
        try:
            await versions.start(function, serving)
        except InitFailed as error:
            raise failures.start(function, serving, error.document) from error
        except NotBuilt as error:
            raise failures.build(function, build_id, str(error)) from error
        return serving

    async def _tell(self, job: Job, stage: str, build: str, function: Function) -> None:
        wanted = replace(function, told=job.told)
        if function.generation == 1:
            told = metadata.first(job, build=build, version=function.deployments)
        else:
            triggered = wanted.second.HasField("event_trigger")
            told = metadata.second(job, stage=stage, build=build, triggered=triggered)
        await self._house.store.transact(longrunning.progress, job.operation, told)

    async def _drop(self, function: Function, serving: Serving) -> None:
        """What was started and will not answer."""
        if function.serving is None or function.serving.number != serving.number:
            await self._house.share(Versions).drop(function, serving)


def _function_of(tx: Tx, job: Job) -> Function | None:
    """None where another node has done it."""
    if JOBS.get(tx, job.function_id) != job:
        return None
    function = state.get(tx, job.name)
    return function if function is not None and function.id == job.function_id else None


def keep_build(tx: Tx, function: Function, row: Build) -> None:
    at = function.at
    if FUNCTIONS.get(tx, at.project, at.location, at.id) is None:
        return
    BUILDS.put(tx, at.project, at.location, row.id, row=row)
    own = [build for _, build in BUILDS.scan(tx, at.project, at.location) if build.function == function.name]
    for old in sorted(own, key=lambda build: build.begun_ms)[:-_BUILDS_KEPT]:
        BUILDS.delete(tx, at.project, at.location, old.id)


def _build_id(operation: str) -> str:
    """A UUID that follows from the operation: whoever does the job again makes the same build."""
    text = hashlib.sha256(operation.encode()).hexdigest()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:32]}"


def _letters(operation: str) -> str:
    digest = hashlib.sha256(operation.encode()).digest()
    return "".join(_REVISION_LETTERS[byte % 26] for byte in digest[:3])
