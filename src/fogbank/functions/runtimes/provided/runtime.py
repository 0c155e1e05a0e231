"""Where a custom runtime's instances come from: a program named `bootstrap`, in the code or in a layer.

Lambda Developer Guide, "Building a custom runtime for AWS Lambda".
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fogbank.functions.engine import NoRuntimeError
from fogbank.functions.processes import Process
from fogbank.functions.runtimes.provided.host import seen
from fogbank.functions.runtimes.provided.runtime_api import RuntimeApi

if TYPE_CHECKING:
    from pathlib import Path

    from fogbank.functions.instances import Instance
    from fogbank.functions.model import Version
    from fogbank.functions.runtimes.provided.host import Host
    from fogbank.functions.runtimes.provided.lifecycle import Lifecycle
    from fogbank.functions.sandbox.sandbox import Sandbox


class ProvidedRuntime:
    def __init__(self, host: Host, sandbox: Sandbox) -> None:
        self._host, self._sandbox = host, sandbox

    async def spawn(self, version: Version, instance: Instance, environment: dict[str, str], log_end: int) -> None:
        def start(lifecycle: Lifecycle, environment: dict[str, str], output: int) -> Process | None:
            try:
                if found is None:
                    return None
                process = Process(seen(found, version, places), lifecycle.runtime_ended)
                self._host.start(process, version, instance, environment, output)
                return process
            finally:
                os.close(output)

        try:
            found, places = _bootstrap(version), await self._sandbox.places(version)
            await self.settle(version, instance)
        except BaseException:
            os.close(log_end)
            raise
        # "This environment variable is not defined for OS-only runtimes": AWS_EXECUTION_ENV.
        environment = {name: value for name, value in environment.items() if name != "AWS_EXECUTION_ENV"}
        await self._host.begin(
            version, instance, environment, log_end,
            lambda lifecycle: RuntimeApi(lifecycle.progress, lifecycle.fail, lifecycle.hand_on), start,
        )  # fmt: skip

    async def settle(self, version: Version, instance: Instance) -> None:
        await self._host.settle(version, instance)

    def retire(self, version_id: str) -> None:
        """Nothing is kept of a version beside its instances."""

    async def ready_debugger(self) -> None:
        raise NoRuntimeError("fogbank cannot know how a bootstrap is debugged: let it start a debugger of its own")

    async def warm(self, runtime: str, *, wholly: bool) -> None:
        await self._host.ready()

    async def close(self) -> None:
        """The host is closed by whoever made it."""


def _bootstrap(version: Version) -> Path | None:
    """In the code, or in a layer: a later one covers an earlier."""
    places = (version.code, *reversed(version.layers))
    return next((place / "bootstrap" for place in places if (place / "bootstrap").is_file()), None)
