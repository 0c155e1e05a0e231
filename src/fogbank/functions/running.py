"""One event in one instance: from its first log line to its last, and what became of it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import orjson

from fogbank.functions.instances import Piece
from fogbank.functions.model import Outcome
from fogbank.kernel.telemetry import current_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fogbank.functions.dialect import Dialect
    from fogbank.functions.instances import Answer, Instance
    from fogbank.functions.model import Invocation, Sink, Version
    from fogbank.functions.watch import Watch
    from fogbank.kernel.clock import Clock
    from fogbank.kernel.telemetry import Telemetry


# Lambda quotas: "Invocation payload", of a reply that is wanted whole (what stands round it is not counted) and of one
# that is streamed.
_WHOLE_BYTES_MAX = 6 * 1024 * 1024 + 100
_STREAMED_BYTES_MAX = 200 * 1024 * 1024


class Runner:
    def __init__(self, clock: Clock, telemetry: Telemetry, watch: Watch) -> None:
        self.clock, self.telemetry, self.watch = clock, telemetry, watch
        self.ending: set[asyncio.Task[None]] = set()  # Of events that end badly.

    def run(
        self, dialect: Dialect, instance: Instance, invocation: Invocation, done: Callable[[Outcome], None]
    ) -> None:  # fmt: skip
        """`done` is told the outcome, whatever it is. Without a task where all goes well."""
        version, timeout_ms, now_ms = instance.version, instance.version.timeout_ms, self.clock.now_ms()
        if invocation.deadline_ms is not None:
            timeout_ms = invocation.deadline_ms - now_ms
        first = dialect.started(version, invocation, now_ms)
        cold, instance.fresh = instance.fresh, False
        if cold:  # Its initialisation has written already.
            instance.log.say(first, now_ms)
        else:
            instance.log.begin(first, now_ms)
        self.watch.begin(instance)
        self.clock.aside.running += 1  # A schedule's next moment waits for what this one has begun.
        run = _Run(self, dialect, instance, invocation, done, current_trace.get(), cold)
        # The process reads the machine's clock, whatever the cloud's says.
        instance.start(invocation, timeout_ms / 1000, time.time_ns() // 1_000_000 + timeout_ms, run.told)

    def tell_of(self, version: Version, invocation: Invocation, outcome: Outcome) -> None:
        self.telemetry.debug(
            "invocation", function=version.name, request=invocation.request_id, error=outcome.error,
            cold=outcome.cold, took_ms=round(outcome.duration_ms, 2),
        )  # fmt: skip


class _Run:
    __slots__ = ("_cold", "_dialect", "_done", "_instance", "_invocation", "_runner", "_stream", "_trace")

    def __init__(
        self, runner: Runner, dialect: Dialect, instance: Instance, invocation: Invocation,
        done: Callable[[Outcome], None], trace: str, cold: bool,  # noqa: FBT001  # For every event: names would cost.
    ) -> None:  # fmt: skip
        self._runner, self._dialect, self._instance, self._invocation = runner, dialect, instance, invocation
        self._done, self._trace, self._cold = done, trace, cold
        self._stream: _Stream | None = None  # Once the reply turns out to be one.

    def told(self, answer: Answer) -> None:
        """The instance has answered, or will not."""
        current_trace.set(self._trace)  # The instance's socket brings its reply in the context of its birth.
        runner, instance = self._runner, self._instance
        if type(answer) is Piece:
            self._stream = self._stream or _Stream(instance, self._invocation.flow)
            self._stream.take(answer)
            return
        runner.watch.end(instance)
        runner.clock.aside.running -= 1
        if type(answer) is tuple:
            took_ms = (instance.idle_since_s - instance.began_s) * 1000
            kind, body = answer
            if kind == b"E" and self._stream is not None:
                result = self._end(self._stream.whole(), None, took_ms, ())
                result.content_type = self._stream.content_type
            else:
                result = self._end(body, None if kind == b"R" else "Unhandled", took_ms, ())
            self._done(result)
            return
        task = asyncio.get_running_loop().create_task(self._end_badly(answer))  # type: ignore[arg-type]
        runner.ending.add(task)
        task.add_done_callback(runner.ending.discard)

    async def _end_badly(self, error: Exception) -> None:
        instance, invocation, dialect = self._instance, self._invocation, self._dialect
        version = instance.version
        took_ms = (instance.idle_since_s - instance.began_s) * 1000
        timed_out = isinstance(error, TimeoutError)
        if timed_out:
            lines, body = dialect.timed_out(version, invocation, self._runner.clock.now_ms())
            instance.kill()
            took_ms = version.timeout_ms
        else:
            lines, body = dialect.died(version, invocation, await instance.how(), self._runner.clock.now_ms())
            instance.close()
        self._done(self._end(body, "Unhandled", took_ms, lines, timed_out=timed_out))

    def _end(
        self, body: bytes, error: str | None, took_ms: float, lines: Sequence[str], *, timed_out: bool = False
    ) -> Outcome:
        """The log's last words."""
        instance, invocation = self._instance, self._invocation
        cold, log = self._cold, instance.log
        init_ms = instance.init_ms if cold else 0.0
        exited = error is not None and instance.state != "idle" and not timed_out
        result = Outcome(body, error, b"", cold, timed_out, init_ms, took_ms, instance.peak_mb, exited)
        result.restored = cold and instance.restored
        now_ms = self._runner.clock.now_ms()
        last = self._dialect.ended(instance.version, invocation, result, now_ms)
        log.say((*lines, *last) if lines else last, now_ms, after=instance.wrote or instance.state != "idle")
        if invocation.tail:
            result.log_tail = log.tail()
        if self._runner.telemetry.debugging:
            self._runner.tell_of(instance.version, invocation, result)
        return result


class _Stream:
    """A reply that comes in pieces: handed on as they come, or gathered where it is wanted whole."""

    __slots__ = ("_bytes", "_flow", "_instance", "_pieces", "content_type")

    def __init__(self, instance: Instance, flow: Sink | None) -> None:
        self._instance, self._flow = instance, flow
        self._pieces: list[bytes] = []
        self._bytes = 0
        self.content_type = ""

    def take(self, piece: Piece) -> None:
        if piece.begins:
            self.content_type = piece.body.decode("latin-1")
            if self._flow is not None:
                self._flow.begin(self.content_type)
            return
        self._bytes += len(piece.body)
        most = _WHOLE_BYTES_MAX if self._flow is None else _STREAMED_BYTES_MAX
        if self._bytes > most:
            self._instance.cut_short(_too_large(most))
        elif self._flow is None:
            self._pieces.append(piece.body)
        else:
            self._flow.add(piece.body, self._instance)

    def whole(self) -> bytes:
        return b"".join(self._pieces)


def _too_large(most: int) -> bytes:
    told = f"Response payload size exceeded maximum allowed payload size ({most} bytes)."
    return orjson.dumps({"errorType": "Function.ResponseSizeTooLarge", "errorMessage": told})
