"""Where a custom runtime's instances come from: what its code and its layers hold, and the environment each is born in.

Lambda Developer Guide, "Building a custom runtime for AWS Lambda".
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from fogbank.functions.logs import Log
from fogbank.functions.runtimes.provided.lifecycle import Lifecycle
from fogbank.functions.runtimes.provided.processes import Keeper, Process
from fogbank.functions.runtimes.provided.server import ApiServer

if TYPE_CHECKING:
    from pathlib import Path

    from fogbank.functions.instances import Instance
    from fogbank.functions.model import LogSink, Version
    from fogbank.kernel.clock import Clock
    from fogbank.kernel.telemetry import Telemetry

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


class ProvidedRuntime:
    def __init__(self, run_dir: Path, telemetry: Telemetry, log_sink: LogSink, clock: Clock) -> None:
        self._run_dir, self._telemetry, self._log_sink, self._clock = run_dir, telemetry, log_sink, clock
        self._keeper = Keeper()
        self._living: set[Lifecycle] = set()

    async def spawn(self, version: Version, instance: Instance, environment: dict[str, str], log_end: int) -> None:
        """Have an instance born. `log_end` is the pipe its runtime writes to, closed here or with that."""
        server = ApiServer(lambda line, request: lifecycle.answer(line, request), self._run_dir, self._telemetry)
        try:
            await self._keeper.ready()
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
        lifecycle = Lifecycle(instance, _facts(version), close)
        environment = _environment(version, environment) | {"AWS_LAMBDA_RUNTIME_API": address}
        self._living.add(lifecycle)

        def start_extension(process: Process) -> Log:
            allowed = {name: value for name, value in environment.items() if name not in _NOT_FOR_EXTENSIONS}
            read_end, write_end = os.pipe()
            self._keeper.start(process, version.code, allowed, write_end)
            os.close(write_end)
            return Log(read_end, version, instance.log.stream, self._log_sink, self._clock)

        def start_runtime() -> Process | None:
            found = _bootstrap(version)
            if found is None:
                return None
            process = Process(found, lifecycle.runtime_ended)
            process_end = output.pop()
            self._keeper.start(process, version.code, environment, process_end)
            os.close(process_end)
            return process

        lifecycle.begin_init(_extensions(version), start_extension, start_runtime)

    def retire(self, version_id: str) -> None:
        """Nothing is kept of a version beside its instances."""

    async def warm(self, runtime: str) -> None:
        await self._keeper.ready()

    async def close(self) -> None:
        """Those that take leave are given the time for it."""
        leaving = [lifecycle.leaving for lifecycle in self._living if lifecycle.leaving is not None]
        if leaving:
            await asyncio.wait(leaving)
        await self._keeper.close()


def _facts(version: Version) -> dict[str, str]:
    """ "Register", the response."""
    name, _, number = version.name.partition(":")
    account = version.log_owner.partition("/")[0]
    return {"functionName": name, "functionVersion": number, "handler": version.handler, "accountId": account}


def _environment(version: Version, given: dict[str, str]) -> dict[str, str]:
    """AWS_EXECUTION_ENV "is not defined for OS-only runtimes"; what layers bring is found where they lie."""
    environment = {name: value for name, value in given.items() if name != "AWS_EXECUTION_ENV"}
    for variable, folder in (("PATH", "bin"), ("LD_LIBRARY_PATH", "lib")):
        places = [str(layer / folder) for layer in reversed(version.layers) if (layer / folder).is_dir()]
        environment[variable] = ":".join([*filter(None, [environment.get(variable)]), *places])
    return environment


def _bootstrap(version: Version) -> Path | None:
    """In the code, or in a layer: a later one covers an earlier."""
    places = (version.code, *reversed(version.layers))
    return next((place / "bootstrap" for place in places if (place / "bootstrap").is_file()), None)


def _extensions(version: Version) -> list[Path]:
    """The programs in /opt/extensions, by name; of two of one name that of the later layer."""
    found: dict[str, Path] = {}
    for layer in version.layers:
        folder = layer / "extensions"
        if folder.is_dir():
            found |= {path.name: path for path in folder.iterdir() if path.is_file()}
    return [found[name] for name in sorted(found)]
