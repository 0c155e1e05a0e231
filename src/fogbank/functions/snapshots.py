"""A snapshot that was asked for: a version's initialisation runs once, ahead of events, and instances begin where it
ended. Where what it left cannot be kept, the process that it ran in waits for the first event instead."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from fogbank.functions import births
from fogbank.functions.engine import InitFailed, NoRuntimeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.functions.births import Births
    from fogbank.functions.instances import Instance
    from fogbank.functions.model import Version

# Lambda Developer Guide, "Understanding the Lambda execution environment lifecycle", init phase: with SnapStart "130
# seconds or the configured function timeout (maximum 900 seconds), whichever is higher".
_INIT_LEAST_S, _INIT_MOST_S = 130.0, 900.0


class Snapshot:
    """Of one version on this server."""

    def __init__(self, births: Births, version: Version) -> None:
        self._births, self._version = births, version
        self._taking = asyncio.Lock()
        self._taken_s: float | None = None
        self.limit_s = min(max(version.timeout_ms / 1000, _INIT_LEAST_S), _INIT_MOST_S)

    async def take(self, told: Callable[[Instance], None]) -> Instance | None:
        """Unless it was taken. `told` hears of the instance that is initialised for it; the answer is that instance,
        where it is not kept. Raises `InitFailed` with the function's own error."""
        async with self._taking:
            if self._taken_s is not None:
                return None
            instance = await self._initialised(told)
            self._taken_s = time.perf_counter()
        if not instance.kept:
            return instance
        instance.kill()
        return None

    def is_older(self, than_s: float) -> bool:
        return self._taken_s is not None and time.perf_counter() - self._taken_s > than_s

    async def _initialised(self, told: Callable[[Instance], None]) -> Instance:
        try:
            instance = await self._births.spawn(self._version, told, snapshot=True)
        except NoRuntimeError as error:
            raise InitFailed(births.no_runtime(str(error))) from error
        try:
            problem = await self._births.initialise(instance, self.limit_s)
        except TimeoutError:
            problem = births.init_timed_out(self.limit_s)
        if problem is not None:
            instance.kill()
            raise InitFailed(problem)
        return instance
