"""One instance: a process that runs one version, one event at a time, and the lines it writes meanwhile.

Frames both ways are four bytes of length and a body; `runtimes/*/inside` holds the other end.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import struct
import sys
import termios
import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import orjson

from fogbank.functions.model import Outcome

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from fogbank.functions.model import Invocation, LogSink, Version
    from fogbank.kernel.clock import Clock

_LENGTH = struct.Struct(">I")
_FRAME_BYTES_MAX = 64 * 1024 * 1024
_READ_BYTES = 65536
_LINE_BYTES_MAX = 256 * 1024  # CloudWatch Logs quotas: "Log event size".
_TAIL_BYTES = 4096  # Invoke, LogType: "the last 4 KB of the execution log".
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


class Ended(Exception):
    """The process is gone; how is told by `Instance.how_ended`."""


class Log:
    """The pipe that an instance writes to: cut into lines, stamped, handed on in the order they came."""

    def __init__(self, fd: int, version: Version, stream: str, sink: LogSink, clock: Clock) -> None:
        self.stream = stream
        self._fd, self._version, self._sink, self._clock = fd, version, sink, clock
        self._rest = b""
        self._tail: list[str] = []
        self._events: list[tuple[int, str]] = []
        os.set_blocking(fd, False)
        asyncio.get_running_loop().add_reader(fd, self._readable)

    def follow(self, fd: int) -> None:
        """Read from this pipe instead: of a process that had its output before it had a function."""
        self.close()
        self._fd = fd
        os.set_blocking(fd, False)
        asyncio.get_running_loop().add_reader(fd, self._readable)

    def drain(self) -> None:
        """Take all that is there now."""
        if self._fd >= 0 and _waiting_bytes(self._fd):  # Mostly nothing: asking costs a quarter of an empty read.
            self._readable()

    def _readable(self) -> None:
        while self._fd >= 0:
            try:
                data = os.read(self._fd, _READ_BYTES)
            except BlockingIOError:
                break
            if not data:
                self.close()
                break
            self._take(data)
            if len(data) < _READ_BYTES:
                break
        self._hand_on()

    def begin(self, lines: list[str]) -> None:
        """An event begins, with these lines of fogbank's own. What was written before it has been taken already."""
        self._tail.clear()
        for line in lines:
            self._add(line)
        self._hand_on()

    def say(self, lines: list[str]) -> None:
        """Lines of fogbank's own, after those that came before."""
        self.drain()
        if self._rest:
            self._take(b"\n")
        for line in lines:
            self._add(line)
        self._hand_on()

    def tail(self) -> bytes:
        """The end of what was written since `begin`."""
        return "".join(self._tail).encode()[-_TAIL_BYTES:]

    def close(self) -> None:
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
        if self._rest:
            self._take(b"\n")
        self._hand_on()

    def _take(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._add(line.decode("utf-8", "backslashreplace").rstrip("\r").replace("\r", "\n") + "\n")
        if len(self._rest) > _LINE_BYTES_MAX:
            self._add(self._rest[:_LINE_BYTES_MAX].decode("utf-8", "backslashreplace"))
            self._rest = self._rest[_LINE_BYTES_MAX:]

    def _add(self, line: str) -> None:
        self._events.append((self._clock.now_ms(), line))
        self._tail.append(line)
        if len(self._tail) > 2000:
            del self._tail[:1000]

    def _hand_on(self) -> None:
        if self._events:
            events, self._events = self._events, []
            self._sink.write(self._version.log_owner, self._version.log_group, self.stream, events)


class Instance(asyncio.Protocol):
    """Made by a runtime; `ready()` once, then `run()` one event after the other."""

    def __init__(self, version: Version, log: Log) -> None:
        self.version, self.log = version, log
        self.pid = 0
        self.state = "starting"
        self.born_s = self.idle_since_s = time.monotonic()
        self.init_ms = 0.0
        self.events = 0
        self.peak_mb = 0
        self.how_ended = ""
        self.on_end: Callable[[Instance], None] = lambda _: None
        self.on_ready: Callable[[], None] = lambda: None
        self._buffer = bytearray()
        self._waiter: asyncio.Future[tuple[bytes, bytes]] | None = None
        self._kept: tuple[bytes, bytes] | None = None
        self._lost = False
        self._status_known = asyncio.Event()

    async def open(self, end: socket.socket) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: self, end)

    # -- frames --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 4:
            (size,) = _LENGTH.unpack_from(self._buffer)
            if size > _FRAME_BYTES_MAX:
                self.kill()
                return
            if len(self._buffer) < 4 + size:
                return
            frame = bytes(self._buffer[4 : 4 + size])
            del self._buffer[: 4 + size]
            self._take(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self.state = "dead"
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(Ended())
        self.on_end(self)

    def _take(self, frame: bytes) -> None:
        self.peak_mb = max(self.peak_mb, _LENGTH.unpack_from(frame, 1)[0] // 1024)
        answer = (frame[:1], frame[5:])
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(answer)
        else:
            self._kept = answer

    async def _answer(self, timeout_s: float | None) -> tuple[bytes, bytes]:
        """The next frame. Raises `Ended`, or `TimeoutError`."""
        if self._kept is not None:
            answer, self._kept = self._kept, None
            return answer
        if self._lost:
            raise Ended
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = None if timeout_s is None else loop.call_later(timeout_s, self._out_of_time)
        try:
            return await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _out_of_time(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(TimeoutError())

    def send(self, body: bytes) -> None:
        self._transport.write(_LENGTH.pack(len(body)) + body)

    # -- life --

    async def ready(self, timeout_s: float) -> bytes | None:
        """Wait for the initialisation; the answer is the error document where it failed. Raises `TimeoutError`."""
        kind, body = await self._answer(timeout_s)
        if kind == b"I":
            born = orjson.loads(body)
            self.init_ms, self.pid = born["init_ms"], born["pid"]
            self.state = "idle"
            self.on_ready()
            return None
        return body

    async def run(self, invocation: Invocation, timeout_s: float, deadline_ms: int) -> tuple[bytes, bytes, float]:
        """One event: kind and body of the answer, and the milliseconds it took. Raises `Ended` or `TimeoutError`."""
        facts = {
            "id": invocation.request_id,
            "arn": invocation.function_arn,
            "deadline_ms": deadline_ms,
            "trace": invocation.trace_header,
            "client_context": invocation.client_context,
            "identity": invocation.cognito_identity,
        }
        self.state, self.events = "busy", self.events + 1
        began = time.perf_counter()
        self.send(orjson.dumps(facts) + b"\n" + invocation.payload)
        kind, body = await self._answer(timeout_s)
        took_ms = (time.perf_counter() - began) * 1000
        self.state, self.idle_since_s = "dead" if kind == b"F" else "idle", time.monotonic()
        return kind, body, took_ms

    def memory_mb(self) -> int:
        """What it holds now, as the kernel counts it; 0 once it is gone."""
        try:
            with open(f"/proc/{self.pid}/statm", "rb") as statm:  # noqa: PTH123  # Often, and Path costs five times it.
                return int(statm.read().split()[1]) * _PAGE_KB // 1024
        except (OSError, IndexError):
            return 0

    def kill_process(self) -> None:
        """End the process and all it has started (it leads a session of its own); who waits for it hears of it."""
        if self.pid:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def kill(self) -> None:
        self.kill_process()
        self.close()

    def close(self) -> None:
        self.state = "dead"
        self.log.close()
        transport = getattr(self, "_transport", None)
        if transport is not None:
            transport.close()

    def ended(self, status: int) -> None:
        """The parent's word on how it ended."""
        self.how_ended = describe_end(status)
        self._status_known.set()

    async def how(self) -> str:
        """How it ended, once its parent has said so."""
        try:
            await asyncio.wait_for(self._status_known.wait(), 2)
        except TimeoutError:
            return "signal: killed"
        return self.how_ended

    def facts(self) -> dict[str, object]:
        return {
            "function": self.version.name,
            "state": self.state,
            "pid": self.pid,
            "events": self.events,
            "memory_mb": self.memory_mb(),
            "age_s": round(time.monotonic() - self.born_s),
        }


def _waiting_bytes(fd: int) -> int:
    """In a pipe."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)


def describe_end(status: int) -> str:
    """A wait status in the words that Lambda uses."""
    if os.WIFSIGNALED(status):
        name = signal.strsignal(os.WTERMSIG(status)) or str(os.WTERMSIG(status))
        return f"signal: {name.lower()}"
    return f"exit status {os.WEXITSTATUS(status)}"


def outcome(
    kind: bytes, body: bytes, took_ms: float, instance: Instance, *, cold: bool, timed_out: bool = False
) -> Outcome:
    return Outcome(
        payload=body, error=None if kind == b"R" else "Unhandled", log_tail=b"", cold=cold,
        init_ms=instance.init_ms if cold else 0.0, duration_ms=took_ms, max_memory_mb=instance.peak_mb,
        timed_out=timed_out,
    )  # fmt: skip
