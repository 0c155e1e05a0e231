"""The server's side of cells: has them made, and ends them. `inside/cells.py` says what a cell is."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from fogbank.functions.engine import NoRuntimeError
from fogbank.functions.sandbox.line import close_all, pair
from fogbank.functions.sandbox.starters import Starter

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from pathlib import Path

    from fogbank.functions.sandbox.groups import Group

ENDS: Final = ("user", "mnt", "ipc", "pid")  # The namespaces, as `inside/cells.py` hands them out.
_ANSWER_S = 20.0


class CellError(NoRuntimeError):
    """A cell cannot be made; the message is the kernel's reason."""


class Cell(Starter):
    """One keeper, and through it all that is in its namespaces."""

    def __init__(
        self, end: socket.socket, group: Group | None, sources: tuple[Group, ...], uid: int | None
    ) -> None:  # fmt: skip
        """`group`: of all that is in it; `sources`: those that its processes may begin in; `uid`: whom it belongs to,
        if that is a user of its own."""
        super().__init__(end)
        self.uid = uid
        self.keeper = 0  # Its process 1, by the id that it has outside.
        self.group, self._sources = group, sources
        self.namespaces: dict[str, int] = {}
        self._pidfd = -1  # The keeper's.
        self._answer: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()

    async def made(self) -> None:
        """Wait until it is there. Raises `CellError`."""
        try:
            self.namespaces = dict(zip(ENDS, await self._answered(), strict=True))
        except BaseException:
            self.close()
            raise

    async def inner(self, tmp_mb: int, group: Group | None) -> Cell:
        """A further cell inside this one, for a fork of the template that lives here."""
        own = (self.group,) if self.group is not None else ()
        # The template may be on its way to its own group still: then its fork begins where that itself began.
        return await _make(self, {"tmp_mb": tmp_mb}, group, (*own, *self._sources), self.uid)

    async def furnish(self, trees: Mapping[str, int], tmp_mb: int) -> None:
        """Mount what a function is made of, in a cell that was there before the function was known. `trees`: by the
        place where each is to be seen; they are closed here."""
        self._answer = asyncio.get_running_loop().create_future()
        try:
            self._line.send({"attach": list(trees), "tmp_mb": tmp_mb}, trees)
            await self._answered()
        except OSError as error:
            raise CellError(f"the cell has ended: {error}") from error
        finally:
            close_all(list(trees.values()))

    def take_in(self, pid: int) -> None:
        if self.group is not None and self._sources:
            asyncio.get_running_loop().run_in_executor(None, self.group.take, pid, self._sources)

    def kill(self) -> None:
        """End all that is in it, at once."""
        if self._pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def close(self) -> None:
        self.kill()
        super().close()

    async def _answered(self) -> list[int]:
        return await asyncio.wait_for(asyncio.shield(self._answer), _ANSWER_S)

    def _take(self, fact: dict[str, Any], fds: list[int], pid: int) -> None:
        if "made" in fact and self._pidfd < 0 and len(fds) == len(ENDS):
            with suppress(OSError):  # It has ended meanwhile: the line says so next.
                self._pidfd = os.pidfd_open(pid)
                self.keeper = pid
            self._settle(fds)
        elif "attached" in fact:
            self._settle(fds)
        elif "failed" in fact:
            close_all(fds)
            self._fail(str(fact["failed"]))
        else:
            super()._take(fact, fds, pid)

    def _settle(self, fds: list[int]) -> None:
        if self._answer.done():  # Whoever waited for it has given up.
            close_all(fds)
        else:
            self._answer.set_result(fds)

    def _fail(self, reason: str) -> None:
        if not self._answer.done():
            self._answer.set_exception(CellError(f"no sandbox could be made: {reason}"))
            self._answer.exception()  # Seen, even if nobody waits any more.

    def _closed(self) -> None:
        self._fail("its keeper has died")
        super()._closed()
        close_all(list(self.namespaces.values()))
        self.namespaces = {}
        self.keeper = 0
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        if self.group is not None:
            self.group.close()


class Warden(Starter):
    """The first process of an interpreter: it makes the cells, or, where there can be none, starts programs itself."""

    def __init__(self, end: socket.socket, nursery: Group | None) -> None:
        """`nursery`: the group that it is in itself, and all that it starts."""
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked: list[asyncio.Future[list[int]]] = []
        self._nursery = nursery
        super().__init__(end)

    async def ready(self) -> None:
        """Raises `CellError` where the machine does not give what a cell needs."""
        await asyncio.wait_for(asyncio.shield(self._ready), _ANSWER_S)

    async def cell(self, uid: int | None, tmp_mb: int, trees: Mapping[str, Path], group: Group | None) -> Cell:
        """`uid`: who the cell belongs to, if the server may choose; `trees`: folders of this machine by where they are
        to be seen."""
        order = {"uid": uid, "tmp_mb": tmp_mb, "trees": {place: str(path) for place, path in trees.items()}}
        sources = (self._nursery,) if self._nursery is not None else ()
        return await _make(self, order, group, sources, uid)

    async def trees(self, paths: Mapping[str, Path]) -> dict[str, int]:
        """Folders as mounts that are attached nowhere yet, by the names of `paths`."""
        answer: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        try:
            self._line.send({"trees": [str(path) for path in paths.values()]})
        except OSError as error:
            raise CellError(f"the process that makes cells has ended: {error}") from error
        return dict(zip(paths, await asyncio.wait_for(asyncio.shield(answer), _ANSWER_S), strict=True))

    def _take(self, fact: dict[str, Any], fds: list[int], pid: int) -> None:
        if "ready" in fact:
            self._ready.set_result(None)
        elif "failed" in fact:
            close_all(fds)
            _refuse(self._asked.pop(0) if self._ready.done() else self._ready, str(fact["failed"]))
        elif "trees" in fact:
            self._asked.pop(0).set_result(fds)
        else:
            super()._take(fact, fds, int(fact["pid"]))  # It speaks of others, and is no one's code but ours.

    def _closed(self) -> None:
        waiting: list[asyncio.Future[Any]] = [self._ready, *self._asked]
        for one in waiting:
            if not one.done():
                _refuse(one, "the process that makes cells has died")
        self._asked.clear()
        super()._closed()


async def _make(
    maker: Starter, order: dict[str, Any], group: Group | None, sources: tuple[Group, ...], uid: int | None
) -> Cell:  # fmt: skip
    ours, theirs = pair()
    with theirs:
        cell = Cell(ours, group, sources, uid)
        try:
            maker.ask({"cell": order}, theirs)
        except OSError as error:
            cell.close()
            raise CellError(f"the process that makes cells has ended: {error}") from error
    await cell.made()
    return cell


def _refuse(waiting: asyncio.Future[Any], reason: str) -> None:
    waiting.set_exception(CellError(reason))
    waiting.exception()
