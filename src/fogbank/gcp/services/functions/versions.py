"""From a version that was deployed to one that instances can be made of: source unpacked, built, secrets read.

What is made lies on this node only, and is made again where it is not there: all that it takes is in the store and
among the blobs.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fogbank.functions.builds import BuildFailed, build
from fogbank.functions.engine import InitFailed
from fogbank.gcp.instances import Function as Instance
from fogbank.gcp.instances import version_of
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.functions import implied, quantities, secrets, state
from fogbank.gcp.services.functions.state import CHANGED, FIRST, SECOND
from fogbank.primitives import archives

if TYPE_CHECKING:
    from pathlib import Path

    from fogbank.functions.model import Version
    from fogbank.gcp.service import House
    from fogbank.gcp.services.functions.state import Function, Serving

_UNZIPPED_BYTES_MAX = 500 * 1024 * 1024  # "Quotas": "Max deployment size", uncompressed.


class NotBuilt(Exception):
    """The source cannot be made to run; the text is what a build's log would end with."""


class Versions:
    """Those of this node. One for each server."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._made: dict[tuple[str, int], Version] = {}  # By function's id and deployment.
        self._making: dict[tuple[str, int], asyncio.Task[Version]] = {}

    async def of(self, function: Function, serving: Serving) -> Version:
        """Raises `NotBuilt`, and `RpcError` where a secret cannot be had."""
        key = (function.id, serving.number)
        version = self._made.get(key)
        if version is not None:
            return version
        task = self._making.get(key)
        if task is None:
            task = self._making[key] = asyncio.get_running_loop().create_task(self._make(function, serving))
            task.add_done_callback(lambda _: self._making.pop(key, None))
        version = self._made[key] = await asyncio.shield(task)
        return version

    async def run(self) -> None:
        """Let go of what answers no more, and keep as many instances ready as each asks for."""
        ready: set[str] = set()
        with self._house.signals.watch(CHANGED) as watch:
            while True:
                functions = {function.id: function for function in await self._house.store.transact(state.every)}
                await self._let_go(functions)
                for function in functions.values():
                    await self._keep_ready(function, ready)
                await watch.wait()

    async def _let_go(self, functions: dict[str, Function]) -> None:
        for key, version in list(self._made.items()):
            function = functions.get(key[0])
            if function is not None and (function.operation or _number(function) == key[1]):
                continue
            del self._made[key]
            await (self._house.engine.retire if function else self._house.engine.abandon)(version.id)

    async def _keep_ready(self, function: Function, ready: set[str]) -> None:
        serving = function.serving
        least = min_instances(serving.told, function.generation) if serving else 0
        if serving is None or not least:
            return
        try:
            version = await self.of(function, serving)
            if version.id not in ready:
                ready.add(version.id)
                await self._house.engine.prepare(version, least)
        except Exception as error:  # One that does not start must not be in the others' way; its callers are told.
            self._house.telemetry.error("instances could not be kept ready", of=function.name, error=repr(error))

    async def _make(self, function: Function, serving: Serving) -> Version:
        settings = _settings(function.generation, serving.told)
        code, layers, _ = await self.built(serving.source, function.generation, settings)
        variables, files = await secrets.read(self._house, function.at.project, settings)
        make = _first if function.generation == 1 else _second
        try:
            version = version_of(make(function, serving, settings, code, layers, variables, files))
        except ValueError as error:  # It asks for what no instance can be given here.
            raise RpcError(Code.INVALID_ARGUMENT, str(error)) from error
        return replace(version, id=f"{version.id}-{serving.build}")  # One that is made again is another.

    async def built(self, source: str, generation: int, settings: Any) -> tuple[Path, tuple[Path, ...], list[str]]:
        """The folder of the source, those of what it needs, and what it needs without having said so."""
        house = self._house
        runtime = settings.runtime if generation == 1 else settings.build_config.runtime
        variables = (
            settings.build_environment_variables if generation == 1 else settings.build_config.environment_variables
        )
        digest = source.partition("-")[0]
        folder = house.config.code_dir / f"{'python' if runtime.startswith('python') else 'google'}-{digest}"
        try:
            added = await asyncio.to_thread(self._unpack, source, folder, runtime)
            layers = await asyncio.to_thread(build, folder, runtime, house.config.cache_dir, dict(variables))
        except (archives.BadArchive, OSError) as error:
            raise NotBuilt(f"failed to unpack the source: {error}") from error
        except archives.TooLarge as error:
            raise NotBuilt(f"the source is larger than {_UNZIPPED_BYTES_MAX} bytes") from error
        except BuildFailed as error:
            raise NotBuilt(error.log) from error
        return folder, tuple(layers), added

    def _unpack(self, source: str, folder: Path, runtime: str) -> list[str]:
        added: list[str] = []

        def then(building: Path) -> None:
            if runtime.startswith("python"):
                added.extend(implied.add(building))

        if not folder.is_dir():
            content = self._house.blobs.read(source)
            archives.unpack(content, folder, bytes_max=_UNZIPPED_BYTES_MAX, then=then)
        return added

    async def start(self, function: Function, serving: Serving) -> None:
        """Google's health check: an instance that begins to listen. Raises `InitFailed`, `NotBuilt` or `RpcError`."""
        version = await self.of(function, serving)
        try:
            await self._house.engine.prepare(version, 1)
        except InitFailed:
            await self.drop(function, serving)
            raise
        await self._house.engine.prepare(version, min_instances(serving.told, function.generation))

    async def drop(self, function: Function, serving: Serving) -> None:
        """One that will not answer after all."""
        version = self._made.pop((function.id, serving.number), None)
        if version is not None:
            await self._house.engine.abandon(version.id)


