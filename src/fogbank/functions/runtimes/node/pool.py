"""The server's side of Node: a few warm processes waiting, one claimed and told its function for each instance."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shutil
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from fogbank.functions.engine import NoRuntimeError
from fogbank.functions.runtimes.node import sdk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.functions.instances import Instance
    from fogbank.functions.model import Version
    from fogbank.kernel.telemetry import Telemetry

_INSIDE = Path(__file__).parent / "inside"
_SPARES = 2
_MAJOR = re.compile(r"nodejs(\d+)\.x")
_LAST_WITH_V2 = 16
_SOURCES_MAX = 4000
_SDK_NAMED = re.compile(rb"""['"](aws-sdk(?=[/'"])|@aws-sdk/[a-z0-9-]+)""")


@dataclass(slots=True)
class _Spare:
    """A process that waits. Its output is a pipe of its own, joined to the instance's log when it is claimed."""

    process: subprocess.Popen[bytes]
    end: socket.socket
    output: int


class NodeRuntime:
    def __init__(self, cache_dir: Path, telemetry: Telemetry) -> None:
        self._cache_dir, self._telemetry = cache_dir, telemetry
        self._spares: list[_Spare] = []
        self._living: set[subprocess.Popen[bytes]] = set()
        self._refill: asyncio.Task[None] | None = None
        self._installing = asyncio.Lock()
        self._major = 0
        self._wanted: dict[str, list[str]] = {}
        self._warned: set[str] = set()

    async def spawn(self, version: Version, instance: Instance, environment: dict[str, str], log_end: int) -> None:
        node_path = await self._node_path(version, instance)
        try:
            spare = self._spares.pop() if self._spares else await asyncio.to_thread(self._start)
        except NoRuntimeError:
            os.close(log_end)
            raise
        self._refill = self._refill or asyncio.get_running_loop().create_task(self._fill())
        os.close(log_end)
        instance.log.follow(spare.output)
        instance.pid = spare.process.pid
        self._living.add(spare.process)
        self._hear_end(spare.process, instance)
        frames = await instance.open(spare.end)
        order = {
            "handler": version.handler,
            "code": str(version.code),
            "layers": [str(layer) for layer in version.layers],
            "environment": environment,
            "node_path": node_path,
        }
        frames.send(orjson.dumps(order))

    def retire(self, version_id: str) -> None:
        self._wanted.pop(version_id, None)

    async def warm(self, runtime: str) -> None:
        """The first instance starts those that wait for the others."""

    async def close(self) -> None:
        if self._refill is not None:
            self._refill.cancel()
        for spare in self._spares:
            spare.process.kill()
            spare.end.close()
            os.close(spare.output)
            await asyncio.to_thread(spare.process.wait)
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

    async def _fill(self) -> None:
        while len(self._spares) < _SPARES:
            self._spares.append(await asyncio.to_thread(self._start))
        self._refill = None

    def _start(self) -> _Spare:
        node = shutil.which("node")
        if node is None:
            raise NoRuntimeError("node is not on the PATH: install Node.js to run functions of the nodejs runtimes")
        ours, theirs = socket.socketpair()
        read_end, write_end = os.pipe()
        hooks = ("redirect_sdk_v2.js", "redirect_responses.js")
        loaded = [part for hook in hooks for part in ("--require", str(_INSIDE / hook))]
        command = [node, *loaded, str(_INSIDE / "bootstrap.js")]
        process = subprocess.Popen(
            [*command, str(theirs.fileno())], pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL, stdout=write_end, stderr=write_end,
            start_new_session=True, env={"PATH": os.environ.get("PATH", ""), "TZ": ":UTC", "LANG": "en_US.UTF-8"},
        )  # fmt: skip
        theirs.close()
        os.close(write_end)
        ours.setblocking(False)
        return _Spare(process, ours, read_end)

    async def _node_path(self, version: Version, instance: Instance) -> list[str]:
        """Where `require` looks after the function's own packages: the SDK of its generation, then the other one."""
        found = _MAJOR.match(version.runtime)
        asked = int(found[1]) if found else 0
        await self._check_major(asked, version, instance)
        if version.id not in self._wanted:
            self._wanted[version.id] = await asyncio.to_thread(_missing_sdks, version)
        wanted = self._wanted[version.id]
        if "v2" in wanted and asked > _LAST_WITH_V2:
            self._say_once(instance, f"{version.runtime} has no `aws-sdk` v2 in Lambda; here the function is given it")
        if "v3" in wanted and asked <= _LAST_WITH_V2:
            wanted = [generation for generation in wanted if generation != "v3"]  # As in Lambda.
        folders = []
        async with self._installing:
            for generation in wanted:
                try:
                    folders.append(str(await asyncio.to_thread(sdk.folder, self._cache_dir, generation)))
                except sdk.SdkError as error:  # The function may do without: it will say what it misses.
                    self._say_once(instance, str(error))
        return folders

    async def _check_major(self, asked: int, version: Version, instance: Instance) -> None:
        if not self._major:
            self._major = await asyncio.to_thread(_installed_major)
        if self._major and asked and self._major != asked:
            self._say_once(instance, f"this machine has no {version.runtime}; Node.js {self._major} runs it instead")

    def _say_once(self, instance: Instance, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            instance.log.note(text)


def _installed_major() -> int:
    node = shutil.which("node")
    if node is None:
        return 0
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    return int(said.lstrip("v").partition(".")[0] or 0)


def _missing_sdks(version: Version) -> list[str]:
    """Which SDKs the function's files name and do not bring: only those are installed for it."""
    roots = [version.code, *(layer / "nodejs" for layer in version.layers)]
    named: set[str] = set()
    for path in itertools.islice(_sources(roots), _SOURCES_MAX):
        with suppress(OSError):
            named.update(found.decode() for found in _SDK_NAMED.findall(path.read_bytes()))
    missing = []
    if "aws-sdk" in named and not any((root / "node_modules" / "aws-sdk").is_dir() for root in roots):
        missing.append("v2")
    v3 = [name for name in named if name.startswith("@")]
    if not all(any((root / "node_modules" / name).is_dir() for root in roots) for name in v3):
        missing.append("v3")
    return missing


def _sources(roots: list[Path]) -> Iterator[Path]:
    """The function's own files before those of its packages."""
    for root in roots:
        for folder, below, names in os.walk(root):
            below.sort(key=lambda name: name == "node_modules")
            yield from (Path(folder, name) for name in names if name.endswith((".js", ".mjs", ".cjs")))
