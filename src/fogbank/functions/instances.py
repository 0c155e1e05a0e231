"""One instance: a process that runs one version, one event at a time, and the lines it writes meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import orjson

from fogbank.functions.endings import describe_end
from fogbank.functions.frames import Frames
from fogbank.functions.sandbox.starters import group_ends

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

    from fogbank.functions.http.doorway import Doorway
    from fogbank.functions.http.messages import Visit
    from fogbank.functions.logs import Log
    from fogbank.functions.model import Invocation, Version
    from fogbank.functions.sandbox.cells import Cell
    from fogbank.functions.sandbox.groups import Group

_NEVER = float("inf")
_PIECES = (b"H", b"P")
_STATUS_S = 10.0  # Its parent tells of every end, and its own parent of its; but a machine may be busy.
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """Of a reply that is not over: its content type, which comes first, or bytes of it."""

    begins: bool
    body: bytes


Answer: TypeAlias = "tuple[bytes, bytes] | Piece | Exception"  # Kind and body; or `Ended`, or `TimeoutError`.
Told: TypeAlias = "Callable[[Answer], None]"


class Ended(Exception):
    """The process is gone; how is told by `Instance.how_ended`."""


class Channel(Protocol):
    """How an instance is spoken to. What comes back is told by `Instance.take`, and its end by `Instance.lost`."""

    def begin(self, invocation: Invocation, deadline_ms: int) -> None:
        """Hand it an event; `deadline_ms` is by the machine's clock."""
        ...

    def pause(self) -> None:
        """Whoever reads the pieces of a reply is slower than they come: take no more for now."""
        ...

    def resume(self) -> None: ...

    def close(self) -> None:
        """No more events will come."""
        ...


