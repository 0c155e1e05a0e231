"""The server's side of Node: a few warm processes waiting, one claimed and told its function for each instance.

Those that wait are of kinds: plain ones, and ones that have loaded the SDK's clients that some function names.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from fogbank.functions.engine import NoRuntimeError
from fogbank.functions.processes import Process
from fogbank.functions.runtimes.node import needs, sdk
from fogbank.functions.runtimes.wrapped import DEBUGGED, Command
from fogbank.functions.sandbox.places import LAYERS, SDK_V2, SDK_V3, task_of
from fogbank.functions.sandbox.protections import own_interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.functions.http.doorway import Doorway, Doorways
    from fogbank.functions.instances import Instance
    from fogbank.functions.model import Version
    from fogbank.functions.runtimes.node.needs import Needs
    from fogbank.functions.sandbox.cells import Cell, Warden
    from fogbank.functions.sandbox.groups import Group
    from fogbank.functions.sandbox.places import Places
    from fogbank.functions.sandbox.sandbox import Sandbox
    from fogbank.kernel.telemetry import Telemetry

_INSIDE = Path(__file__).parent / "inside"
_REDIRECT_V2, _REDIRECT_RESPONSES = "redirect_sdk_v2.js", "redirect_responses.js"
# Of those that Lambda starts Node with, the ones that change what a function sees.
_OPTIONS = ("--expose-gc", "--max-http-header-size=81920")
_SPARES = 2  # Of each kind.
_KINDS_MAX = 4
_SDKS = {"v2": SDK_V2, "v3": SDK_V3}  # Where they are seen in a cell.
_MOST_MEMORY_MB, _MOST_TMP_MB = 10_240, 10_240  # Lambda quotas; of one that waits for its function.

_FRAMEWORK = "nodejs/node_modules/@google-cloud/functions-framework/build/src"
# What its program loads before it looks for the function.
_OF_FRAMEWORK = ("server.js", "loader.js", "options.js", "logger.js", "invoker.js")


_GOOGLES = "@google-cloud/"
_PRELOADED_MAX = 8


@dataclass(frozen=True, slots=True)
class Kind:
    """Of processes that wait."""

    modules: tuple[str, ...] = ()  # What it has loaded, by their paths.
    packages: Path | None = None  # Of a web application: the layer that those are from; it waits for no other.


_PLAIN = Kind()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process lives: a cell, or control groups alone, or neither."""

    cell: Cell | None = None
    alone: Group | None = None

    @property
    def group(self) -> Group | None:
        return self.cell.group if self.cell is not None else self.alone

    def close(self) -> None:
        for one in (self.cell, self.alone):
            if one is not None:
                one.close()


@dataclass(slots=True, eq=False)
class _Spare:
    """A process that waits. Its output is a pipe of its own, joined to the instance's log when it is claimed."""

    end: socket.socket
    output: int
    place: Place
    errors: int = -1  # Of a web application: its second output, and where it is spoken to.
    door: Doorway | None = None
    process: Process | None = None
    instance: Instance | None = None  # Once it is claimed.

    def told(self, process: Process) -> None:
        if self.instance is not None:
            self.instance.ended(process.status or 0)

    def close(self) -> None:
        if self.process is not None:
            self.process.signal(signal.SIGKILL)
        self.place.close()
        self.end.close()
        os.close(self.output)
        if self.door is not None:
            self.door.close()
            os.close(self.errors)

    def become(self, instance: Instance) -> None:
        self.instance, instance.cell, instance.group = instance, self.place.cell, self.place.alone
        instance.log.follow(self.output)
        if self.door is not None and instance.door is not None and instance.errors is not None:
            instance.door.close()
            instance.door = self.door
            instance.errors.follow(self.errors)


