"""What execution environments have in common: a port for each, and whoever starts their programs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from fogbank.functions.logs import Log
from fogbank.functions.runtimes.provided.lifecycle import Lifecycle
from fogbank.functions.runtimes.provided.server import ApiServer
from fogbank.functions.sandbox.places import LAYERS, TASK
from fogbank.functions.sandbox.protections import own_interpreter

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.functions.instances import Instance
    from fogbank.functions.model import LogSink, Version
    from fogbank.functions.processes import Process
    from fogbank.functions.runtimes.provided.leaving import Program
    from fogbank.functions.runtimes.provided.lifecycle import Runtime
    from fogbank.functions.sandbox.cells import Warden
    from fogbank.functions.sandbox.places import Places
    from fogbank.functions.sandbox.sandbox import Sandbox
    from fogbank.kernel.clock import Clock
    from fogbank.kernel.telemetry import Telemetry

    Start = Callable[[Lifecycle, dict[str, str], int], Program | None]

# "Lambda extensions", environment variables: what is of the runtime's process alone.
_NOT_FOR_EXTENSIONS = frozenset(
    [
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_XRAY_CONTEXT_MISSING",
        "AWS_XRAY_DAEMON_ADDRESS",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "_AWS_XRAY_DAEMON_ADDRESS",
        "_AWS_XRAY_DAEMON_PORT",
        "_HANDLER",
    ]
)


class Host:
    def __init__(
        self, run_dir: Path, telemetry: Telemetry, log_sink: LogSink, clock: Clock, sandbox: Sandbox
    ) -> None:  # fmt: skip
        self._run_dir, self._telemetry, self._log_sink, self._clock = run_dir, telemetry, log_sink, clock
        self._sandbox = sandbox
        self._warden: Warden | None = None
        self._starting = asyncio.Lock()
        self._living: set[Lifecycle] = set()

    async def ready(self) -> Warden:
        """Whoever makes the cells of custom runtimes, or, without cells, starts all programs."""
        async with self._starting:
            if self._warden is None or not self._warden.alive:
                self._warden = (await self._sandbox.start(own_interpreter())).warden
            assert self._warden is not None
            return self._warden

    async def settle(self, version: Version, instance: Instance) -> None:
        """A place for an instance of a custom runtime. Raises `CellError`."""
        warden, places = await self.ready(), await self._sandbox.places(version)
        if places.trees:
            instance.cell = await self._sandbox.cell(warden, version.memory_mb, version.ephemeral_mb, places.trees)
        else:
            instance.group = await self._sandbox.group(version.memory_mb, version.ephemeral_mb)

    async def begin(
        self, version: Version, instance: Instance, environment: dict[str, str], log_end: int,
        runtime: Callable[[Lifecycle], Runtime], start: Start,
    ) -> None:  # fmt: skip
        """An environment for this instance, which has its place, begins its init. `start` has the runtime run with the
        variables and the output it is given, which it closes; None where there is nothing to run."""
        try:
            await self.ready()
            places = await self._sandbox.places(version)
            peers = await self._sandbox.peers(instance.cell, instance.group, lambda: instance.processes())
            server = ApiServer(
                lambda line, request: lifecycle.answer(line, request), self._run_dir, self._telemetry, peers,
                version.name,
            )  # fmt: skip
            self._run_dir.mkdir(parents=True, exist_ok=True)
            address = await server.open()
        except BaseException:
            os.close(log_end)
            raise

        def close() -> None:
            server.close()
            self._living.discard(lifecycle)
            if output:  # Its runtime was never started.
                os.close(output.pop())

        output = [log_end]
        lifecycle = Lifecycle(instance, _facts(version), close, runtime, peers)
        self._living.add(lifecycle)
        environment = {**environment, **_paths(places, environment), "AWS_LAMBDA_RUNTIME_API": address}
        lifecycle.begin_init(
            [seen(path, version, places) for path in extensions_of(version)],
            lambda process: self._start_extension(version, instance, environment, process),
            lambda: start(lifecycle, environment, output.pop()),
        )

    def _start_extension(
        self, version: Version, instance: Instance, environment: dict[str, str], process: Process
    ) -> Log:  # fmt: skip
        allowed = {name: value for name, value in environment.items() if name not in _NOT_FOR_EXTENSIONS}
        read_end, write_end = os.pipe()
        self.start(process, version, instance, allowed, write_end)
        os.close(write_end)
        return Log(read_end, version, instance.log.stream, self._log_sink, self._clock)

    def start(
        self, process: Process, version: Version, instance: Instance, environment: dict[str, str], output: int,
        *, arguments: tuple[str, ...] = (), readable: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """Have a program of the instance run; it writes to the pipe `output`, which stays the caller's. `readable`:
        what of this machine it needs beside its code, where there are no cells."""
        assert self._warden is not None
        protections = self._sandbox.given_now.given
        if instance.cell is not None:
            instance.cell.start(process, TASK, environment, output, arguments=arguments, protections=protections)
            return
        self._warden.start(
            process, version.code, environment, output, arguments=arguments, group=instance.group,
            protections=protections, paths=self._sandbox.open_to(version, readable),
        )  # fmt: skip

    def leaving(self, version_id: str = "") -> list[asyncio.Task[None]]:
        """What takes leave now, of one version or of all."""
        return [
            lifecycle.leaving
            for lifecycle in self._living
            if lifecycle.leaving is not None and version_id in ("", lifecycle.version_id)
        ]

    async def close(self) -> None:
        """Those that take leave are given the time for it."""
        leaving = self.leaving()
        if leaving:
            await asyncio.wait(leaving)


def _facts(version: Version) -> dict[str, str]:
    """ "Register", the response."""
    name, _, number = version.name.partition(":")
    account = version.log_owner.partition("/")[0]
    return {"functionName": name, "functionVersion": number, "handler": version.handler, "accountId": account}


def _paths(places: Places, environment: dict[str, str]) -> dict[str, str]:
    """PATH and LD_LIBRARY_PATH with what layers bring, where they lie when /opt is no folder of this machine's."""
    found = {}
    for variable, folder in (("PATH", "bin"), ("LD_LIBRARY_PATH", "lib")):
        brought = [Path(layer) / folder for layer in reversed(places.layers) if not places.trees]
        found[variable] = ":".join(
            [*filter(None, [environment.get(variable)]), *(str(path) for path in brought if path.is_dir())]
        )
    return found


def seen(path: Path, version: Version, places: Places) -> PurePosixPath:
    """A file of the code or of a layer, as an instance sees it."""
    if not places.trees:
        return PurePosixPath(path)
    for folder, place in ((version.code, TASK), *((layer, LAYERS) for layer in version.layers)):
        if path.is_relative_to(folder):
            return PurePosixPath(place) / path.relative_to(folder)
    raise AssertionError(path)


def extensions_of(version: Version) -> list[Path]:
    """The programs in /opt/extensions, by name; of two of one name that of the later layer."""
    found: dict[str, Path] = {}
    for layer in version.layers:
        folder = layer / "extensions"
        if folder.is_dir():
            found |= {path.name: path for path in folder.iterdir() if path.is_file()}
    return [found[name] for name in sorted(found)]
