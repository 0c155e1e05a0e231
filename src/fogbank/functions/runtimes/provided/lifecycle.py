"""One execution environment: a runtime and its extensions, from the first process to the last.

Lambda Developer Guide, "Understanding the Lambda execution environment lifecycle": init, invoke and shutdown. A phase
ends when the runtime, and every extension that takes part in it, has asked for its next event.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Protocol

import orjson

from fogbank.functions.endings import describe_end
from fogbank.functions.processes import Process
from fogbank.functions.runtimes.provided import extensions, runtime_api, telemetry
from fogbank.functions.runtimes.provided.answers import document, not_found, object_of
from fogbank.functions.runtimes.provided.leaving import take_leave
from fogbank.functions.runtimes.provided.platform import Platform
from fogbank.kernel.gateway.messages import Ready

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import PurePath

    from fogbank.functions.instances import Instance, Piece
    from fogbank.functions.logs import Log
    from fogbank.functions.model import Invocation
    from fogbank.functions.runtimes.provided.leaving import Program
    from fogbank.functions.runtimes.provided.server import Line
    from fogbank.functions.sandbox.peers import Peers
    from fogbank.kernel.gateway.messages import Answer, Request


class Runtime(Protocol):
    """What an environment is there for. It tells by `Lifecycle.progress` that it waits for an event."""

    reply: tuple[bytes, bytes] | None  # Kind and body, once the event is answered.

    @property
    def ready(self) -> bool: ...
    def begin(self, invocation: Invocation, deadline_ms: int) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def answer(self, line: Line, request: Request) -> Answer: ...


class Lifecycle:
    """The `Channel` of an instance whose runtime is not alone, or is spoken to over HTTP."""

    def __init__(
        self, instance: Instance, facts: dict[str, str], close_api: Callable[[], None],
        runtime: Callable[[Lifecycle], Runtime], peers: Peers,
    ) -> None:  # fmt: skip
        """`facts`: what an extension is told of the function; `peers`: the processes of this environment."""
        self.phase = "init"
        self.version_id = instance.version.id
        self.leaving: asyncio.Task[None] | None = None  # In a shutdown that takes its time.
        self.runtime = runtime(self)
        self.extensions = extensions.Extensions(facts, self.progress)
        self.telemetry = telemetry.Telemetry(peers)
        self._platform = Platform(instance, self.telemetry)
        self._instance, self._close_api = instance, close_api
        self._start_runtime: Callable[[], Program | None] = lambda: None
        self._process: Program | None = None  # The runtime's.
        self._request_id = "{}"
        self._began_s = time.perf_counter()
        self._logs: list[Log] = []
        self._loop = asyncio.get_running_loop()
        instance.channel = self
        instance.shares_cell = True
        instance.end = self.close
        instance.leaders = self._leaders
        instance.processes = self._pids
        instance.keeps_log = True
        instance.log.heard = self._function_said

    # -- the API --

    def answer(self, line: Line, request: Request) -> Answer:
        path = request.path.rstrip("/")
        if path.startswith(runtime_api.PREFIX):
            return self.runtime.answer(line, request)
        if path.startswith(extensions.PREFIX):
            return self.extensions.answer(line, request)
        if request.method == "PUT" and path in (telemetry.PATH, telemetry.LOGS_PATH):
            speaker = self.extensions.identify(request)
            if isinstance(speaker, Ready):
                return speaker
            return telemetry.logs_api() if path == telemetry.LOGS_PATH else self.telemetry.subscribe(speaker, request)
        return not_found()

    # -- init --

    def begin_init(
        self, programs: Sequence[PurePath], start: Callable[[Process], Log], start_runtime: Callable[[], Program | None]
    ) -> None:  # fmt: skip
        """Extensions first; the runtime once all of them have registered. `start` runs an extension, `start_runtime`
        the runtime, if there is one."""
        self._start_runtime = start_runtime
        self._platform.init_started()
        if len(programs) > extensions.MOST:
            self.fail(document("Extension.LaunchError", f"more than {extensions.MOST} extensions"))
            return
        for program in programs:
            process = Process(program, self._extension_ended)
            self.extensions.add(process)
            log = start(process)
            log.heard = self._extension_said
            self._logs.append(log)
        self.progress()

    def progress(self) -> None:
        """Somebody has registered, or waits for an event: is the phase over?"""
        if self.phase == "init":
            self._go_on_with_init()
        elif self.phase == "invoke" and self.runtime.ready:
            self._platform.runtime_done(self.runtime.reply)
            if self.extensions.ready(event="INVOKE"):
                self._end_event()

    def _go_on_with_init(self) -> None:
        if self._process is None:
            if self.extensions.registered():
                self._run_runtime()
        elif self.runtime.ready:
            self.extensions.closed = True  # Nobody registers after the runtime's first Next.
            if self.extensions.ready():
                self._end_init()

    def _run_runtime(self) -> None:
        self._process = self._start_runtime()
        if self._process is None:
            told = "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
            self.fail(document("Runtime.InvalidEntrypoint", told))

    def _end_init(self) -> None:
        assert self._process is not None
        self.phase = "idle"
        self._platform.init_done("success", extensions=self.extensions.all())
        self.telemetry.close_subscription()
        took_ms = (time.perf_counter() - self._began_s) * 1000
        self._say(b"I", orjson.dumps({"init_ms": took_ms}))

    # -- events --

    def begin(self, invocation: Invocation, deadline_ms: int) -> None:
        self.phase, self._request_id = "invoke", invocation.request_id
        self._platform.event_started(invocation)
        for extension in self.extensions.for_event("INVOKE"):
            extension.give(_invoke(invocation, deadline_ms))
        self.runtime.begin(invocation, deadline_ms)

    def _end_event(self) -> None:
        assert self.runtime.reply is not None  # It was asked for an answer before it could ask for the next.
        self._platform.event_done("success")
        self.phase = "idle"
        self._say(*self.runtime.reply)

    def pause(self) -> None:
        self.runtime.pause()

    def resume(self) -> None:
        self.runtime.resume()

    def hand_on(self, piece: Piece) -> None:
        """Of a streamed reply, whose end is `reply`."""
        self._instance.take(b"H" if piece.begins else b"P", piece.body, 0, wrote=True)

    def _say(self, kind: bytes, body: bytes) -> None:
        limit_mb = self._instance.version.memory_mb
        self._instance.take(kind, body, min(self._instance.memory_mb(), limit_mb), wrote=True)

    # -- what goes wrong --

    def runtime_ended(self, process: Process) -> None:
        if self.phase in ("failed", "shutdown"):
            return
        if process.refused:
            code = self._instance.version.code
            place = "/var/task" if str(process.command.parent) in ("/var/task", str(code)) else "/opt"
            told = f"fork/exec {place}/bootstrap: {_said(process.refused)}"
            self.fail(document("Runtime.InvalidEntrypoint", told))
            return
        self.runtime_died(describe_end(signal.SIGKILL) if self._instance.ran_out() else process.how_ended)

    def runtime_died(self, how: str) -> None:
        """In Lambda's words: "exit status 1", "signal: killed"."""
        if self.phase in ("failed", "shutdown"):
            return
        self._platform.failed(self.phase, "Runtime.ExitError", self.runtime.reply)
        if self.phase == "invoke" and self.runtime.reply is not None:  # The event is answered; the next gets another.
            self._say(*self.runtime.reply)
        self.phase = "failed"
        self._instance.ended_so(how)
        self._instance.lost()
        self._loop.call_soon(self._instance.close)

    def _extension_ended(self, process: Process) -> None:
        if self.phase in ("failed", "shutdown"):
            return
        extension = self.extensions.of(process)
        if process.refused:
            told = f"fork/exec /opt/extensions/{extension.name}: {_said(process.refused)}"
            self.fail(document("Extension.LaunchError", told, self._request_id))
            return
        told = process.how_ended if process.status else "exit code 0"
        self.fail(document(extension.error or "Extension.Crash", told, self._request_id))

    def fail(self, body: bytes, *, told: bool = False) -> None:
        """The environment is lost, with the init or the event that is at work in it. `told`: the log says why. One that
        is lost already, or takes leave, is past being told so."""
        if self.phase in ("failed", "shutdown"):
            return
        phase, self.phase = self.phase, "failed"
        self._platform.failed(phase, str(object_of(body).get("errorType", "")), self.runtime.reply)
        if phase == "init":
            self._say(b"X", body)
        elif phase == "invoke" and told:
            self._say(b"F", body)
        elif phase == "invoke":
            self._instance.log.line(orjson.loads(body)["errorMessage"])
            self._say(b"F", body)
        else:
            self._instance.lost()
        self._loop.call_soon(self._instance.kill)

    # -- shutdown --

    def close(self) -> None:
        """With leave taken, where there is anybody to take it."""
        if self.phase == "shutdown":
            return
        reason = self._why()
        if self.phase == "invoke":
            self._platform.runtime_done(self.runtime.reply, "timeout")
            self._platform.event_done("timeout")
        self.phase = "shutdown"
        self._loop.call_soon(self._instance.lost)
        if self.extensions.all():
            self.leaving = self._loop.create_task(self._take_leave(reason))
            return
        if self._process is not None:
            self._process.signal(signal.SIGKILL)
        self._finish()

    def _why(self) -> str:
        """ "shutdownReason": spindown, timeout or failure."""
        if self.phase == "failed" or (self._process is not None and self._process.over):
            return "failure"
        return "spindown" if self.phase == "idle" else "timeout"

    async def _take_leave(self, reason: str) -> None:
        try:
            await take_leave(self._process, self.extensions, self.telemetry, reason)
        finally:
            self._finish()

    def _finish(self) -> None:
        self._close_api()
        self.telemetry.close()
        for log in (self._instance.log, *self._logs):
            log.drain()
            log.close()
        self._instance.leave()

    # -- who is there --

    def _pids(self) -> Iterator[int]:
        for process in (self._process, *(extension.process for extension in self.extensions.external())):
            if process is not None:
                yield from process.tree()

    def _leaders(self) -> Iterator[int]:
        """Of a session that ends for its memory: the runtime's. Its extensions are told then."""
        if self._process is not None and not self._process.over:
            yield self._process.pid

    def _function_said(self, line: str) -> None:
        self.telemetry.say("function", line.rstrip("\n"))

    def _extension_said(self, line: str) -> None:
        self.telemetry.say("extension", line.rstrip("\n"))


def _invoke(invocation: Invocation, deadline_ms: int) -> dict[str, object]:
    """ "Invoke phase": what an extension hears of an event."""
    return {
        "eventType": "INVOKE",
        "deadlineMs": deadline_ms,
        "requestId": invocation.request_id,
        "invokedFunctionArn": invocation.function_arn,
        "tracing": {"type": "X-Amzn-Trace-Id", "value": invocation.trace_header},
    }


def _said(number: int) -> str:
    """An errno as the service tells of it: as Go does."""
    return os.strerror(number).lower()
