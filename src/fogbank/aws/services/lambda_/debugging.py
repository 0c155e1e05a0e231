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
from fogbank.functions.engine import NoRuntimeError

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
    folder: Path  # Where the code lies, in a folder for each version.
    seen_at: str  # Where the newest is seen by what runs it.
    versions: dict[str, Version] = field(default_factory=dict)  # What callers get, by the version's number.
    stand_in_for: dict[str, str] = field(default_factory=dict)  # The ids of what they mean, likewise.
    made: set[str] = field(default_factory=set)  # The ids of all that there have been.
    news: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)


class Debugging:
    """One for each server. Nothing of it is kept: after a restart functions run as before."""

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
        try:
            await self._house.engine.ready_debugger(runtime)
        except NoRuntimeError as error:
            told = f"{function.name} ({runtime}) cannot be debugged: {error}"
            raise ServiceError("InvalidParameterValueException", told) from error
        if function.id in self.sessions:
            raise ServiceError("ResourceConflictException", f"{function.name} is being debugged already", status=409)
        folder = self._house.config.run_dir.absolute() / "debug" / function.account / function.region / function.name
        seen_at = await self._house.engine.task_root(_place(folder, state.LATEST))
        first = {"function": function.name, "runtime": runtime, "code": seen_at}
        return self._session(function.id, _Session(folder, seen_at), first)

    async def _session(
        self, function_id: str, session: _Session, first: dict[str, Any]
    ) -> AsyncGenerator[dict[str, Any], None]:
        if self.sessions.setdefault(function_id, session) is not session:  # Another began in this moment.
            return
        try:
            yield first
            while True:
                try:
                    yield await asyncio.wait_for(session.news.get(), _STILL_THERE_S)
                except TimeoutError:
                    yield {}
        finally:
            del self.sessions[function_id]
            for version_id in session.made:
                await self._house.engine.abandon(version_id)
            shutil.rmtree(session.folder, ignore_errors=True)

    def is_on(self, function_id: str) -> bool:
        return function_id in self.sessions

    def instead_of(self, target: Target) -> Version:
        """What runs the event: the version itself where nobody debugs its function."""
        session = self.sessions.get(target.function.id)
        if session is None:
            return target.version
        number, meant = target.published.version, target.version
        if session.stand_in_for.get(number) != meant.id:
            if number in session.versions:
                self._retire(session.versions[number].id)
            session.stand_in_for[number] = meant.id
            session.versions[number] = _debugged(meant, _place(session.folder, number))
            session.made.add(session.versions[number].id)
        return session.versions[number]

    def _retire(self, version_id: str) -> None:
        """The code was saved: there is to be one instance, of the newest."""
        task = asyncio.get_running_loop().create_task(self._house.engine.retire(version_id))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _waits(self, version: Version, address: str) -> None:
        for session in self.sessions.values():
            if version.id in session.made:
                news = {"waits_at": address, "version": version.qualifier, "code": session.seen_at}
                session.news.put_nowait(news)


def _place(folder: Path, number: str) -> Path:
    return folder / number.removeprefix("$").lower()


def _debugged(version: Version, folder: Path) -> Version:
    """Its code at the same place as that of the versions before it, which have read theirs. Links: as quick as a few
    thousand names."""
    building = folder.with_name(f".new-{folder.name}")
    shutil.rmtree(building, ignore_errors=True)
    shutil.copytree(version.code, building, symlinks=True, copy_function=os.link)
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)
    return replace(version, id=f"{version.id}:debugged", code=folder, debugged=True, timeout_ms=_TIMEOUT_MS)
