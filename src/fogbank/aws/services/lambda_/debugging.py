"""Functions that somebody debugs: one instance, which waits for a debugger, runs their events; nothing is timed out.

The code of a debugged function lies at the same place however often it is saved, so that a debugger finds it again.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import ServiceError
from fogbank.aws.services.lambda_ import state

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from fogbank.aws.service import House
    from fogbank.aws.services.lambda_.admission import Target
    from fogbank.functions.model import Version

_TIMEOUT_MS = 24 * 3_600_000  # Nobody looks at one event for longer.
_STILL_THERE_S = 1.0  # How soon it is noticed that whoever debugs has gone.


@dataclass(slots=True)
class _Session:
    folder: Path  # Where the code lies.
    stands_in_for: str = ""  # The id of the version that callers mean.
    version: Version | None = None  # What they get.
    news: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)


class Debugging:
    """One for each server."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.sessions: dict[str, _Session] = {}  # By the function's id.
        self._retiring: set[asyncio.Task[None]] = set()
        house.engine.on_debugger = self._waits

    async def begin(self, who: state.Named) -> AsyncGenerator[dict[str, Any], None]:
        """What there is to know, as it comes; nothing, in an empty one, now and then. Debugging ends with it. Raises
        `ServiceError`."""
        function = await self._house.store.transact(state.find, who)
        runtime = str(function.latest.settings["Runtime"])
        if not runtime.startswith(("python", "nodejs")):
            told = f"A debugger for {runtime} is not served by fogbank: its bootstrap may start one of its own."
            raise ServiceError("InvalidParameterValueException", told)
        if function.id in self.sessions:
            raise ServiceError("ResourceConflictException", f"{function.name} is being debugged already.", status=409)
        session = _Session(self._house.config.run_dir.absolute() / "debug" / function.name)
        return self._session(function, session, {"function": function.name, "runtime": runtime})

    async def _session(
        self, function: state.Function, session: _Session, first: dict[str, Any]
    ) -> AsyncGenerator[dict[str, Any], None]:
        self.sessions[function.id] = session
        try:
            yield first | {"code": str(session.folder)}
            while True:
                try:
                    yield await asyncio.wait_for(session.news.get(), _STILL_THERE_S)
                except TimeoutError:
                    yield {}
        finally:
            if self.sessions.get(function.id) is session:
                del self.sessions[function.id]
            if session.version is not None:
                await self._house.engine.retire(session.version.id)

    def instead_of(self, target: Target) -> Version:
        """What runs the event: the version itself where nobody debugs its function."""
        session = self.sessions.get(target.function.id)
        if session is None:
            return target.version
        if session.version is None or session.stands_in_for != target.version.id:
            if session.version is not None:
                self._retire(session.version.id)
            session.stands_in_for = target.version.id
            session.version = _debugged(target.version, session.folder)
        return session.version

    def _retire(self, version_id: str) -> None:
        """The code was saved: there is to be one instance, of the newest."""
        task = asyncio.get_running_loop().create_task(self._house.engine.retire(version_id))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _waits(self, version: Version, address: str) -> None:
        for session in self.sessions.values():
            if version is session.version:
                session.news.put_nowait({"waits_at": address, "version": version.qualifier})


def _debugged(version: Version, folder: Path) -> Version:
    """Its code at the same place as that of the versions before it, which have read theirs. Links: as quick as a few
    thousand names."""
    building = folder.with_name(f".new-{folder.name}")
    shutil.rmtree(building, ignore_errors=True)
    shutil.copytree(version.code, building, symlinks=True, copy_function=os.link)
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)
    return replace(version, id=f"{version.id}:debugged", code=folder, debugged=True, timeout_ms=_TIMEOUT_MS)
