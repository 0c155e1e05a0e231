"""The server's side of Node: a few warm processes waiting, one claimed and told its function for each instance.

Those that wait are of kinds: plain ones, and ones that have loaded the SDK's clients that some function names.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import orjson

from fogbank.functions.engine import NoRuntimeError
from fogbank.functions.runtimes.node import needs, sdk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.functions.instances import Instance
    from fogbank.functions.model import Version
    from fogbank.functions.runtimes.node.needs import Needs
    from fogbank.kernel.telemetry import Telemetry

_INSIDE = Path(__file__).parent / "inside"
_HOOKS = ("redirect_sdk_v2.js", "redirect_responses.js")
_SPARES = 2  # Of each kind.
_KINDS_MAX = 4

Kind: TypeAlias = "tuple[str, ...]"  # The modules that a process has loaded, by their paths.
_PLAIN: Kind = ()


@dataclass(slots=True)
class _Spare:
    """A process that waits. Its output is a pipe of its own, joined to the instance's log when it is claimed."""

    process: subprocess.Popen[bytes]
    end: socket.socket
    output: int


class NodeRuntime:
    def __init__(self, cache_dir: Path, telemetry: Telemetry) -> None:
        self._cache_dir, self._telemetry = cache_dir, telemetry
        self._spares: dict[Kind, list[_Spare]] = {}  # The kind that was asked for last stands last.
        self._living: set[subprocess.Popen[bytes]] = set()
        self._refill: asyncio.Task[None] | None = None
        self._installing = asyncio.Lock()
        self._major = 0
        self._needs: dict[str, Needs] = {}
        self._warned: set[str] = set()

    async def spawn(self, version: Version, instance: Instance, environment: dict[str, str], log_end: int) -> None:
        try:
            needed = await self._look_at(version, instance)
            folders = await self._sdks(needed, instance)
            spare = await self._claim(_kind(needed, folders), version, environment)
        finally:
            os.close(log_end)
        instance.log.follow(spare.output)
        instance.pid = spare.process.pid
        self._living.add(spare.process)
        self._hear_end(spare.process, instance)
        frames = await instance.open(spare.end)
        frames.send(_order(version, environment, needed, folders))

    def retire(self, version_id: str) -> None:
        self._needs.pop(version_id, None)

    async def warm(self, runtime: str) -> None:
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
            await asyncio.to_thread(self._dismiss, kind)
        while self._living:  # None is left as a zombie, or as a reader of a loop that has ended.
            for process in self._living:
                process.kill()
            await asyncio.sleep(0.01)

    def _hear_end(self, process: subprocess.Popen[bytes], instance: Instance) -> None:
        """Tell the instance how its process ended, when it does."""
        loop, pidfd = asyncio.get_running_loop(), os.pidfd_open(process.pid)

        def ended() -> None:
            loop.remove_reader(pidfd)
            os.close(pidfd)
            code = process.wait()
            self._living.discard(process)
            instance.ended(-code if code < 0 else code << 8)

        loop.add_reader(pidfd, ended)

    # -- processes that wait --

    async def _claim(self, kind: Kind, version: Version, environment: Mapping[str, str]) -> _Spare:
        own = {name: value for name, value in environment.items() if _is_read_at_start(name)}
        if own:  # What Node reads when it starts cannot be told to one that waits already.
            return await asyncio.to_thread(_start, _PLAIN, own, version.code)
        self._spares.setdefault(_PLAIN, [])
        self._spares[kind] = self._spares.pop(kind, [])
        waiting = self._spares[kind] or self._spares[_PLAIN]
        spare = waiting.pop() if waiting else await asyncio.to_thread(_start, kind)
        self._fill_behind()
        return spare

    def _fill_behind(self) -> None:
        if self._refill is None:
            self._refill = asyncio.get_running_loop().create_task(self._fill())

    async def _fill(self) -> None:
        try:
            for kind in [kind for kind in self._spares if kind != _PLAIN][: 1 - _KINDS_MAX or None]:
                await asyncio.to_thread(self._dismiss, kind)
            while short := [kind for kind, waiting in self._spares.items() if len(waiting) < _SPARES]:
                made = await asyncio.to_thread(_start, short[-1])
                self._spares.setdefault(short[-1], []).append(made)
        finally:
            self._refill = None

    def _dismiss(self, kind: Kind) -> None:
        for spare in self._spares.pop(kind, []):
            spare.process.kill()
            spare.end.close()
            os.close(spare.output)
            spare.process.wait()

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

    def _say_once(self, instance: Instance, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            instance.log.note(text)


def _kind(needed: Needs, folders: Mapping[str, Path]) -> Kind:
    """With what a process should be loaded that becomes this function."""
    at = folders.get("v3")
    return tuple(str(at / name) for name in needed.preloaded if (at / name).is_dir()) if at else _PLAIN


def _order(version: Version, environment: Mapping[str, str], needed: Needs, folders: Mapping[str, Path]) -> bytes:
    """Developer Guide, "Defined runtime environment variables", NODE_PATH; what a layer brings stands first."""
    layers = [layer / "nodejs" / place for layer in reversed(version.layers) for place in _places(needed.major)]
    found = [str(layer) for layer in layers if layer.is_dir()] + [str(folder) for folder in folders.values()]
    return orjson.dumps(
        {
            "handler": version.handler,
            "runtime": version.runtime,
            "code": str(version.code),
            "environment": environment,
            "node_path": found,
            "debug": version.debugged,
            "modules_by_path": bool(found) and needed.imports and needed.major > needs.LAST_WITH_V2,
        }
    )


def _places(major: int) -> tuple[str, ...]:
    return f"node{major}/node_modules", "node_modules"


def _is_read_at_start(name: str) -> bool:
    return name.startswith("NODE_") and name not in ("NODE_ENV", "NODE_PATH")


def _start(loaded: Kind, own: Mapping[str, str] | None = None, folder: Path | None = None) -> _Spare:
    """A process that waits to become a function. Takes a while: not for the event loop's thread."""
    node = shutil.which("node")
    if node is None:
        raise NoRuntimeError("node is not on the PATH: install Node.js to run functions of the nodejs runtimes")
    ours, theirs = socket.socketpair()
    read_end, write_end = os.pipe()
    hooks = [part for hook in _HOOKS for part in ("--require", str(_INSIDE / hook))]
    environment = {"PATH": os.environ.get("PATH", ""), "TZ": ":UTC", "LANG": "en_US.UTF-8", **(own or {})}
    try:
        process = subprocess.Popen(
            [node, *hooks, str(_INSIDE / "bootstrap.js"), str(theirs.fileno()), *loaded], pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL, stdout=write_end, stderr=write_end, start_new_session=True, env=environment,
            cwd=folder,
        )  # fmt: skip
    except BaseException:
        ours.close()
        os.close(read_end)
        raise
    finally:
        theirs.close()
        os.close(write_end)
    ours.setblocking(False)
    return _Spare(process, ours, read_end)


def _installed_major() -> int:
    node = shutil.which("node")
    if node is None:
        return 0
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    return int(said.lstrip("v").partition(".")[0] or 0)
