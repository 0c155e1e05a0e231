"""Functions that somebody debugs: one instance, which waits for a debugger, runs their events; nothing is timed out.

All of a function, or what comes through one of its aliases, or to one of its versions.

The code of a debugged function lies at the same place however often it is saved, so that a debugger finds it again.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
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
    from fogbank.kernel.store import Tx

_TIMEOUT_MS = 24 * 3_600_000  # Nobody looks at one event for longer.
_STILL_THERE_S = 1.0  # How soon it is noticed that whoever debugs has gone.


@dataclass(slots=True)
class _Session:
    who: state.Named  # With the qualifier of the events that are debugged; without one all are.
    folder: Path  # Where the code lies, in a folder for each version.
    seen_at: str  # Where that is seen by what runs it; empty: where it lies.
    port: int  # Where debuggers are waited for, one version after the other; 0: each where there is room.
    versions: dict[str, Version] = field(default_factory=dict)  # What callers get, by the version's number.
    stand_in_for: dict[str, str] = field(default_factory=dict)  # The ids of what they mean, likewise.
    made: set[str] = field(default_factory=set)  # The ids of all that there have been.
    news: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)

    def is_about(self, version: str, arn: str) -> bool:
        """`arn`: as an event names the function."""
        only = self.who.qualifier
        return only in ("", version) or arn.endswith(f":{self.who.name}:{only}")

    def seen(self, version: Version) -> str:
        return self.seen_at or str(version.code)


class Debugging:
    """One for each server. Nothing of it is kept: after a restart functions run as before."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.sessions: dict[str, _Session] = {}  # By the function's id.
        self._retiring: set[asyncio.Task[None]] = set()
        house.engine.on_debugger = self._waits

    async def begin(self, who: state.Named, port: int) -> AsyncGenerator[dict[str, Any], None]:
        """What there is to know, as it comes; nothing, in an empty one, now and then. Debugging ends with it. Raises
        `ServiceError`."""
        function, published = await self._house.store.transact(_found, who)
        runtime = str(published.settings["Runtime"])
        try:
            await self._house.engine.ready_debugger(runtime)
        except NoRuntimeError as error:
            told = f"{function.name} ({runtime}) cannot be debugged: {error}"
            raise ServiceError("InvalidParameterValueException", told) from error
        if function.id in self.sessions:
            raise ServiceError("ResourceConflictException", f"{function.name} is being debugged already", status=409)
        self._check_port(port)
        folder = self._house.config.run_dir.absolute() / "debug" / function.account / function.region / function.name
        place = _place(folder, published.version)
        seen_at = await self._house.engine.task_root(place)
        first = {"function": function.name, "runtime": runtime, "code": seen_at, "port": port}
        session = _Session(who, folder, "" if seen_at == str(place) else seen_at, port)
        return self._session(function.id, session, first)

    def _check_port(self, port: int) -> None:
        """Raises `ServiceError` where nothing can listen there, now or later."""
        if not port:
            return
        other = next((session.who.name for session in self.sessions.values() if session.port == port), "")
        why = f"the debugger of {other} is to come there" if other else _why_not(port)
        if why:
            told = f"nothing can wait for a debugger on port {port}: {why}"
            raise ServiceError("InvalidParameterValueException", told)

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

    def is_on(self, function_id: str, version: str, arn: str) -> bool:
        """Of events for that version that name the function by `arn`."""
        session = self.sessions.get(function_id)
        return session is not None and session.is_about(version, arn)

    def instead_of(self, target: Target) -> Version:
        """What runs the event: the version itself where nobody debugs its function."""
        session, number, meant = self.sessions.get(target.function.id), target.published.version, target.version
        if session is None or not session.is_about(number, target.arn):
            return meant
        if session.stand_in_for.get(number) != meant.id:
            if number in session.versions:
                self._retire(session.versions[number].id)
            session.stand_in_for[number] = meant.id
            session.versions[number] = _debugged(meant, _place(session.folder, number), session.port)
            session.made.add(session.versions[number].id)
        if session.port:
            self._leave_port_to(number, session)
        return session.versions[number]

    def _leave_port_to(self, number: str, session: _Session) -> None:
        """An instance listens for as long as it lives: the other versions' end, each after the event it is at."""
        for other in [other for other in session.versions if other != number]:
            self._retire(session.versions.pop(other).id)
            del session.stand_in_for[other]

    def _retire(self, version_id: str) -> None:
        """The code was saved: there is to be one instance, of the newest."""
        task = asyncio.get_running_loop().create_task(self._house.engine.retire(version_id))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _waits(self, version: Version, address: str) -> None:
        for session in self.sessions.values():
            if version.id in session.made:
                news = {"waits_at": address, "version": version.qualifier, "code": session.seen(version)}
                session.news.put_nowait(news)


def _place(folder: Path, number: str) -> Path:
    return folder / number.removeprefix("$").lower()


def _found(tx: Tx, who: state.Named) -> tuple[state.Function, state.Published]:
    function = state.find(tx, who)
    return function, state.published(tx, function, who)


def _why_not(port: int) -> str:
    """Empty where something can listen there."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
            trial.listen()
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return ""


def _debugged(version: Version, folder: Path, port: int) -> Version:
    """Its code at the same place as that of the versions before it, which have read theirs. Links: as quick as a few
    thousand names."""
    building = folder.with_name(f".new-{folder.name}")
    shutil.rmtree(building, ignore_errors=True)
    shutil.copytree(version.code, building, symlinks=True, copy_function=os.link)
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)
    return replace(
        version, id=f"{version.id}:debugged", code=folder, debugged=True, debugger_port=port, timeout_ms=_TIMEOUT_MS
    )  # fmt: skip
