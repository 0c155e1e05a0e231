"""What instances are put into: cells and control groups, where this machine gives them."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import orjson

from fogbank.functions.sandbox import peers, places, protections
from fogbank.functions.sandbox.cells import CellError, Warden
from fogbank.functions.sandbox.line import pair
from fogbank.functions.sandbox.peers import Peers
from fogbank.functions.sandbox.sockets import Sockets

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from fogbank.functions.model import Version
    from fogbank.functions.sandbox.cells import Cell
    from fogbank.functions.sandbox.groups import Group
    from fogbank.functions.sandbox.peers import Owns
    from fogbank.functions.sandbox.places import Places
    from fogbank.functions.sandbox.protections import Protections

Mode: TypeAlias = Literal["auto", "require", "off"]
_FIRST_UID: Final = 1_900_000_000  # Users that no machine has, one for each family of instances.
_UIDS: Final = 200_000_000  # Another server of this machine begins elsewhere among them.
_DISMISS_S = 5
_NEED_A_THREAD = 2  # Of so many layers one folder is made.
_SWEEPS, _SWEEP_EVERY_S = 20, 0.02
_REQUIRED: Final = {
    "namespaces": "no namespaces can be made here",
    "ports": "a port of an instance cannot be kept from the others",
}


@dataclass(slots=True)
class Started:
    """A warden, or the zygote that stands in its place, and what it was started as."""

    process: subprocess.Popen[bytes]
    warden: Warden | None = None


@dataclass(slots=True)
class Sandbox:
    run_dir: Path
    mode: Mode = "auto"
    _found: Protections | None = None
    _finding: asyncio.Lock = field(default_factory=asyncio.Lock)
    _uids: Any = field(default_factory=lambda: itertools.count(secrets.randbelow(_UIDS)))
    _started: list[Started] = field(default_factory=list)
    _nursery: Group | None = None  # One for all wardens.
    _sockets: Sockets | None = None

    async def given(self) -> Protections:
        """What this machine gives. Raises `CellError` where that is not enough for what was asked."""
        async with self._finding:
            if self._found is None:
                self._found = await asyncio.to_thread(self._find)
        if self.mode == "require":
            for name, told in _REQUIRED.items():
                if name not in self._found.given:
                    why = self._found.missing[name]
                    raise CellError(f"the sandbox is required (--sandbox require), and {told}: {why}")
        return self._found

    @property
    def given_now(self) -> Protections:
        """As `given`, once a warden was started."""
        assert self._found is not None
        return self._found

    def facts(self) -> dict[str, str]:
        found = self._found
        if found is None:
            return {}
        given = found.facts()
        if "landlock" in found.given and not found.cells and places.is_open(self.run_dir):
            given["landlock"] = places.told_open(self.run_dir.parent)
        return given

    def _find(self) -> Protections:
        shutil.rmtree(self._files, ignore_errors=True)  # Secrets that a server which was killed has left.
        self._files.mkdir(mode=0o700, parents=True)
        return protections.NONE if self.mode == "off" else protections.find(self._root())

    def _root(self) -> Path:
        """An empty folder, which becomes the root of what is seen."""
        folder = self.run_dir / "root"
        folder.mkdir(parents=True, exist_ok=True)
        return folder.resolve()

    async def places(self, version: Version) -> Places:
        if not (await self.given()).cells:
            if version.files:
                raise CellError("a secret can be mounted as a file only where this machine gives namespaces")
            return places.on_this_machine(version)
        together = self.run_dir / "layers"
        if len(version.layers) < _NEED_A_THREAD and not version.files:
            return places.in_a_cell(version, together, self._files)
        return await asyncio.to_thread(places.in_a_cell, version, together, self._files)

    @property
    def _files(self) -> Path:
        return self.run_dir / "files"

    def forget(self, version: Version) -> None:
        """What was mounted of it lies nowhere any more."""
        if version.files:
            shutil.rmtree(self._files / version.id, ignore_errors=True)

    async def group(self, memory_mb: int, tmp_mb: int) -> Group | None:
        """Raises `CellError`."""
        groups = (await self.given()).groups
        if groups is None:
            return None
        try:
            return groups.make(memory_mb, tmp_mb)
        except OSError as error:
            raise CellError(f"no control group could be made: {error}") from error

    async def cell(self, warden: Warden, memory_mb: int, tmp_mb: int, trees: Mapping[str, Path]) -> Cell:
        """Raises `CellError`."""
        uid = _FIRST_UID + next(self._uids) % _UIDS if os.geteuid() == 0 else None
        return await warden.cell(uid, tmp_mb, trees, await self.group(memory_mb, tmp_mb))

    async def inner(self, cell: Cell, version: Version) -> Cell:
        """For a fork of the template that lives in `cell`."""
        return await cell.inner(version.ephemeral_mb, await self.group(version.memory_mb, version.ephemeral_mb))

    async def peers(self, cell: Cell | None, group: Group | None, leaders: Callable[[], Iterable[int]]) -> Peers:
        """The processes of the instance that lives there. `leaders`: those that are known. Raises `CellError`."""
        if "ports" not in (await self.given()).given:
            return Peers(None, lambda _: True)
        if self._sockets is None:
            self._sockets = Sockets()
        return Peers(self._sockets, _owns(cell, group, leaders))

    async def start(
        self, interpreter: str, *, zygote: socket.socket | None = None, folders: tuple[Path, ...] = (),
        runtime: Path | None = None, loads: bool = False, prefixes: tuple[str, ...] = (), web: bool = False,
    ) -> Started:  # fmt: skip
        """A warden by this interpreter, ready. With `zygote` (the end of a socket that a nursery speaks to) also a
        zygote, out of the modules in `folders`, which finds the packages in `runtime`, and `loads` them if they are
        AWS's SDK. `prefixes`: folders that are seen where they are; `web`: its instances are web applications, and
        `runtime` is loaded always. Raises `CellError`."""
        given = await self.given()
        ours, theirs = pair()
        settings: dict[str, Any] = {"protections": given.given, "control": theirs.fileno()}
        binds = {places.RUNTIME: str(runtime)} if runtime is not None else {}
        settings |= {"at": str(self._root()), "prefixes": prefixes, "binds": binds, "web": web}
        if given.cells and given.groups is not None and self._nursery is None:
            self._nursery = given.groups.nursery()
        nursery = self._nursery.fds if self._nursery is not None else []
        settings["groups"], passed = nursery, [theirs.fileno(), *nursery]
        if zygote is not None:
            settings |= {"zygote": zygote.fileno(), "runtime": str(runtime or ""), "loads": loads}
            passed.append(zygote.fileno())
        program = str(protections.INSIDE / "warden.py")
        command = [interpreter, "-I", "-S", "-B", program, orjson.dumps(settings).decode()]
        process = await asyncio.to_thread(
            subprocess.Popen, [*command, *map(str, folders)], pass_fds=passed, stdin=subprocess.DEVNULL,
            env={"LANG": "en_US.UTF-8", "TZ": ":UTC"}, start_new_session=True,
        )  # fmt: skip
        theirs.close()
        started = Started(process)
        self._started.append(started)
        if zygote is not None and not given.cells:
            ours.close()
            return started
        started.warden = Warden(ours, self._nursery)
        await started.warden.ready()
        return started

    def runtime_at(self, folder: str) -> str:
        """Where the packages of `start`'s `runtime` are seen. Known once that was called."""
        return places.RUNTIME if self.given_now.cells else folder

    def open_to(self, version: Version, more: tuple[str, ...] = ()) -> tuple[list[str], list[str]]:
        """Where there are no cells: the paths that an instance may read, and those that it may write below."""
        own = (str(version.code), *(str(layer) for layer in version.layers))
        return [*places.SYSTEM, *own, *more], list(places.WRITTEN)

    async def close(self) -> None:
        if self._sockets is not None:
            self._sockets.close()
        for started in self._started:
            if started.warden is not None:
                started.warden.close()
        for started in self._started:
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(started.process.wait, _DISMISS_S)
        if self._nursery is not None:
            self._nursery.close()
        groups = self._found.groups if self._found is not None else None
        for _ in range(_SWEEPS):  # The kernel takes a moment to see the last process go.
            if groups is None or groups.close():
                break
            await asyncio.sleep(_SWEEP_EVERY_S)


def _owns(cell: Cell | None, group: Group | None, leaders: Callable[[], Iterable[int]]) -> Owns:
    """What tells surest here what an instance's sockets are."""
    if cell is not None and cell.uid is not None:
        return peers.of_user(cell.uid)
    if cell is not None:
        return peers.of_processes(lambda: peers.family([cell.keeper, *leaders()]))
    if group is not None:
        return peers.of_processes(group.members)
    return peers.of_processes(lambda: peers.family_and_sessions(leaders()))
