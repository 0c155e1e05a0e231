"""Which runtime a version's instances come from: the one whose name begins its own ("python3.12": python)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from fogbank.functions.engine import NoRuntimeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.functions.instances import Instance
    from fogbank.functions.model import Version


class Runtime(Protocol):
    async def spawn(self, version: Version, instance: Instance, environment: dict[str, str], log_end: int) -> None:
        """Have a process on its way that will say by its channel when it is ready. It writes to the pipe `log_end`,
        which is closed here. Raises `NoRuntimeError`."""
        ...

    async def settle(self, version: Version, instance: Instance) -> None:
        """Have the place ready that the instance will live in, for programs that are there before it. Raises
        `NoRuntimeError`."""
        ...

    def retire(self, version_id: str) -> None:
        """The version's last instance is gone."""
        ...

    async def warm(self, runtime: str, *, wholly: bool) -> None:
        """Have ready what any first instance of a runtime of this name would wait for; or, of that, only what takes
        long."""
        ...

    async def ready_debugger(self) -> None:
        """Have at hand what its functions are debugged with. Raises `NoRuntimeError`."""
        ...

    async def close(self) -> None: ...


class Runtimes:
    def __init__(self, families: Mapping[str, Runtime]) -> None:
        self._families = families

    def of(self, name: str) -> Runtime:
        """Raises `NoRuntimeError`."""
        for family, runtime in self._families.items():
            if name.startswith(family):
                return runtime
        raise NoRuntimeError(f"no function of {name} runs here")

    async def close(self) -> None:
        for runtime in self._families.values():
            await runtime.close()
