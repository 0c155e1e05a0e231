"""Programs that are started on order, by a cell's keeper or by the warden: how each begins, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from fogbank.functions.endings import describe_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import PurePath

_REPORT_BYTES = 16


class Process:
    """A program that runs, or is about to; it leads a session of its own."""

    def __init__(self, command: PurePath, told: Callable[[Process], None]) -> None:
        """`command`: as it is seen where it runs. `told` hears that it could not be started (`refused`), or that it
        ended (`status`)."""
        self.command = command
        self.state = "starting"
        self.refused = 0  # The errno of its start.
        self.status: int | None = None
        self.gone = asyncio.Event()
        self._runs = asyncio.Event()
        self._told = told
        self._pid = 0
        self._report = -1
        self._owed = 0  # A signal that came before there was anybody to get it.

    @property
    def pid(self) -> int:
        return self._pid

    @pid.setter
    def pid(self, pid: int) -> None:
        self._pid = pid
        self._see()
        if self._owed:
            self.signal(self._owed)

    @property
    def over(self) -> bool:
        return self.status is not None

    @property
    def how_ended(self) -> str:
        """In Lambda's words: "exit status 1", "signal: killed"."""
        return describe_end(self.status or 0)

    async def begun(self) -> None:
        """Wait until it runs. Raises OSError where it could not be started."""
        await self._runs.wait()
        if self.refused:
            raise OSError(self.refused, os.strerror(self.refused), str(self.command))

    def _see(self) -> None:
        if self.over or (self._pid and self._report < 0):
            self._runs.set()

    def signal(self, number: int) -> None:
        """To it and to all that it has started."""
        if not self._pid:
            self._owed = number
        elif not self.over:
            _signal_group(self._pid, number)

    def hear_start(self, report: int) -> None:
        """The pipe closes once the program runs; where it cannot, it says why first."""
        os.set_blocking(report, False)
        self._report = report
        asyncio.get_running_loop().add_reader(report, self._started)

    def _started(self) -> None:
        if self._report < 0:
            return
        asyncio.get_running_loop().remove_reader(self._report)
        with suppress(BlockingIOError):  # It is asked for because the process is gone, and nobody has said why.
            self.refused = int(os.read(self._report, _REPORT_BYTES) or 0)
        os.close(self._report)
        self._report = -1
        self._see()
        if self.refused:
            self._told(self)

    def ended(self, status: int) -> None:
        """The keeper's word. What it has started and left behind ends with it."""
        if self.status is None:
            self.status = status
            self.gone.set()
            if self._pid:
                _signal_group(self._pid, signal.SIGKILL)
            self._started()  # The two words of it may come in either order.
            self._see()
            if not self.refused:
                self._told(self)

    def tree(self) -> Iterator[int]:
        """It and its living descendants: what a shell has started holds memory too."""
        waiting = [self._pid] if self._pid and not self.over else []
        while waiting:
            pid = waiting.pop()
            yield pid
            with suppress(OSError), open(f"/proc/{pid}/task/{pid}/children") as children:  # noqa: PTH123  # As for its memory.
                waiting += [int(child) for child in children.read().split()]


def _signal_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
