"""The place where execution environments live: a port for each, and one keeper that starts their programs."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from fogbank.functions.logs import Log
from fogbank.functions.runtimes.provided.lifecycle import Lifecycle
from fogbank.functions.runtimes.provided.processes import Keeper
from fogbank.functions.runtimes.provided.server import ApiServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fogbank.functions.instances import Instance
    from fogbank.functions.model import LogSink, Version
    from fogbank.functions.runtimes.provided.leaving import Program
    from fogbank.functions.runtimes.provided.lifecycle import Runtime
    from fogbank.functions.runtimes.provided.processes import Process
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
    def __init__(self, run_dir: Path, telemetry: Telemetry, log_sink: LogSink, clock: Clock) -> None:
        self.keeper = Keeper()
        self._run_dir, self._telemetry, self._log_sink, self._clock = run_dir, telemetry, log_sink, clock
        self._living: set[Lifecycle] = set()

    async def begin(
        self, version: Version, instance: Instance, environment: dict[str, str], log_end: int,
        runtime: Callable[[Lifecycle], Runtime], start: Start,
    ) -> None:  # fmt: skip
        """An environment for this instance, which begins its init. `start` has the runtime run with the variables and
        the output it is given, which it closes; None where there is nothing to run."""
        server = ApiServer(lambda line, request: lifecycle.answer(line, request), self._run_dir, self._telemetry)
        try:
            await self.keeper.ready()
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
        lifecycle = Lifecycle(instance, _facts(version), close, runtime)
        self._living.add(lifecycle)
        environment = {**environment, **_places(version, environment), "AWS_LAMBDA_RUNTIME_API": address}
        lifecycle.begin_init(
            extensions_of(version),
            lambda process: self._start_extension(version, instance, environment, process),
            lambda: start(lifecycle, environment, output.pop()),
        )

    def _start_extension(
        self, version: Version, instance: Instance, environment: dict[str, str], process: Process
    ) -> Log:  # fmt: skip
        allowed = {name: value for name, value in environment.items() if name not in _NOT_FOR_EXTENSIONS}
        read_end, write_end = os.pipe()
        self.keeper.start(process, version.code, allowed, write_end)
        os.close(write_end)
        return Log(read_end, version, instance.log.stream, self._log_sink, self._clock)

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
        await self.keeper.close()


def _facts(version: Version) -> dict[str, str]:
    """ "Register", the response."""
    name, _, number = version.name.partition(":")
    account = version.log_owner.partition("/")[0]
    return {"functionName": name, "functionVersion": number, "handler": version.handler, "accountId": account}


def _places(version: Version, environment: dict[str, str]) -> dict[str, str]:
    """PATH and LD_LIBRARY_PATH with what layers bring, where they lie: /opt is no folder of this machine's."""
    found = {}
    for variable, folder in (("PATH", "bin"), ("LD_LIBRARY_PATH", "lib")):
        places = [str(layer / folder) for layer in reversed(version.layers) if (layer / folder).is_dir()]
        found[variable] = ":".join([*filter(None, [environment.get(variable)]), *places])
    return found


def extensions_of(version: Version) -> list[Path]:
    """The programs in /opt/extensions, by name; of two of one name that of the later layer."""
    found: dict[str, Path] = {}
    for layer in version.layers:
        folder = layer / "extensions"
        if folder.is_dir():
            found |= {path.name: path for path in folder.iterdir() if path.is_file()}
    return [found[name] for name in sorted(found)]
