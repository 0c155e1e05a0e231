"""The log of an instance: what it writes into its pipe and what the cloud says around that, in the order it came."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fogbank.functions.model import LogSink, Version
    from fogbank.kernel.clock import Clock

_READ_BYTES = 65536
_LINE_BYTES_MAX = 256 * 1024  # CloudWatch Logs quotas: "Log event size".
_TAIL_BYTES = 4096  # Invoke, LogType: "the last 4 KB of the execution log".
_TAIL_LINES_MAX = 2000


class Log:
    """The pipe that an instance writes to: cut into lines, stamped, handed on in the order they came."""

    def __init__(
        self, fd: int, version: Version, stream: str, sink: LogSink, clock: Clock,
        wanted: Callable[[str], bool] | None = None,
    ) -> None:  # fmt: skip
        self.stream, self._wanted = stream, wanted
        self.heard: Callable[[str], None] = _nobody  # Told each line that came through the pipe.
        self.form: Callable[[str], str] | None = None  # What is kept in a line's place.
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

    def begin(self, lines: Sequence[str], now_ms: int) -> None:
        """An event begins, with these lines of the cloud's own. What was written before it has been taken already."""
        self._tail = [*lines]
        self._events += [(now_ms, line) for line in lines]

    def say(self, lines: Sequence[str], now_ms: int, *, after: bool = True) -> None:
        """Lines of the cloud's own, `after` those that wait in the pipe if any may."""
        if after:
            self.drain()
        if self._rest:
            self._take(b"\n")
        if self.form is None:  # Of entries nobody wants the end.
            self._tail += lines
        self._events += [(now_ms, line) for line in lines]
        self.hand_on()

    def line(self, text: str) -> None:
        self.say((f"{text}\n" if self.form is None else self.form(text),), self._clock.now_ms())

    def note(self, text: str) -> None:
        """A word of fogbank's own, for whoever wonders."""
        self.line(f"fogbank: {text}")

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

    def _add(self, line: str) -> None:
        if self._wanted is not None and not self._wanted(line):
            return
        self._events.append((self._clock.now_ms(), line if self.form is None else self.form(line)))
        self.heard(line)
        if self.form is not None:
            return
        self._tail.append(line)
        if len(self._tail) > _TAIL_LINES_MAX:
            del self._tail[: _TAIL_LINES_MAX // 2]

    def hand_on(self) -> None:
        if self._events:
            events, self._events = self._events, []
            self._sink.write(self._place, events)


def _nobody(line: str) -> None:
    """Hears it."""


def _waiting_bytes(fd: int) -> int:
    """In a pipe."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)
