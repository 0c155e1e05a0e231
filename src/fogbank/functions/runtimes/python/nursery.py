"""The server's side of zygotes and templates: orders instances from them, and hears when one ends."""

from __future__ import annotations

import array
import asyncio
import os
import signal
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from fogbank.functions.runtimes.python import debugger, interpreters

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.functions.instances import Instance
    from fogbank.functions.logs import Log
    from fogbank.functions.model import Version
    from fogbank.kernel.telemetry import Telemetry

# Variables that differ from instance to instance.
_OF_ONE = ("AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_INITIALIZATION_TYPE")
_INSIDE = Path(__file__).parent / "inside"


class Child(Protocol):
    """What is born on order, as its parent needs it: an instance, or any process."""

    pid: int
    state: str

    def ended(self, status: int) -> None: ...


class Parent:
    """A process that forks on order: a zygote, or a version's template."""

    def __init__(self, end: socket.socket, on_closed: Callable[[Parent], None]) -> None:
        self.end = end
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = False
        self._on_closed = on_closed
        self._orders: dict[int, Child] = {}
        self._children: dict[int, Child] = {}
        self._number = 0
        end.setblocking(False)
        asyncio.get_running_loop().add_reader(end.fileno(), self._hear)

    def order(self, child: Child, settings: dict[str, Any], fds: list[int]) -> None:
        """Raises `OSError` where the process has just died."""
        self._number += 1
        self._orders[self._number] = child
        message = orjson.dumps({"number": self._number, **settings})
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        self.end.sendmsg([message], rights)

    def hand_over(self, instance: Instance, heir: Parent) -> None:
        """The process that was born as this instance stays behind as `heir`; the instance is now a child of that."""
        self._children = {pid: child for pid, child in self._children.items() if child is not instance}
        heir._children[instance.pid] = instance

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().remove_reader(self.end.fileno())
            self.end.close()
            for child in (*self._orders.values(), *self._children.values()):  # They die with it.
                child.ended(signal.SIGKILL)
            self._on_closed(self)

    def _hear(self) -> None:
        while not self.closed:
            try:
                message = self.end.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                self.close()
                return
            self._take(orjson.loads(message))

    def _take(self, fact: dict[str, Any]) -> None:
        if "ready" in fact:
            self.ready.set_result(None)
        elif "born" in fact:
            child = self._orders.pop(fact["born"])
            if child.state == "starting":
                child.pid = fact["pid"]
            if child.pid == fact["pid"]:  # Else it has told its own already: it is the fork of a founder.
                self._children[fact["pid"]] = child
        else:
            ended = self._children.pop(fact["ended"], None)
            if ended is not None:
                ended.ended(fact["status"])


@dataclass(slots=True)
class _Family:
    """The template of one version, once there is one; or the promise of one."""

    template: Parent | None = None
    founding: asyncio.Future[None] | None = None
    unsafe: bool = False


@dataclass(slots=True)
class _Zygote:
    parent: Parent
    process: subprocess.Popen[bytes] = field(repr=False)


