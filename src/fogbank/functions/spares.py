"""One instance ahead of need, of a version that was asked for more than it had: a birth in a cell takes a while, longer
still where extensions come first, and an event that finds this one waits for none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fogbank.functions.engine import NoRuntimeError, RestoreFailed

if TYPE_CHECKING:
    from fogbank.functions.births import Births
    from fogbank.functions.instances import Instance
    from fogbank.functions.model import Version

_AFTER_S = 0.03  # The event that shows the need has the processors for itself.
_INIT_S = 10.0


class Spare:
    """Nobody counts it before an event takes it."""

    def __init__(self, births: Births, version: Version) -> None:
        self._births, self._version = births, version
        self._instance: Instance | None = None
        self._coming: asyncio.Task[None] | None = None

    def make(self) -> None:
        """Unless there is one, or will be."""
        if self._instance is None and self._coming is None:
            self._coming = asyncio.get_running_loop().create_task(self._bring())

    def take(self) -> Instance | None:
        instance, self._instance = self._instance, None
        if instance is None or instance.state != "idle":
            return None
        instance.fresh = True
        return instance

    def let_go(self) -> None:
        if self._coming is not None:
            self._coming.cancel()
        if self._instance is not None:
            self._instance.kill()
            self._instance = None

    def facts(self) -> list[dict[str, object]]:
        return [self._instance.facts() | {"state": "spare"}] if self._instance is not None else []

    async def _bring(self) -> None:
        try:
            await asyncio.sleep(_AFTER_S)
            instance = await self._births.spawn(self._version, lambda _: None, spare=True)
            if await self._births.initialise(instance, _INIT_S) is None:
                self._instance = instance
            else:
                instance.kill()
        except (NoRuntimeError, RestoreFailed, TimeoutError, OSError):
            pass  # Whoever needs an instance will hear of it.
        finally:
            self._coming = None
