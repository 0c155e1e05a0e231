"""Whoever starts programs on order, and hears how processes end: the warden, and the keeper of each cell."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any, Protocol

from fogbank.functions.sandbox.line import Line, close_all

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from pathlib import PurePath

    from fogbank.functions.processes import Process
    from fogbank.functions.sandbox.groups import Group

_UNCLAIMED_MAX = 1000


class Ending(Protocol):
    """What is told how a process has ended: an instance, or a program."""

    def ended(self, status: int) -> None: ...


class Starter:
    def __init__(self, end: socket.socket) -> None:
        self._orders: dict[int, Process] = {}
        self._living: dict[int, Ending] = {}
        self._unclaimed: dict[int, int] = {}  # Ends of processes that nobody asked for, or not yet.
        self._number = 0
        self._line = Line(end, self._take, self._closed)

    @property
    def alive(self) -> bool:
        return not self._line.closed

    def start(
        self, process: Process, folder: PurePath | str, environment: Mapping[str, str], output: int,
        *, arguments: tuple[str, ...] = (), fds: Mapping[str, int] | None = None, group: Group | None = None,
        **settings: Any,
    ) -> None:  # fmt: skip
        """Have a program run in `folder`, in `group` where it has no cell. It writes to the pipe `output`, which stays
        the caller's, as do `fds`. Where an argument is "{events}" or "{listen}" stands the number of that one."""
        self._number += 1
        order = {"run": [str(process.command), *arguments], "folder": str(folder), "environment": environment}
        report, theirs = os.pipe()
        try:
            self._line.send(
                {**order, **settings, "number": self._number},
                {"output": output, "report": theirs, **(fds or {}), **group_ends(group)},
            )
        except OSError:  # It has just died.
            os.close(report)
            asyncio.get_running_loop().call_soon(process.ended, signal.SIGKILL)
            return
        finally:
            os.close(theirs)
        self._orders[self._number] = process
        process.hear_start(report)

    def watch(self, pid: int, ending: Ending) -> None:
        """Tell it how this process ends, whose parent this starter is, or has become."""
        status = self._unclaimed.pop(pid, None)
        if status is not None and not _runs(pid):
            ending.ended(status)
        elif self.alive:
            self._living[pid] = ending
        else:
            ending.ended(signal.SIGKILL)

    def take_in(self, pid: int) -> None:
        """A process has begun here."""

    def forget(self, ending: Ending) -> None:
        self._living = {pid: one for pid, one in self._living.items() if one is not ending}

    def ask(self, order: dict[str, Any], end: socket.socket) -> None:
        """For something that will be spoken to by the other end of this socket. Raises OSError as `Line.send` does."""
        self._line.send(order, {"control": end.fileno()})

    def close(self) -> None:
        self._line.close()

    def _take(self, fact: dict[str, Any], fds: list[int], pid: int) -> None:
        close_all(fds)
        if "started" in fact:
            process = self._orders.pop(fact["started"])
            process.pid = pid
            self.take_in(pid)
            self.watch(pid, process)
        elif "ended" in fact:
            ending = self._living.pop(pid, None)
            if ending is not None:
                ending.ended(int(fact["ended"]))
            else:
                self._unclaimed[pid] = int(fact["ended"])
                if len(self._unclaimed) > _UNCLAIMED_MAX:  # The oldest: most are of keepers, whom nobody asks for.
                    del self._unclaimed[next(iter(self._unclaimed))]

    def _closed(self) -> None:
        """All that it has started dies with it."""
        endings = (*self._orders.values(), *self._living.values())
        self._orders, self._living = {}, {}
        for ending in endings:
            ending.ended(signal.SIGKILL)


def group_ends(group: Group | None) -> dict[str, int]:
    """What a process needs to go there itself."""
    return {f"group{number}": fd for number, fd in enumerate(group.fds)} if group is not None else {}


def _runs(pid: int) -> bool:
    """Whether there is such a process, and more of it than the word of its end: ids come again."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123  # For every birth.
            return stat.read().rpartition(b")")[2].split()[0] != b"Z"
    except (OSError, IndexError):
        return False