def limits(function: Function, serving: Serving) -> int | None:
    """How many instances there may be."""
    settings = _settings(function.generation, serving.told)
    most = settings.max_instances if function.generation == 1 else settings.service_config.max_instance_count
    return int(most) or None


def min_instances(told: bytes, generation: int) -> int:
    settings = _settings(generation, told)
    return int(settings.min_instances if generation == 1 else settings.service_config.min_instance_count)


def _number(function: Function) -> int:
    return function.serving.number if function.serving else 0


def _settings(generation: int, told: bytes) -> Any:
    return (FIRST.CloudFunction if generation == 1 else SECOND.Function).FromString(told)


def _second(
    function: Function, serving: Serving, settings: Any, code: Path, layers: tuple[Path, ...],
    variables: dict[str, str], files: dict[str, bytes],
) -> Instance:  # fmt: skip
    at, build_config, service = function.at, settings.build_config, settings.service_config
    return Instance(
        project=at.project, region=at.location, name=at.id, generation=2, runtime=build_config.runtime,
        entry_point=build_config.entry_point, code=code, layers=layers, revision=serving.revision,
        service=function.service, event_type=settings.event_trigger.event_type,
        environment={**_of_build(build_config.environment_variables), **service.environment_variables, **variables},
        files=files, timeout_s=service.timeout_seconds, memory_mb=quantities.megabytes(service.available_memory),
        concurrency=service.max_instance_request_concurrency, service_account=service.service_account_email,
    )  # fmt: skip


def _first(
    function: Function, serving: Serving, settings: Any, code: Path, layers: tuple[Path, ...],
    variables: dict[str, str], files: dict[str, bytes],
) -> Instance:  # fmt: skip
    at = function.at
    return Instance(
        project=at.project, region=at.location, name=at.id, generation=1, runtime=settings.runtime,
        entry_point=settings.entry_point, code=code, layers=layers, revision=str(serving.number),
        service=function.service, event_type=settings.event_trigger.event_type,
        environment={
            **_of_build(settings.build_environment_variables), **settings.environment_variables, **variables
        },
        files=files, timeout_s=int(settings.timeout.seconds) or 1, memory_mb=settings.available_memory_mb,
        concurrency=1, service_account=settings.service_account_email,
    )  # fmt: skip


def _of_build(variables: Any) -> dict[str, str]:
    """ "GOOGLE_FUNCTION_SOURCE: the directory or file of the function": the framework asks for it by another name."""
    source = variables.get("GOOGLE_FUNCTION_SOURCE", "")
    return {"FUNCTION_SOURCE": source} if source else {}
