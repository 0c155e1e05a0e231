"""One instance: a process that runs one version, one event at a time, and the lines it writes meanwhile.

Frames both ways are four bytes of length and a body; `runtimes/*/inside` holds the other end. Those from there begin
with a letter that tells the kind, a byte that tells whether lines wait in the log's pipe, and four of peak memory; an
event on its way there with six fields that each end in a NUL.
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
from typing import TYPE_CHECKING, TypeAlias, cast

import orjson

from fogbank.functions.model import Outcome

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from fogbank.functions.model import Invocation, LogSink, Version
    from fogbank.kernel.clock import Clock

_LENGTH = struct.Struct(">I")
_HEAD = struct.Struct(">cBI")
_NEVER = float("inf")
_FRAME_BYTES_MAX = 64 * 1024 * 1024
_READ_BYTES = 65536
_LINE_BYTES_MAX = 256 * 1024  # CloudWatch Logs quotas: "Log event size".
_TAIL_BYTES = 4096  # Invoke, LogType: "the last 4 KB of the execution log".
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


Told: TypeAlias = "Callable[[tuple[bytes, bytes] | Exception], None]"


class Ended(Exception):
    """The process is gone; how is told by `Instance.how_ended`."""


class Log:
    """The pipe that an instance writes to: cut into lines, stamped, handed on in the order they came."""

    def __init__(self, fd: int, version: Version, stream: str, sink: LogSink, clock: Clock) -> None:
        self.stream = stream
        self._fd, self._sink, self._clock = fd, sink, clock
        self._place = version.log_owner, version.log_group, stream
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
        self.hand_on()

    def begin(self, lines: list[str]) -> None:
        """An event begins, with these lines of fogbank's own. What was written before it has been taken already."""
        self._tail.clear()
        self._add_all(lines)

    def say(self, lines: list[str], *, after: bool = True) -> None:
        """Lines of fogbank's own, `after` those that wait in the pipe if any may."""
        if after:
            self.drain()
        if self._rest:
            self._take(b"\n")
        self._add_all(lines)
        self.hand_on()

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
        self.hand_on()

    def _take(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._add(line.decode("utf-8", "backslashreplace").rstrip("\r").replace("\r", "\n") + "\n")
        if len(self._rest) > _LINE_BYTES_MAX:
            self._add(self._rest[:_LINE_BYTES_MAX].decode("utf-8", "backslashreplace"))
            self._rest = self._rest[_LINE_BYTES_MAX:]

    def _add_all(self, lines: list[str]) -> None:
        now_ms = self._clock.now_ms()
        self._events += [(now_ms, line) for line in lines]
        self._tail += lines

    def _add(self, line: str) -> None:
        self._events.append((self._clock.now_ms(), line))
        self._tail.append(line)
        if len(self._tail) > 2000:
            del self._tail[:1000]

    def hand_on(self) -> None:
        if self._events:
            events, self._events = self._events, []
            self._sink.write(self._place, events)


class Instance(asyncio.Protocol):
    """Made by a runtime; `ready()` once, then `run()` one event after the other."""

    def __init__(self, version: Version, log: Log) -> None:
        self.version, self.log = version, log
        self.pid = 0
        self.state = "starting"
        self.born_s = self.idle_since_s = time.perf_counter()
        self.init_ms = 0.0
        self.events = 0
        self.peak_mb = 0
        self.how_ended = ""
        self.on_end: Callable[[Instance], None] = lambda _: None
        self.on_ready: Callable[[], None] = lambda: None
        self.wrote = False  # Lines may wait in the log's pipe.
        self._buffer = b""
        self._deadline_s = _NEVER  # By the loop's clock.
        self._timer: asyncio.TimerHandle | None = None
        self._told: Told | None = None  # Who waits for the next frame.
        self._kept: tuple[bytes, bytes] | None = None
        self._lost = False
        self._status_known = asyncio.Event()

    async def open(self, end: socket.socket) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: self, end)

    # -- frames --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        while len(data) >= 4:
            (size,) = _LENGTH.unpack_from(data)
            if size > _FRAME_BYTES_MAX:
                self.kill()
                return
            if len(data) < 4 + size:
                break
            self._take(data[4 : 4 + size])
            data = data[4 + size :]
        self._buffer = data

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self.state = "dead"
        self._tell(Ended())
        self.on_end(self)

    def _take(self, frame: bytes) -> None:
        kind, wrote, peak_kb = _HEAD.unpack_from(frame)
        self.wrote = self.wrote or bool(wrote)
        self.peak_mb = max(self.peak_mb, peak_kb // 1024)
        answer = (kind, frame[_HEAD.size :])
        if self._told is not None:
            self._tell(answer)
        else:
            self._kept = answer

    def _tell(self, answer: tuple[bytes, bytes] | Exception) -> None:
        told, self._told = self._told, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if told is not None:
            told(answer)

    def _wait(self, timeout_s: float, told: Told) -> None:
        """The next frame goes to `told`, or `Ended`, or `TimeoutError`."""
        self._told = told
        self._deadline_s = asyncio.get_running_loop().time() + timeout_s
        if self._kept is not None:
            answer, self._kept = self._kept, None
            self._tell(answer)
        elif self._lost:
            self._tell(Ended())

    def look(self, next_s: float) -> None:
        """Asked again and again while it is waited for: only a time-out before `next_s` is worth a timer."""
        self.log.hand_on()
        if self._deadline_s <= next_s and self._timer is None and self._told is not None:
            self._timer = asyncio.get_running_loop().call_at(self._deadline_s, self._tell, TimeoutError())

    def send(self, body: bytes) -> None:
        self._transport.write(_LENGTH.pack(len(body)) + body)

    # -- life --

    async def ready(self, timeout_s: float) -> bytes | None:
        """Wait for the initialisation; the answer is the error document where it failed. Raises `TimeoutError`."""
        answered: asyncio.Future[tuple[bytes, bytes] | Exception] = asyncio.get_running_loop().create_future()
        self._wait(timeout_s, lambda answer: None if answered.done() else answered.set_result(answer))
        answer = await answered
        if isinstance(answer, Exception):
            raise answer
        kind, body = answer
        if kind == b"I":
            born = orjson.loads(body)
            self.init_ms, self.pid = born["init_ms"], born["pid"]
            self.state = "idle"
            self.on_ready()
            return None
        return body

    def start(
        self, invocation: Invocation, timeout_s: float, deadline_ms: int,
        told: Callable[[tuple[bytes, bytes] | Exception, float], None],
    ) -> None:  # fmt: skip
        """One event. `told`: kind and body of the answer, or `Ended` or `TimeoutError`; and how many ms it took."""
        facts = (
            f"{invocation.request_id}\0{invocation.function_arn}\0{deadline_ms}\0{invocation.trace_header}\0"
            f"{_one_field(invocation.client_context)}\0{_one_field(invocation.cognito_identity)}\0"
        ).encode("utf-8", "surrogateescape")
        self.state, self.events, self.wrote = "busy", self.events + 1, False
        began = time.perf_counter()

        def answered(answer: tuple[bytes, bytes] | Exception) -> None:
            self.idle_since_s = ended = time.perf_counter()
            if type(answer) is tuple:
                self.state = "dead" if answer[0] == b"F" else "idle"
            told(answer, (ended - began) * 1000)

        length = _LENGTH.pack(len(facts) + len(invocation.payload))
        self._transport.write(b"%b%b%b" % (length, facts, invocation.payload))
        self._wait(timeout_s, answered)

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
            "age_s": round(time.perf_counter() - self.born_s),
        }


def _one_field(text: str) -> str:
    """JSON that a client gave: it may not hold the NUL that ends a field, and needs none."""
    return text.replace("\0", "") if text else text


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
        body, None if kind == b"R" else "Unhandled", b"", cold, timed_out, instance.init_ms if cold else 0.0, took_ms,
        instance.peak_mb,
    )  # fmt: skip