class Instance:
    """Made by a runtime; `ready()` once, then `start()` one event after the other."""

    def __init__(self, version: Version, log: Log) -> None:
        self.version, self.log = version, log
        self.pid = 0
        self.state = "starting"
        self.born_s = self.began_s = self.idle_since_s = time.perf_counter()  # Its last event's beginning and end.
        self.init_ms = 0.0
        self.events = 0
        self.peak_mb = 0
        self.how_ended = ""
        self.on_end: Callable[[Instance], None] = lambda _: None
        self.on_ready: Callable[[], None] = lambda: None
        self.on_debugger: Callable[[str], None] = lambda _: None  # It waits for one at this address.
        self.restored = False  # From a snapshot that was asked for.
        self.is_snapshot = False  # It is initialised for its snapshot: no event is for it where that can be kept.
        self.is_spare = False  # It has time before its first event.
        self.kept = False  # Its process is a template now, and no longer its own.
        self.fresh = False  # Its first event is told that it was born for one.
        self.end: Callable[[], None] = self.kill_process  # Or what a runtime does that takes leave.
        self.processes: Callable[[], Iterable[int]] = lambda: (self.pid,)  # Whose memory counts.
        self.cell: Cell | None = None  # What it lives in.
        self.forked = False  # From a template.
        self.accompanied = False  # By extensions, which are there before its initialisation.
        self.shares_cell = False  # With programs that hear of its end.
        self.group: Group | None = None  # Its control groups, where it has no cell.
        self.channel: Channel | None = None
        self.leaders: Callable[[], Iterable[int]] = lambda: (self.pid,)  # Of the sessions that end with it.
        self.keeps_log = False  # The channel closes the log: somebody may write after the last event.
        self.wrote = False  # Lines may wait in the log's pipe.
        self.id = ""  # What logs know a web application's instance by.
        self.door: Doorway | None = None  # Where a web application is spoken to; `channel` only tells of its life.
        self.errors: Log | None = None  # What a web application writes to its second output.
        self.errors_end = -1  # Where it writes that; closed once it has it.
        self.running = 0  # Requests that a web application is at.
        self.visit: Visit | None = None  # The last one, where it is at one at a time.
        self.out_of_memory = False  # It was ended for what it held.
        self.told_of = False  # The log says how it ended.
        self.gone = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._deadline_s = _NEVER  # By the loop's clock.
        self._timer: asyncio.TimerHandle | None = None
        self._told: Told | None = None  # Who waits for the next frame.
        self._kept: tuple[bytes, bytes] | None = None
        self._lost = False
        self._status_known = asyncio.Event()

    async def open(self, end: socket.socket) -> Frames:
        """Speak to it in frames over this socket."""
        frames = self.channel = Frames(self)
        await frames.open(end)
        return frames

    async def open_pipes(self, read_end: int, write_end: int) -> None:
        """Speak to it in frames over these."""
        frames = self.channel = Frames(self)
        await frames.open_pipes(read_end, write_end)
        if self.state == "dead":  # Ended before it could be spoken to.
            frames.close()

    # -- what the channel tells --

    def lost(self) -> None:
        """The other end is gone. Only the first time counts."""
        if self._lost:
            return
        self._lost = True
        self.state = "dead"
        self.gone.set()
        if self._told is None and not self.keeps_log and not self.running:
            self.leave()
        self._tell(Ended())
        self.on_end(self)

    def take(self, kind: bytes, body: bytes, peak_mb: int, *, wrote: bool) -> None:
        """What the process says: I (it is initialised), R (a reply), X (an error), F (an error, and it ends); of a
        streamed reply H (its content type), P (a piece), E (its end); before it is initialised D (it waits for a
        debugger)."""
        self.wrote = self.wrote or wrote
        if peak_mb > self.peak_mb:
            self.peak_mb = peak_mb
        if self._told is None:
            if kind not in _PIECES:  # Those are of nothing that anybody asked for.
                self._kept = kind, body
            return
        if self.state == "busy":
            if kind == b"R":  # Asked first: nearly all are.
                self.state = "idle"
            elif kind in _PIECES:
                self._told(Piece(kind == b"H", body))
                return
            else:
                self.state = "dead" if kind == b"F" else "idle"
        self._tell((kind, body))

    def _tell(self, answer: Answer) -> None:
        self.idle_since_s = time.perf_counter()
        told, self._told = self._told, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if told is not None:
            told(answer)

    def _wait(self, timeout_s: float, told: Told) -> None:
        """The next frame goes to `told`, or `Ended`, or `TimeoutError`."""
        self._told = told
        self._deadline_s = self._loop.time() + timeout_s
        if self._kept is not None:
            answer, self._kept = self._kept, None
            self._tell(answer)
        elif self._lost:
            self._tell(Ended())

    def look(self, next_s: float) -> None:
        """Asked again and again while it is waited for: only a time-out before `next_s` is worth a timer."""
        self.log.hand_on()
        if self._deadline_s <= next_s and self._timer is None and self._told is not None:
            self._timer = self._loop.call_at(self._deadline_s, self._tell, TimeoutError())

    def pause(self) -> None:
        if self.channel is not None:
            self.channel.pause()

    def resume(self) -> None:
        if self.channel is not None:
            self.channel.resume()

    def cut_short(self, document: bytes) -> None:
        """Its reply is more than may be: the event ends with this error, and so does the process."""
        self.state = "dead"
        self._tell((b"F", document))
        self.kill()

    def keep(self, took_ms: float) -> None:
        """What its initialisation left stays behind, as what others are forks of; that is all it was for."""
        self.kept, self.pid = True, 0
        self.take(b"I", orjson.dumps({"init_ms": took_ms}), 0, wrote=True)

    # -- life --

    async def ready(self, timeout_s: float) -> bytes | None:
        """Wait for the initialisation; the answer is the error document where it failed. Raises `TimeoutError`."""
        kind, body = await self._next(timeout_s)
        while kind == b"D":
            self.on_debugger(body.decode())
            kind, body = await self._next(timeout_s)
        if kind == b"I":
            born = orjson.loads(body)
            self.init_ms = born.get("init_ms", (time.perf_counter() - self.born_s) * 1000)
            self.restored = born.get("restored", False)
            self.state = "idle"
            self._step_behind()
            self.on_ready()
            return None
        return body

    async def _next(self, timeout_s: float) -> tuple[bytes, bytes]:
        answered: asyncio.Future[Answer] = self._loop.create_future()
        self._wait(timeout_s, lambda answer: None if answered.done() else answered.set_result(answer))
        answer = await answered
        if isinstance(answer, Exception):
            raise answer
        assert type(answer) is tuple  # Pieces come from busy ones only.
        return answer

    def start(self, invocation: Invocation, timeout_s: float, deadline_ms: int, told: Told) -> None:
        """One event; it lasts from `began_s` to `idle_since_s`."""
        self.state, self.events, self.wrote = "busy", self.events + 1, False
        self.began_s = time.perf_counter()
        self.channel.begin(invocation, deadline_ms)  # type: ignore[union-attr]  # It has said that it is ready.
        self._wait(timeout_s, told)

    def memory_mb(self) -> int:
        """What it holds now, as the kernel counts it; 0 once it is gone. Its group knows what it has started, and not
        what it shares with the process that it is a fork of."""
        own_mb, group = sum([_resident_kb(pid) for pid in self.processes()]) // 1024, self._group()
        return own_mb if group is None else max(own_mb, group.memory_mb())

    @property
    def is_held(self) -> bool:
        """Whether the kernel keeps it to its memory."""
        return self._group() is not None

    def _group(self) -> Group | None:
        return self.cell.group if self.cell is not None else self.group

    def ran_out(self) -> bool:
        """Whether the kernel has ended any process of it for its memory: then others of it may say that they left."""
        group = self._group()
        return group is not None and group.ran_out()

    def born(self, pid: int) -> None:
        """The kernel's word on who it is."""
        self.pid = pid
        if self.cell is not None:
            self.cell.take_in(pid)
        self._step_behind()

    def _step_behind(self) -> None:
        """Once it is ready and known, which may come in either order."""
        if self.pid and self.state in ("idle", "busy"):
            _behind_the_server(self.pid)

    def ends(self) -> dict[str, int]:
        """The descriptors that a process needs to go where this instance lives."""
        return self.cell.namespaces if self.cell is not None else group_ends(self.group)

    def web_ends(self) -> dict[str, int]:
        """The descriptors that the process of a web application needs beside the others."""
        return {"errors": self.errors_end, "listen": self.door.end} if self.door is not None else {}

    def handed_over(self) -> None:
        """Its process has them, or there will be none."""
        if self.door is not None:
            self.door.handed_over()
        if self.errors_end >= 0:
            os.close(self.errors_end)
            self.errors_end = -1

    def kill_process(self) -> None:
        """End the process and all it has started; who waits for it hears of it."""
        if self.cell is not None and not self.shares_cell:
            self.cell.kill()
            return
        for pid in self.leaders():
            if pid:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)

    def kill(self) -> None:
        self.end()
        self.close()

    def close(self) -> None:
        self.state = "dead"
        if not self.keeps_log:
            self.hear_out()
            self.log.close()
            if self.errors is not None:
                self.errors.close()
            self.leave()
        if self.channel is not None:
            self.channel.close()

    def hear_out(self) -> None:
        """What a web application has written by now is in its log."""
        if self.errors is not None:
            self.log.drain()
            self.errors.drain()

    @property
    def is_placed(self) -> bool:
        return self.cell is not None or self.group is not None

    def leave(self) -> None:
        """Nothing is left of it."""
        for place in (self.cell, self.group):
            if place is not None:
                place.close()
        self.cell = self.group = None
        if self.door is not None:
            self.door.close()

    def ended(self, status: int) -> None:
        """The parent's word on how it ended."""
        self.out_of_memory = self.out_of_memory or self.ran_out()
        self.ended_so(describe_end(signal.SIGKILL if self.out_of_memory else status))

    def ended_so(self, how: str) -> None:
        self.how_ended = how
        self._status_known.set()

    async def how(self) -> str:
        """How it ended, once its parent has said so."""
        try:
            await asyncio.wait_for(self._status_known.wait(), _STATUS_S)
        except TimeoutError:
            return "signal: killed"
        return self.how_ended

    def facts(self) -> dict[str, object]:
        return {
            "function": self.version.name,
            "state": "busy" if self.running else self.state,
            "pid": self.pid,
            "events": self.events,
            "memory_mb": self.memory_mb(),
            "age_s": round(time.perf_counter() - self.born_s),
        }


def _behind_the_server(pid: int) -> None:
    """An event that arrives wakes its instance, which takes no core from the server for that: the server has others to
    hand on. A core that is free it has at once all the same (sched(7), SCHED_BATCH). On two cores that is a quarter
    more events."""
    if sys.platform == "linux":
        with suppress(OSError):  # It has ended already.
            os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))


def _resident_kb(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as statm:  # noqa: PTH123  # Often, and Path costs five times it.
            return int(statm.read().split()[1]) * _PAGE_KB
    except (OSError, IndexError):
        return 0
