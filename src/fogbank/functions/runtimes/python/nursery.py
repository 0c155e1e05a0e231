"""The server's side of zygotes and templates: orders instances from them, and hears when one ends."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.functions.runtimes.python import debugger, frameworks, interpreters, mentions
from fogbank.functions.runtimes.wrapped import DEBUGGED, VARIABLE, Command
from fogbank.functions.sandbox.cells import CellError
from fogbank.functions.sandbox.line import Line, close_all, pair
from fogbank.functions.sandbox.places import BOOTSTRAP, DEBUGGER

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from fogbank.functions.instances import Instance
    from fogbank.functions.logs import Log
    from fogbank.functions.model import Version
    from fogbank.functions.sandbox.cells import Cell
    from fogbank.functions.sandbox.groups import Group
    from fogbank.functions.sandbox.sandbox import Sandbox, Started
    from fogbank.functions.sandbox.starters import Starter
    from fogbank.kernel.telemetry import Telemetry

# Variables that differ from instance to instance.
_OF_ONE = ("AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_INITIALIZATION_TYPE")
_INSIDE = Path(__file__).parent / "inside"
_START_S = 60
_NEXT_CELL_S = 0.03  # A birth has the processors for itself; then the next one's cell is made.


class Parent:
    """A process that forks on order: a zygote, or a version's template."""

    def __init__(self, end: socket.socket, starter: Starter | None, on_closed: Callable[[], None]) -> None:
        """`starter`: who hears how a child of it in a cell ends; without cells it is this process itself."""
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.initialised: Callable[[float], None] = lambda _: None  # Of a template, once it is one: what that took.
        self._starter = starter
        self._orders: dict[int, Instance] = {}
        self._children: dict[int, Instance] = {}
        self._on_closed = on_closed
        self._number = 0
        self._line = Line(end, self._take, self._closed)

    @property
    def closed(self) -> bool:
        return self._line.closed

    def order(self, instance: Instance, settings: dict[str, Any], fds: Mapping[str, int]) -> None:
        """Raises `OSError` where the process has just died."""
        self._number += 1
        self._orders[self._number] = instance
        try:
            self._line.send({"number": self._number, **settings}, fds)
        except OSError:
            del self._orders[self._number]
            raise

    def forget(self, instance: Instance) -> None:
        """What was born as this instance is a template now, and its end no longer the instance's."""
        self._orders = {number: one for number, one in self._orders.items() if one is not instance}
        self._children = {pid: one for pid, one in self._children.items() if one is not instance}
        if self._starter is not None:
            self._starter.forget(instance)

    def close(self) -> None:
        self._line.close()

    def _take(self, fact: dict[str, Any], fds: list[int], pid: int) -> None:
        close_all(fds)
        if "ready" in fact:
            self.ready.set_result(None)
        elif "initialised" in fact:
            took_ms = fact["initialised"]
            self.initialised(float(took_ms) if isinstance(took_ms, int | float) else 0.0)
        elif "born" in fact:
            instance = self._orders.pop(fact["born"], None)
            if instance is not None:
                self._know(instance, pid)
        elif "ended" in fact and self._starter is None:
            ended = self._children.pop(fact["pid"], None)
            if ended is not None:
                ended.ended(fact["ended"])

    def _know(self, instance: Instance, pid: int) -> None:
        instance.born(pid)
        if self._starter is None:
            self._children[pid] = instance
        else:
            self._starter.watch(pid, instance)

    def _closed(self) -> None:
        for child in (*self._orders.values(), *self._children.values()):  # They die with it.
            child.ended(signal.SIGKILL)
        if not self.ready.done():
            self.ready.set_exception(CellError("the process that runs Python functions has died"))
            self.ready.exception()
        self._on_closed()


