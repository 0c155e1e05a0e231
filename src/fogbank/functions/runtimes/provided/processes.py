"""The server's side of the keeper: programs started on order, and how each of them ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fogbank.functions.instances import describe_end
from fogbank.functions.runtimes.python import nursery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KEEPER = Path(__file__).parent / "inside" / "keeper.py"
_ZYGOTE = Path(nursery.__file__).parent / "inside"
_START_S = 60
_REPORT_BYTES = 16


class Process:
    """A program that runs, or is about to; it leads a session of its own."""

    def __init__(self, command: Path, told: Callable[[Process], None]) -> None:
        """`told` hears that it could not be started (`refused`), or that it ended (`status`)."""
        self.command = command
        self.state = "starting"
        self.refused = 0  # The errno of its start.
        self.status: int | None = None
        self.gone = asyncio.Event()
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
        if self._owed:
            self.signal(self._owed)

    @property
    def over(self) -> bool:
        return self.status is not None

    @property
    def how_ended(self) -> str:
        """In Lambda's words: "exit status 1", "signal: killed"."""
        return describe_end(self.status or 0)

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


class Keeper:
    """The process that starts all others; started itself with the first."""

    def __init__(self) -> None:
        self._parent: nursery.Parent | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = asyncio.Lock()

    async def ready(self) -> None:
        async with self._starting:
            if self._parent is None or self._parent.closed:
                await self._start()

    async def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        interpreter = getattr(sys, "_base_executable", "") or sys.executable
        self._process = await asyncio.to_thread(
            subprocess.Popen,
            [interpreter, "-I", "-S", "-B", str(_KEEPER), str(theirs.fileno()), str(_ZYGOTE)],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env={"LANG": "en_US.UTF-8"}, start_new_session=True,
        )  # fmt: skip
        theirs.close()
        self._parent = nursery.Parent(ours, lambda _: None)
        await asyncio.wait_for(self._parent.ready, _START_S)

    def start(self, process: Process, folder: Path, environment: dict[str, str], output: int) -> None:
        """Have a program run in `folder`; it writes to the pipe `output`, which stays the caller's."""
        assert self._parent is not None
        order = {"command": str(process.command), "folder": str(folder), "environment": environment}
        report, theirs = os.pipe()
        try:
            self._parent.order(process, order, [output, theirs])
        except OSError:  # The keeper has just died.
            os.close(report)
            asyncio.get_running_loop().call_soon(process.ended, signal.SIGKILL)
            return
        finally:
            os.close(theirs)
        process.hear_start(report)

    async def close(self) -> None:
        if self._parent is not None and self._process is not None:
            self._parent.close()
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, 5)
