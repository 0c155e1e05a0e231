"""Built-in runtimes that a wrapper script starts: it is handed the command line, changes what it likes, and runs it.

Lambda Developer Guide, "Modifying the runtime environment", "Wrapper scripts". What the script starts speaks to the
Runtime API, wherever AWS_LAMBDA_RUNTIME_API says by then: some put a proxy there, some start another program instead.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Protocol

import orjson

from fogbank.functions.processes import Process
from fogbank.functions.runtimes.provided.runtime_api import RuntimeApi
from fogbank.functions.runtimes.table import Runtime
from fogbank.functions.sandbox.places import LAYERS, TASK

if TYPE_CHECKING:
    from fogbank.functions.instances import Instance
    from fogbank.functions.model import Version
    from fogbank.functions.runtimes.provided.host import Host
    from fogbank.functions.runtimes.provided.lifecycle import Lifecycle
    from fogbank.functions.sandbox.places import Places
    from fogbank.functions.sandbox.sandbox import Sandbox

VARIABLE: Final = "AWS_LAMBDA_EXEC_WRAPPER"
DEBUGGED: Final = "_DEBUGGED"  # What a process needs that waits for a debugger; the function sees nothing of it.
_SHELL: Final = PurePosixPath("/bin/sh")
_NAME: Final = "/var/runtime/bootstrap"  # Whose words the shell's own messages begin with.
# What each of Lambda's runtimes begins with, in its words and with its exit codes: they end up as Runtime.ExitError. A
# shell runs it, so a script without "#!" is run too.
_BEGIN: Final = """
wrapper=$AWS_LAMBDA_EXEC_WRAPPER
if [ ! -f "$wrapper" ]; then echo "$wrapper: does not exist"; exit 127; fi
if [ ! -x "$wrapper" ]; then echo "$wrapper: is not an executable"; exit 126; fi
exec "$wrapper" "$@"
"""


@dataclass(frozen=True, slots=True)
class Command:
    """How a process of a built-in runtime is started, as it is seen where it will run."""

    line: tuple[str, ...]  # The interpreter, its options, and one file: options are put before that by some scripts.
    environment: dict[str, str]
    readable: tuple[str, ...] = field(default=())  # Folders of this machine that it needs, where there are no cells.


class Wrappable(Runtime, Protocol):
    async def command(self, version: Version, instance: Instance, environment: dict[str, str]) -> Command:
        """Have a place ready for the instance, and say what is to be started there. Raises `NoRuntimeError`."""
        ...


class Wrapped:
    """A runtime of the table; instances of functions without a wrapper script come from `plain`."""

    def __init__(self, runtime: Wrappable, plain: Runtime, host: Host, sandbox: Sandbox) -> None:
        self._runtime, self._plain, self._host, self._sandbox = runtime, plain, host, sandbox
        self.settle, self.retire, self.close = plain.settle, plain.retire, plain.close
        self.warm, self.ready_debugger = plain.warm, plain.ready_debugger

    async def spawn(self, version: Version, instance: Instance, environment: dict[str, str], log_end: int) -> None:
        if version.web or not environment.get(VARIABLE):
            await self._plain.spawn(version, instance, environment, log_end)
            return

        def start(lifecycle: Lifecycle, environment: dict[str, str], output: int) -> Process:
            try:
                process = Process(_SHELL, lifecycle.runtime_ended)
                environment = environment | command.environment
                if DEBUGGED in environment:
                    tell = {"tell": environment["AWS_LAMBDA_RUNTIME_API"]}  # Past what a script puts before that.
                    environment[DEBUGGED] = orjson.dumps(orjson.loads(environment[DEBUGGED]) | tell).decode()
                self._host.start(
                    process, version, instance, environment, output,
                    arguments=("-c", _BEGIN, _NAME, *command.line), readable=command.readable,
                )  # fmt: skip
                return process
            finally:
                os.close(output)

        try:
            command = await self._runtime.command(version, instance, environment)
            places = await self._sandbox.places(version)
        except BaseException:
            os.close(log_end)
            raise
        environment = {**environment, VARIABLE: _found(environment[VARIABLE], version, places)}
        await self._host.begin(
            version, instance, environment, log_end,
            lambda lifecycle: RuntimeApi(
                lifecycle.progress, lifecycle.fail, lifecycle.hand_on,
                instance.on_debugger if version.debugged else None,
            ),
            start,
        )  # fmt: skip


def _found(script: str, version: Version, places: Places) -> str:
    """Where the script lies when /var/task and /opt are no folders of this machine's."""
    if places.trees:
        return script
    for seen, folders in ((TASK, (version.code,)), (LAYERS, tuple(reversed(version.layers)))):
        if script.startswith(f"{seen}/"):
            lie = [folder / script.removeprefix(f"{seen}/") for folder in folders]
            return next((str(path) for path in lie if path.is_file()), script)
    return script