@dataclass(slots=True)
class _Family:
    """The template of one version, once there is one; or the promise of one."""

    template: Parent | None = None
    founding: asyncio.Future[None] | None = None
    unsafe: bool = False
    cell: Cell | None = None  # The template's. Those of its forks are inside it.
    group: Group | None = None  # The template's, where it has no cell.
    left: list[Cell] = field(default_factory=list)  # Of templates that have died: forks of them may live there.
    outer: Cell | None = None  # Where cells are made ahead: the template's, or of the process that may become it.
    next_cell: asyncio.Task[Cell] | None = None  # Made ahead: it takes as long as all the rest of a birth.

    def close(self) -> None:
        """With all that lives in its cell."""
        if self.template is not None:
            self.template.close()
        self.leave_template()
        for cell in self.left:
            cell.close()
        self.left.clear()

    def lives(self) -> bool:
        """Whether another fork can be had."""
        if self.template is None or self.template.closed:
            return False
        return self.cell is None or self.cell.alive

    def leave_template(self) -> None:
        """It has died, and its forks live on."""
        self.outer = None
        self.dismiss_next()
        if self.cell is not None:
            self.left.append(self.cell)
            self.cell = None
        if self.group is not None:
            self.group.close()
            self.group = None

    def dismiss_next(self) -> None:
        if self.next_cell is not None:
            self.next_cell.add_done_callback(_dismiss)
            self.next_cell = None


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a zygote has loaded, and by which interpreter."""

    interpreter: str
    lends_sdk: bool = False  # AWS's: found by what its instances import.
    loads_sdk: bool = False
    web: bool = False  # It is there for web applications.
    framework: Path | None = None  # The folder of what it has loaded for those.


@dataclass(slots=True)
class _Zygote:
    parent: Parent
    started: Started = field(repr=False)


class PythonRuntime:
    def __init__(self, cache_dir: Path, telemetry: Telemetry, sandbox: Sandbox) -> None:
        self._cache_dir, self._telemetry, self._sandbox = cache_dir, telemetry, sandbox
        self._zygotes: dict[_Kind, _Zygote] = {}
        self._starting: dict[_Kind, asyncio.Lock] = {}
        self._families: dict[str, _Family] = {}
        self._mention_sdk: dict[str, bool] = {}  # Versions, once it is known.
        self._warned: set[str] = set()

    async def spawn(self, version: Version, instance: Instance, environment: dict[str, str], log_end: int) -> None:
        """Have an instance born. `log_end` is the pipe it writes to, closed here."""
        (come, ours_to_write), (ours_to_read, go) = os.pipe(), os.pipe()
        try:
            await self._order(
                version, instance, environment, {"come": come, "go": go, "log": log_end, **instance.web_ends()}
            )
        except BaseException:
            close_all([ours_to_read, ours_to_write])
            raise
        finally:
            close_all([come, go, log_end])
        await instance.open_pipes(ours_to_read, ours_to_write)  # While it is born.

    async def _order(
        self, version: Version, instance: Instance, environment: dict[str, str], fds: dict[str, int]
    ) -> None:  # fmt: skip
        family = self._families.setdefault(version.id, _Family())
        prepared = None
        if family.template is None:  # Before it is seen whether another founds it: from there on nothing is waited for.
            prepared = await self._prepared(version, instance, environment)
        while family.founding is not None:  # Its first init is under way: a template will follow, or not.
            await asyncio.wait([family.founding])
        if family.template is not None:
            own = {
                "own_environment": {name: environment[name] for name in _OF_ONE if name in environment},
                "spare": instance.is_spare,
            }
            try:
                await self._fork(version, family, instance, own, fds)
                return
            except (OSError, CellError) as error:
                instance.leave()
                if isinstance(error, CellError) and family.lives():
                    raise
                if family.template is not None:  # It has just died.
                    family.template.close()
        zygote, settings = prepared or await self._prepared(version, instance, environment)
        if family.unsafe or instance.is_placed or version.debugged:
            await self._enter(version, instance, zygote)
            zygote.parent.order(instance, settings, {**fds, **instance.ends()})
            return
        await self._found(version, family, zygote, instance, settings, fds)

    async def _prepared(
        self, version: Version, instance: Instance, environment: dict[str, str]
    ) -> tuple[_Zygote, dict[str, Any]]:
        """What an initialisation needs."""
        zygote = await self._zygote(version, instance.log)
        return zygote, await self._settings(version, environment, instance.log, snapshot=instance.is_snapshot)

    async def _settings(
        self, version: Version, environment: dict[str, str], log: Log, *, snapshot: bool
    ) -> dict[str, Any]:  # fmt: skip
        places = await self._sandbox.places(version)
        sdk = str(interpreters.sdk_layer(self._cache_dir)) if self._lends_sdk(version, log) else ""
        settings = {
            "web": version.web,
            "handler": version.handler,
            "code": places.code,
            "layers": places.layers,
            "environment": environment,
            "snap_start": version.snap_start,
            "snapshot": snapshot,
            "sdk": sdk and self._sandbox.runtime_at(sdk),
            "in_cell": bool(places.trees),
        }
        lent = debugger.folder(self._cache_dir) if version.debugged else None
        if lent is not None:
            at = DEBUGGER if places.trees else str(lent)
            settings["debugger"] = {"folder": at, "port": version.debugger_port}
        if not places.trees:
            interpreter = interpreters.find(version.runtime)
            loaded = await self._framework(version, interpreter)  # What its zygote left unloaded is loaded from there.
            own = (interpreter.home, str(_INSIDE), sdk, str(lent or ""), str(loaded or ""))
            settings["paths"] = self._sandbox.open_to(version, own)
        return settings

    async def settle(self, version: Version, instance: Instance) -> None:
        await self._enter(version, instance, await self._zygote(version, instance.log))

    async def command(self, version: Version, instance: Instance, environment: dict[str, str]) -> Command:
        """A wrapper script starts a program, and that is no fork: each instance is initialised anew."""
        zygote, interpreter = await self._zygote(version, instance.log), interpreters.find(version.runtime)
        text = f"no snapshot of this function is kept: {VARIABLE} has each instance start as a program"
        if version.id not in self._warned:
            self._warned.add(version.id)
            instance.log.note(text)
        places, sdk, lent = await self._sandbox.places(version), "", ""
        if self._lends_sdk(version, instance.log):
            sdk = str(interpreters.sdk_layer(self._cache_dir))
        await self._enter(version, instance, zygote, {BOOTSTRAP: _INSIDE})
        found = {"PATH": f"{Path(interpreter.path).parent}:{environment['PATH']}"}  # As /var/lang/bin in Lambda.
        if version.debugged:
            lent = str(debugger.folder(self._cache_dir))
            found[DEBUGGED] = orjson.dumps(
                {"folder": DEBUGGER if places.trees else lent, "port": version.debugger_port}
            ).decode()
        if places.trees:
            return Command((interpreter.path, f"{BOOTSTRAP}/bootstrap.py"), found)
        found["LAMBDA_RUNTIME_DIR"] = sdk
        asked = [environment["PYTHONPATH"]] if environment.get("PYTHONPATH") else []
        layers = [f"{layer}/{folder}" for layer in reversed(places.layers) for folder in _of_layer(interpreter.version)]
        found["PYTHONPATH"] = os.pathsep.join([*asked, *layers])
        line = (interpreter.path, str(_INSIDE / "bootstrap.py"))
        return Command(line, found, (interpreter.home, str(_INSIDE), sdk, lent))

    async def _enter(
        self, version: Version, instance: Instance, zygote: _Zygote, more: Mapping[str, Path] | None = None
    ) -> None:  # fmt: skip
        """A place for a process that the zygote itself has: it is no fork of a template. `more`: what it sees there
        beside the function."""
        if instance.cell is None and zygote.started.warden is not None:
            trees = {**(await self._sandbox.places(version)).trees, **(more or {})}
            if version.debugged:
                trees = {**trees, DEBUGGER: debugger.folder(self._cache_dir)}
            instance.cell = await self._sandbox.cell(
                zygote.started.warden, version.memory_mb, version.ephemeral_mb, trees
            )
        elif not instance.is_placed:
            instance.group = await self._sandbox.group(version.memory_mb, version.ephemeral_mb)

    async def _fork(
        self, version: Version, family: _Family, instance: Instance, own: dict[str, Any], fds: dict[str, int]
    ) -> None:  # fmt: skip
        assert family.template is not None
        if family.cell is None:
            instance.group = await self._sandbox.group(version.memory_mb, version.ephemeral_mb)
        else:
            instance.cell = await self._inner(version, family)
        instance.forked = True
        instance.born_s = time.perf_counter()  # Until now it has waited: for the first one's initialisation, say.
        family.template.order(instance, own, {**fds, **instance.ends()})

    async def _inner(self, version: Version, family: _Family) -> Cell:
        """The cell that was made ahead, or one made now; and the next."""
        outer, ahead, family.next_cell = family.cell, family.next_cell, None
        assert outer is not None
        cell = await (ahead if ahead is not None else self._sandbox.inner(outer, version))
        asyncio.get_running_loop().call_later(_NEXT_CELL_S, self._make_ahead, version, family, outer)
        return cell

    def _make_ahead(self, version: Version, family: _Family, outer: Cell) -> None:
        """Unless the template whose cell `outer` is has died meanwhile."""
        if family.next_cell is None and outer.alive and family.outer is outer:
            family.next_cell = asyncio.get_running_loop().create_task(self._sandbox.inner(outer, version))
            family.next_cell.add_done_callback(_seen)

    async def _found(
        self, version: Version, family: _Family, zygote: _Zygote, instance: Instance,
        settings: dict[str, Any], fds: dict[str, int],
    ) -> None:  # fmt: skip
        """The first process of a version: all instances are forks of it; or the first of them, where it cannot be
        forked."""
        founding: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        family.founding = founding
        ours, theirs = pair()

        def settled() -> None:
            family.founding = None
            if not founding.done():
                founding.set_result(None)

        def closed() -> None:
            if family.template is parent:
                family.template = None
                family.leave_template()
            elif not founding.done():  # It ended, or found itself unsafe to fork, before anything came of it.
                family.unsafe = instance.state != "dead"
                family.dismiss_next()
                settled()

        try:
            await self._enter(version, instance, zygote)
        except BaseException:
            ours.close()
            theirs.close()
            settled()
            raise
        cell = family.outer = instance.cell
        parent = Parent(ours, cell, closed)

        def initialised(took_ms: float) -> None:
            if self._families.get(version.id) is not family or instance.state == "dead":
                parent.close()
                settled()
                return
            zygote.parent.forget(instance)
            family.template, family.cell, family.group = parent, cell, instance.group
            instance.cell = instance.group = None
            if cell is not None and cell.group is not None:
                cell.group.hold_many()
            if instance.is_snapshot:
                instance.keep(took_ms)
            else:
                first = self._fork(version, family, instance, {"first": True}, {})
                task = asyncio.get_running_loop().create_task(first)
                task.add_done_callback(lambda done: _born(done, instance))
            settled()

        parent.initialised = initialised
        with theirs:
            zygote.parent.order(instance, settings, {**fds, **instance.ends(), "template": theirs.fileno()})
        if cell is not None:  # While the initialisation runs.
            self._make_ahead(version, family, cell)

    def retire(self, version_id: str) -> None:
        self._mention_sdk.pop(version_id, None)
        family = self._families.pop(version_id, None)
        if family is not None:
            family.close()

    async def _zygote(self, version: Version, log: Log) -> _Zygote:
        """A zygote of the right interpreter, with our SDK in it if the function may want it."""
        interpreter = interpreters.find(version.runtime)
        if interpreter.version != interpreter.wanted and version.runtime not in self._warned:
            self._warned.add(version.runtime)
            log.note(f"this machine has no {version.runtime}; Python {interpreter.version} runs it instead")
        lends = self._lends_sdk(version, log)
        loads = lends and await self._mentions_sdk(version)
        framework = await self._framework(version, interpreter)
        return await self._zygote_of(_Kind(interpreter.path, lends, loads, version.web, framework))

    async def _zygote_of(self, kind: _Kind) -> _Zygote:
        async with self._starting.setdefault(kind, asyncio.Lock()):
            if kind not in self._zygotes or self._zygotes[kind].parent.closed:
                self._zygotes[kind] = await self._start(kind)
            return self._zygotes[kind]

    async def _mentions_sdk(self, version: Version) -> bool:
        if version.id not in self._mention_sdk:
            self._mention_sdk[version.id] = await asyncio.to_thread(mentions.sdk, [version.code, *version.layers])
        return self._mention_sdk[version.id]

    async def _framework(self, version: Version, interpreter: interpreters.Interpreter) -> Path | None:
        if not version.web or not version.layers:
            return None
        return await asyncio.to_thread(frameworks.fitting, self._cache_dir, interpreter, version.layers[0] / "python")

    def _lends_sdk(self, version: Version, log: Log) -> bool:
        interpreter = interpreters.find(version.runtime)
        if version.web or _brings_sdk(version):
            return False
        if interpreter.runs_sdk:
            return True
        if interpreter.path not in self._warned:
            self._warned.add(interpreter.path)
            text = f"the boto3 that fogbank has needs a newer Python than {interpreter.version}"
            log.note(f"{text}: a function of {version.runtime} that uses boto3 must bundle one")
        return False

    async def warm(self, runtime: str, *, wholly: bool) -> None:
        """Have zygotes ready before the first function asks for one."""
        interpreter = interpreters.find(runtime)
        lends = interpreter.runs_sdk
        await self._zygote_of(_Kind(interpreter.path, lends, lends))
        if lends and wholly:
            await self._zygote_of(_Kind(interpreter.path, lends, loads_sdk=False))

    async def ready_debugger(self) -> None:
        await asyncio.to_thread(debugger.folder, self._cache_dir)

    async def _start(self, kind: _Kind) -> _Zygote:
        layer = kind.framework
        if kind.lends_sdk:
            layer = await asyncio.to_thread(interpreters.sdk_layer, self._cache_dir)
        ours, theirs = pair()
        with theirs:
            started = await self._sandbox.start(
                kind.interpreter, zygote=theirs, folders=(_INSIDE,), runtime=layer, loads=kind.loads_sdk, web=kind.web
            )
        parent = Parent(ours, started.warden, lambda: None)
        await asyncio.wait_for(parent.ready, _START_S)
        return _Zygote(parent, started)

    async def close(self) -> None:
        for family in self._families.values():
            family.close()
        for zygote in self._zygotes.values():
            zygote.parent.close()


def _dismiss(task: asyncio.Task[Cell]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def _seen(task: asyncio.Task[Cell]) -> None:
    """Whoever needs the cell hears why there is none; nobody may."""
    if not task.cancelled():
        task.exception()


def _born(task: asyncio.Task[None], instance: Instance) -> None:
    if task.cancelled() or task.exception() is not None:
        instance.kill()
        instance.ended(signal.SIGKILL)


def _of_layer(version: str) -> tuple[str, ...]:
    """Where the packages of a layer lie."""
    return "python", f"python/lib/python{version}/site-packages"


def _brings_sdk(version: Version) -> bool:
    folders = [version.code, *(layer / "python" for layer in version.layers)]
    return any((folder / name).is_dir() for folder in folders for name in ("boto3", "botocore"))