class NodeRuntime:
    def __init__(self, cache_dir: Path, telemetry: Telemetry, sandbox: Sandbox, doorways: Doorways) -> None:
        self._cache_dir, self._telemetry, self._sandbox = cache_dir, telemetry, sandbox
        self._doorways = doorways
        self._spares: dict[Kind, list[_Spare]] = {}  # The kind that was asked for last stands last.
        self._wardens: dict[bool, Warden] = {}  # One is there for web applications.
        self._starting = asyncio.Lock()
        self._refill: asyncio.Task[None] | None = None
        self._installing = asyncio.Lock()
        self._major = 0
        self._needs: dict[str, Needs] = {}
        self._warned: set[str] = set()

    async def spawn(self, version: Version, instance: Instance, environment: dict[str, str], log_end: int) -> None:
        try:
            needed = await self._look_at(version, instance)
            folders = await self._sdks(needed, instance)
            seen = await self._sdks_seen(folders)
            if instance.is_placed:
                spare = await self._start(_PLAIN, Place(instance.cell, instance.group), version, environment)
            else:
                kind = await self._web_kind(version) if version.web else _kind(needed, folders, seen)
                spare = await self._claim(kind, version, environment, folders)
        finally:
            os.close(log_end)
        spare.become(instance)
        assert spare.process is not None
        instance.pid = spare.process.pid
        if spare.process.over:  # Before anybody could hear of it.
            instance.ended(spare.process.status or 0)
        frames = await instance.open(spare.end)
        places = await self._sandbox.places(version)
        frames.send(_order(version, places, environment, needed, list(seen.values())))

    async def command(self, version: Version, instance: Instance, environment: dict[str, str]) -> Command:
        needed = await self._look_at(version, instance)
        folders = await self._sdks(needed, instance)
        seen = await self._sdks_seen(folders)
        await self.settle(version, instance)
        places = await self._sandbox.places(version)
        asked = [environment["NODE_PATH"]] if environment.get("NODE_PATH") else []
        found = [*asked, *_node_path(version, places, needed, list(seen.values())), places.code]
        inside = self._sandbox.runtime_at(str(_INSIDE))
        hooks = [_REDIRECT_RESPONSES, *([_REDIRECT_V2] if needed.uses_v2 else [])]
        loaded = [part for hook in hooks for part in ("--require", f"{inside}/{hook}")]
        line = (_node(), *_OPTIONS, *loaded, f"{inside}/index.mjs")
        # As /var/lang/bin in Lambda: a script may call Node by its name alone.
        variables = {"NODE_PATH": ":".join(found), "PATH": f"{Path(_node()).parent}:{environment['PATH']}"}
        if version.debugged:
            variables[DEBUGGED] = orjson.dumps({"port": version.debugger_port}).decode()
        return Command(line, variables, (inside, _home(), str(self._cache_dir)))

    async def settle(self, version: Version, instance: Instance) -> None:
        folders = await self._sdks(await self._look_at(version, instance), instance)
        trees = await self._trees(version, folders)
        place = await self._place(version.memory_mb, version.ephemeral_mb, trees, web=version.web)
        instance.cell, instance.group = place.cell, place.alone

    async def _place(self, memory_mb: int, tmp_mb: int, trees: Mapping[str, Path], *, web: bool) -> Place:
        """Raises `CellError`."""
        if (await self._sandbox.given()).cells:
            return Place(cell=await self._sandbox.cell(await self._ready(web=web), memory_mb, tmp_mb, trees))
        return Place(alone=await self._sandbox.group(memory_mb, tmp_mb))

    async def _trees(self, version: Version, folders: Mapping[str, Path]) -> dict[str, Path]:
        """What its cell shows: its code, its layers, and the SDKs that it is lent."""
        trees = (await self._sandbox.places(version)).trees
        return {**trees, **{_SDKS[generation]: folder for generation, folder in folders.items()}}

    def retire(self, version_id: str) -> None:
        self._needs.pop(version_id, None)

    async def warm(self, runtime: str, *, wholly: bool) -> None:
        """Have processes waiting before the first function asks for one."""
        if shutil.which("node") is not None:
            self._spares.setdefault(_PLAIN, [])
            self._fill_behind()

    async def ready_debugger(self) -> None:
        """It is a part of Node."""

    async def close(self) -> None:
        if self._refill is not None:
            self._refill.cancel()
            await asyncio.wait([self._refill])
        for kind in list(self._spares):
            self._dismiss(kind)

    async def _ready(self, *, web: bool) -> Warden:
        """Whoever makes the cells, or starts the processes itself. Raises `NoRuntimeError`."""
        async with self._starting:
            if web not in self._wardens or not self._wardens[web].alive:
                started = await self._sandbox.start(own_interpreter(), runtime=_INSIDE, prefixes=(_home(),), web=web)
                assert started.warden is not None
                self._wardens[web] = started.warden
            return self._wardens[web]

    # -- processes that wait --

    async def _claim(
        self, kind: Kind, version: Version, environment: Mapping[str, str], folders: Mapping[str, Path]
    ) -> _Spare:  # fmt: skip
        given = await self._sandbox.given()
        if any(_is_read_at_start(name) for name in environment) or ("landlock" in given.given and not given.cells):
            # What Node reads when it starts, and what Landlock lets it read, cannot be told to one that waits already.
            trees = await self._trees(version, folders)
            place = await self._place(version.memory_mb, version.ephemeral_mb, trees, web=version.web)
            return await self._start(Kind(packages=kind.packages), place, version, environment)
        self._spares.setdefault(_PLAIN, [])
        self._spares[kind] = self._spares.pop(kind, [])
        spare, loaded = await self._waiting(kind)
        self._fill_behind()
        try:
            await self._furnish(spare, version, folders, loaded)
        except BaseException:
            spare.close()
            raise
        return spare

    async def _waiting(self, kind: Kind) -> tuple[_Spare, Kind]:
        """One of that kind, else a plain one; else one that is started now. And with what it is loaded."""
        for known in (kind, _PLAIN) if kind.packages is None else (kind,):
            while self._spares[known]:
                spare = self._spares[known].pop()
                if spare.process is not None and not spare.process.over:
                    return spare, known
                spare.close()
        return await self._start_waiting(kind), kind

    async def _furnish(self, spare: _Spare, version: Version, folders: Mapping[str, Path], loaded: Kind) -> None:
        if spare.place.cell is not None:
            trees = await self._trees(version, folders)
            if loaded.modules or loaded.packages:
                trees.pop(SDK_V3 if loaded.packages is None else LAYERS, None)  # It is there.
            warden = await self._ready(web=version.web)
            await spare.place.cell.furnish(await warden.trees(trees), version.ephemeral_mb)
        if spare.place.group is not None:
            spare.place.group.limit(version.memory_mb, version.ephemeral_mb)

    async def _start_waiting(self, loaded: Kind) -> _Spare:
        """In a place of its own, as large as any function may need."""
        trees = {SDK_V3: sdk.folder(self._cache_dir, "v3")} if loaded.modules else {}
        if loaded.packages is not None:
            trees = {LAYERS: loaded.packages}
        web = loaded.packages is not None
        return await self._start(loaded, await self._place(_MOST_MEMORY_MB, _MOST_TMP_MB, trees, web=web))

    async def _start(
        self, loaded: Kind, place: Place, version: Version | None = None, environment: Mapping[str, str] | None = None
    ) -> _Spare:  # fmt: skip
        """A process that waits to become a function; with `version` it is told which."""
        warden = await self._ready(web=loaded.packages is not None)
        node, given = _node(), await self._sandbox.given()
        inside = Path(self._sandbox.runtime_at(str(_INSIDE)))
        own = {name: value for name, value in (environment or {}).items() if _is_read_at_start(name)}
        ours, theirs = socket.socketpair()
        read_end, write_end = os.pipe()
        spare = _Spare(ours, read_end, place)
        fds, program, errors_end = {"events": theirs.fileno()}, ["bootstrap.js", "{events}"], -1
        if loaded.packages is not None:
            spare.door = self._doorways.open()
            spare.errors, errors_end = os.pipe()
            fds |= {"listen": spare.door.end, "errors": errors_end}
            program = ["web.js", "{events}", "{listen}"]
            own = {"NODE_ENV": "production", **own}
        try:
            spare.process = Process(Path(node), spare.told)
            (place.cell or warden).start(
                spare.process, "/" if version is None else task_of(version) if place.cell is not None else version.code,
                {"PATH": os.environ.get("PATH", ""), "TZ": ":UTC", "LANG": "en_US.UTF-8", **own}, write_end,
                arguments=(
                    *_OPTIONS, "--require", str(inside / _REDIRECT_RESPONSES), str(inside / program[0]), *program[1:],
                    *loaded.modules,
                ),
                fds=fds, group=place.alone, protections=given.given,
                paths=None if version is None else self._sandbox.open_to(
                    version, (str(inside), _home(), str(self._cache_dir))
                ),
            )  # fmt: skip
            await spare.process.begun()
        except OSError as error:
            spare.close()
            raise NoRuntimeError(f"node could not be started: {error}") from error
        except BaseException:
            spare.close()
            raise
        finally:
            theirs.close()
            os.close(write_end)
            if spare.door is not None:
                spare.door.handed_over()
                os.close(errors_end)
        ours.setblocking(False)
        return spare

    def _fill_behind(self) -> None:
        if self._refill is None:
            self._refill = asyncio.get_running_loop().create_task(self._fill())

    async def _fill(self) -> None:
        try:
            for kind in [kind for kind in self._spares if kind != _PLAIN][: 1 - _KINDS_MAX or None]:
                self._dismiss(kind)
            while short := [kind for kind, waiting in self._spares.items() if len(waiting) < _SPARES]:
                made = await self._start_waiting(short[-1])
                self._spares.setdefault(short[-1], []).append(made)
        except NoRuntimeError as error:  # The next function that needs one is told.
            self._telemetry.error("no node process could be made ready", error=str(error))
        finally:
            self._refill = None

    def _dismiss(self, kind: Kind) -> None:
        for spare in self._spares.pop(kind, []):
            spare.close()

    # -- what a function finds there --

    async def _look_at(self, version: Version, instance: Instance) -> Needs:
        if version.id not in self._needs:
            self._needs[version.id] = await asyncio.to_thread(needs.of, version)
        found = self._needs[version.id]
        if not self._major:
            self._major = await asyncio.to_thread(_installed_major)
        if self._major and found.major and self._major != found.major:
            self._say_once(instance, f"this machine has no {version.runtime}; Node.js {self._major} runs it instead")
        if "v2" in found.generations and found.major > needs.LAST_WITH_V2:
            self._say_once(instance, f"{version.runtime} has no `aws-sdk` v2 in Lambda; here the function is given it")
        return found

    async def _web_kind(self, version: Version) -> Kind:
        packages = version.layers[0] if version.layers else version.code
        at = LAYERS if (await self._sandbox.given()).cells else str(packages)
        return Kind(tuple(f"{at}/{name}" for name in await asyncio.to_thread(_of_web, packages)), packages)

    async def _sdks(self, needed: Needs, instance: Instance) -> dict[str, Path]:
        """The folders of the SDKs that it is lent, by generation: what `require` finds after the function's own."""
        folders = {}
        async with self._installing:
            for generation in needed.generations:
                try:
                    folders[generation] = await asyncio.to_thread(sdk.folder, self._cache_dir, generation)
                except sdk.SdkError as error:  # The function may do without: it will say what it misses.
                    self._say_once(instance, str(error))
        return folders

    async def _sdks_seen(self, folders: Mapping[str, Path]) -> dict[str, str]:
        has_cells = (await self._sandbox.given()).cells
        return {one: _SDKS[one] if has_cells else str(folder) for one, folder in folders.items()}

    def _say_once(self, instance: Instance, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            instance.log.note(text)


def _of_web(packages: Path) -> list[str]:
    """The modules that a web application's process loads whatever its function does, and Google's clients that it
    names: what they read from the environment they read when they are used."""
    framework = [f"{_FRAMEWORK}/{name}" for name in _OF_FRAMEWORK if (packages / _FRAMEWORK / name).is_file()]
    try:
        manifest = orjson.loads((packages / "nodejs/package.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        manifest = {}
    named = sorted(name for name in manifest.get("dependencies", {}) if name.startswith(_GOOGLES))[:_PRELOADED_MAX]
    return [*framework, *(f"nodejs/node_modules/{name}" for name in named)]


def _kind(needed: Needs, folders: Mapping[str, Path], seen: Mapping[str, str]) -> Kind:
    """With what a process should be loaded that becomes this function."""
    at = folders.get("v3")
    return Kind(tuple(f"{seen['v3']}/{name}" for name in needed.preloaded if (at / name).is_dir())) if at else _PLAIN


def _order(
    version: Version, places: Places, environment: Mapping[str, str], needed: Needs, sdks: list[str]
) -> bytes:  # fmt: skip
    found = _node_path(version, places, needed, sdks)
    return orjson.dumps(
        {
            "handler": version.handler,
            "runtime": version.runtime,
            "code": places.code,
            "environment": environment,
            "node_path": found,
            "debug": {"port": version.debugger_port} if version.debugged else None,
            "uses_v2": needed.uses_v2,
            "modules_by_path": bool(found) and needed.imports and needed.major > needs.LAST_WITH_V2,
        }
    )


def _node_path(version: Version, places: Places, needed: Needs, sdks: list[str]) -> list[str]:
    """Developer Guide, "Defined runtime environment variables", NODE_PATH; what a layer brings stands first."""
    seen = reversed(list(zip(version.layers, places.layers, strict=True))) if not places.trees else _merged(version)
    found = [
        f"{place}/nodejs/{folder}"
        for layer, place in seen
        for folder in _places(needed.major)
        if (layer / "nodejs" / folder).is_dir()
    ]
    return [*dict.fromkeys(found), *sdks]


def _merged(version: Version) -> list[tuple[Path, str]]:
    """Layers that are one folder where they are seen."""
    return [(layer, LAYERS) for layer in version.layers]


def _places(major: int) -> tuple[str, ...]:
    return f"node{major}/node_modules", "node_modules"


def _is_read_at_start(name: str) -> bool:
    return name.startswith("NODE_") and name not in ("NODE_ENV", "NODE_PATH")


def _node() -> str:
    """Raises `NoRuntimeError`."""
    node = shutil.which("node")
    if node is None:
        raise NoRuntimeError("node is not on the PATH: install Node.js to run functions of the nodejs runtimes")
    return node


def _home() -> str:
    """The folder of its installation."""
    return str(Path(_node()).resolve().parents[1])


def _installed_major() -> int:
    node = shutil.which("node")
    if node is None:
        return 0
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    return int(said.lstrip("v").partition(".")[0] or 0)