class PythonRuntime:
    def __init__(self, cache_dir: Path, telemetry: Telemetry) -> None:
        self._cache_dir, self._telemetry = cache_dir, telemetry
        self._zygotes: dict[tuple[str, bool], _Zygote] = {}
        self._starting: dict[tuple[str, bool], asyncio.Lock] = {}
        self._families: dict[str, _Family] = {}
        self._warned: set[str] = set()

    async def spawn(self, version: Version, instance: Instance, environment: dict[str, str], log_end: int) -> None:
        """Have an instance born. `log_end` is the pipe it writes to, closed here."""
        (come, ours_to_write), (ours_to_read, go) = os.pipe(), os.pipe()
        try:
            await instance.open_pipes(ours_to_read, ours_to_write)
            await self._order(version, instance, environment, [come, go, log_end])
        finally:
            for end in (come, go, log_end):
                os.close(end)

    async def _order(self, version: Version, instance: Instance, environment: dict[str, str], fds: list[int]) -> None:
        family = self._families.setdefault(version.id, _Family())
        zygote = await self._zygote(version, instance.log)
        while family.founding is not None:  # Its first init is under way: a template will follow, or not.
            await asyncio.wait([family.founding])
        if family.template is not None and not family.template.closed:
            own = {"own_environment": {name: environment[name] for name in _OF_ONE if name in environment}}
            try:
                family.template.order(instance, own, fds)
                return
            except OSError:  # It has just died.
                family.template.close()
        settings = {
            "handler": version.handler,
            "code": str(version.code),
            "layers": [str(layer) for layer in version.layers],
            "environment": environment,
            "memory_mb": version.memory_mb,
            "snap_start": version.snap_start,
            "sdk": str(interpreters.sdk_layer(self._cache_dir)) if self._lends_sdk(version, instance.log) else "",
        }
        if version.debugged:
            settings["debugger"] = str(await asyncio.to_thread(debugger.folder, self._cache_dir))
        if family.unsafe or version.debugged:
            zygote.order(instance, settings, fds)
            return
        self._found(version.id, family, zygote, instance, settings, fds)

    def _found(
        self,
        version_id: str,
        family: _Family,
        zygote: Parent,
        instance: Instance,
        settings: dict[str, Any],
        fds: list[int],
    ) -> None:
        """The first instance, and behind it the template of all others."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        founding: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        family.founding = founding

        def closed(parent: Parent) -> None:
            if family.template is parent:
                family.template = None
            if not founding.done():  # It ended, or found itself unsafe to fork, before anything came of it.
                family.unsafe = instance.state != "dead"
                founding.set_result(None)
            family.founding = None

        parent = Parent(ours, closed)
        zygote.order(instance, settings, [*fds, theirs.fileno()])
        theirs.close()

        def initialised() -> None:
            if not parent.closed:
                family.template = parent
                zygote.hand_over(instance, parent)
            family.founding = None
            if not founding.done():
                founding.set_result(None)

        instance.on_ready = initialised
        if self._families.get(version_id) is not family:
            parent.close()

    def retire(self, version_id: str) -> None:
        family = self._families.pop(version_id, None)
        if family is not None and family.template is not None:
            family.template.close()

    async def _zygote(self, version: Version, log: Log) -> Parent:
        """A zygote of the right interpreter, with our SDK in it unless the function brings one of its own."""
        interpreter = interpreters.find(version.runtime)
        if interpreter.version != interpreter.wanted and version.runtime not in self._warned:
            self._warned.add(version.runtime)
            log.note(f"this machine has no {version.runtime}; Python {interpreter.version} runs it instead")
        key = (interpreter.path, self._lends_sdk(version, log))
        async with self._starting.setdefault(key, asyncio.Lock()):
            if key not in self._zygotes or self._zygotes[key].parent.closed:
                self._zygotes[key] = await self._start(*key)
            return self._zygotes[key].parent

    def _lends_sdk(self, version: Version, log: Log) -> bool:
        interpreter = interpreters.find(version.runtime)
        if _brings_sdk(version):
            return False
        if interpreter.runs_sdk:
            return True
        if interpreter.path not in self._warned:
            self._warned.add(interpreter.path)
            text = f"the boto3 that fogbank has needs a newer Python than {interpreter.version}"
            log.note(f"{text}: a function of {version.runtime} that uses boto3 must bundle one")
        return False

    async def warm(self, runtime: str) -> None:
        """Have a zygote ready before the first function asks for one."""
        interpreter = interpreters.find(runtime)
        key = (interpreter.path, interpreter.runs_sdk)
        async with self._starting.setdefault(key, asyncio.Lock()):
            if key not in self._zygotes:
                self._zygotes[key] = await self._start(*key)

    async def ready_debugger(self) -> None:
        await asyncio.to_thread(debugger.folder, self._cache_dir)

    async def _start(self, path: str, with_sdk: bool) -> _Zygote:  # noqa: FBT001
        layer = await asyncio.to_thread(interpreters.sdk_layer, self._cache_dir) if with_sdk else ""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = await asyncio.to_thread(
            subprocess.Popen,
            [path, "-I", "-S", "-B", str(_INSIDE / "zygote.py"), str(theirs.fileno()), str(layer)],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env={"LANG": "en_US.UTF-8", "TZ": ":UTC"},
            start_new_session=True,
        )  # fmt: skip
        theirs.close()
        parent = Parent(ours, lambda _: None)
        await asyncio.wait_for(parent.ready, 60)
        return _Zygote(parent, process)

    async def close(self) -> None:
        for family in self._families.values():
            if family.template is not None:
                family.template.close()
        for zygote in self._zygotes.values():
            zygote.parent.close()
        for zygote in self._zygotes.values():
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(zygote.process.wait, 5)


def _brings_sdk(version: Version) -> bool:
    folders = [version.code, *(layer / "python" for layer in version.layers)]
    return any((folder / name).is_dir() for folder in folders for name in ("boto3", "botocore"))
