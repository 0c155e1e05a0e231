"""Built-in runtimes whose function has extensions in its layers: the runtime is one part of an execution environment.

Lambda Developer Guide, "Using the Lambda Extensions API to create extensions": all runtimes support them.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import orjson

from fogbank.functions.engine import NoRuntimeError
from fogbank.functions.instances import Ended, Instance, Piece
from fogbank.functions.runtimes.provided.answers import not_found
from fogbank.functions.runtimes.provided.host import extensions_of

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence

    from fogbank.functions.instances import Answer as Told
    from fogbank.functions.model import Invocation, Version
    from fogbank.functions.runtimes.provided.host import Host
    from fogbank.functions.runtimes.provided.lifecycle import Lifecycle
    from fogbank.functions.runtimes.provided.server import Line
    from fogbank.functions.runtimes.table import Runtime
    from fogbank.kernel.gateway.messages import Answer, Request

_NEVER = float("inf")


class Accompanied:
    """A runtime of the table; instances of functions without extensions come from it as they are."""

    def __init__(self, runtime: Runtime, host: Host) -> None:
        self._runtime, self._host = runtime, host
        self._retiring: set[asyncio.Task[None]] = set()
        self.warm, self.ready_debugger = runtime.warm, runtime.ready_debugger

    async def spawn(self, version: Version, instance: Instance, environment: dict[str, str], log_end: int) -> None:
        if not extensions_of(version):
            await self._runtime.spawn(version, instance, environment, log_end)
            return

        def start(lifecycle: Lifecycle, environment: dict[str, str], output: int) -> BuiltIn:
            spawned = self._runtime.spawn(version, built_in.inner, environment, output)
            built_in.start(lifecycle, spawned)
            return built_in

        built_in = BuiltIn(Instance(version, instance.log))
        instance.accompanied = True
        if instance.is_snapshot:
            instance.log.note("no snapshot of this function is kept: extensions run beside it")
        try:
            await self._runtime.settle(version, instance)
        except BaseException:
            os.close(log_end)
            raise
        built_in.inner.shares_cell = True
        built_in.inner.cell, built_in.inner.group = instance.cell, instance.group
        built_in.inner.on_debugger = instance.on_debugger
        await self._host.begin(version, instance, environment, log_end, lambda _: built_in, start)

    async def settle(self, version: Version, instance: Instance) -> None:
        await self._runtime.settle(version, instance)

    def retire(self, version_id: str) -> None:
        """Once its last instances have taken leave: what is kept of a version may be what they live in."""
        leaving = self._host.leaving(version_id)
        if not leaving:
            self._runtime.retire(version_id)
            return
        task = asyncio.get_running_loop().create_task(self._retire_after(leaving, version_id))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _retire_after(self, leaving: Sequence[asyncio.Task[None]], version_id: str) -> None:
        await asyncio.wait(leaving)
        self._runtime.retire(version_id)

    async def close(self) -> None:
        for task in self._retiring:
            task.cancel()
        await self._runtime.close()


class BuiltIn:
    """A built-in runtime as a `Lifecycle` sees it: behind an instance of its own, which is spoken to in frames."""

    def __init__(self, inner: Instance) -> None:
        self.inner = inner
        self.reply: tuple[bytes, bytes] | None = None
        self.gone = asyncio.Event()
        self._lifecycle: Lifecycle | None = None
        self._birth: asyncio.Task[None] | None = None
        inner.keeps_log = True  # It is the environment's.
        inner.on_end = lambda _: self._ended()

    # -- as a runtime --

    @property
    def ready(self) -> bool:
        return self.inner.state == "idle"

    def begin(self, invocation: Invocation, deadline_ms: int) -> None:
        self.reply = None
        self.inner.start(invocation, _NEVER, deadline_ms, self._told)

    def pause(self) -> None:
        self.inner.pause()

    def resume(self) -> None:
        self.inner.resume()

    def answer(self, line: Line, request: Request) -> Answer:
        """It has another way to its events; nobody else may have them."""
        return not_found()

    def start(self, lifecycle: Lifecycle, spawned: Coroutine[object, object, None]) -> None:
        self._lifecycle = lifecycle
        self._birth = asyncio.get_running_loop().create_task(self._be_born(lifecycle, spawned))

    async def _be_born(self, lifecycle: Lifecycle, spawned: Coroutine[object, object, None]) -> None:
        try:
            await spawned
            problem = await self.inner.ready(_NEVER)
        except (NoRuntimeError, OSError) as error:
            self.inner.log.note(str(error))
            lifecycle.fail(orjson.dumps({"errorType": "Runtime.Unavailable", "errorMessage": str(error)}))
        except Ended:  # `_ended` tells of it.
            return
        else:
            if problem is not None:
                lifecycle.fail(problem)
                return
            lifecycle.progress()

    def _told(self, answer: Told) -> None:
        if self._lifecycle is None or isinstance(answer, Exception):  # `_ended` tells of it.
            return
        if isinstance(answer, Piece):
            self._lifecycle.hand_on(answer)
            return
        kind, body = answer
        if kind == b"F":
            self._lifecycle.fail(body, told=True)
            return
        self.reply = kind, body
        self._lifecycle.progress()

    def _ended(self) -> None:
        self.gone.set()
        if self._lifecycle is not None and self._lifecycle.phase not in ("failed", "shutdown"):
            self._birth = asyncio.get_running_loop().create_task(self._tell_how(self._lifecycle))

    async def _tell_how(self, lifecycle: Lifecycle) -> None:
        lifecycle.runtime_died(await self.inner.how())

    # -- as a program --

    @property
    def pid(self) -> int:
        return self.inner.pid

    @property
    def over(self) -> bool:
        return self.gone.is_set()

    def signal(self, number: int) -> None:
        if number == signal.SIGKILL:
            self.inner.kill()
        elif self.inner.pid and not self.over:
            with suppress(ProcessLookupError):
                os.killpg(self.inner.pid, number)

    def tree(self) -> Iterator[int]:
        if self.inner.pid and not self.over:
            yield self.inner.pid
