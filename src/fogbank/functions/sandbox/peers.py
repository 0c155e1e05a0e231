"""Who is at the other end of a TCP connection: a process of one instance, or anybody else of this machine.

Instances share the machine's network, so an address alone keeps nobody out. The kernel tells who made a socket, and
which one it is. Where each cell has a user of its own that is enough; else the socket is looked for among what the
processes of the instance have open.
"""

from __future__ import annotations

import itertools
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from fogbank.functions.sandbox.sockets import Address, Socket, Sockets

    Owns: TypeAlias = Callable[[Socket], bool]
    Members: TypeAlias = Callable[[], Iterable[int]]

_LOOKS_MAX = 4096  # At files and processes, for one connection: who has very many of them keeps nobody else waiting.


@dataclass(frozen=True, slots=True)
class Peers:
    sockets: Sockets | None  # None where nothing is told here, and anybody passes.
    owns: Owns

    def connected(self, at: Address, to: Address) -> bool:
        """Whether the end at `at` of the connection to `to` is the instance's."""
        return self.sockets is None or self._is_own(self.sockets.connected(at, to))

    def listening(self, at: Address) -> bool:
        """Whether it is the instance that takes connections to `at`."""
        return self.sockets is None or self._is_own(self.sockets.listening(at))

    def _is_own(self, found: Socket | None) -> bool:
        return found is not None and self.owns(found)


def of_user(uid: int) -> Owns:
    """All that this user has made; nobody else may have it."""
    return lambda socket: socket.uid == uid


def of_processes(members: Members) -> Owns:
    """What any of these processes has open."""

    def owns(socket: Socket) -> bool:
        if not socket.inode:
            return False
        name, looks = f"socket:[{socket.inode}]", itertools.count()
        for pid in members():
            with suppress(OSError), _files_of(pid) as files:
                # Looked at again: the id may have been another's by the time that its files were opened.
                if _holds(files, name, looks) and pid in members() and _is_alive(files):
                    return True
            if next(looks) > _LOOKS_MAX:
                break
        return False

    return owns


@contextmanager
def _files_of(pid: int) -> Iterator[int]:
    """Its /proc/PID/fd: of this very process, and empty once it has ended, whoever has its id then."""
    files = os.open(f"/proc/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield files
    finally:
        os.close(files)


def _holds(files: int, name: str, looks: Iterator[int]) -> bool:
    for file in os.listdir(files):
        if next(looks) > _LOOKS_MAX:
            return False
        with suppress(FileNotFoundError):  # It has been closed meanwhile.
            if os.readlink(file, dir_fd=files) == name:
                return True
    return False


def _is_alive(files: int) -> bool:
    """Raises OSError where it is gone."""
    return bool(os.listdir(files))


# -- processes that belong together --


def family(pids: Iterable[int]) -> Iterator[int]:
    """These and all that descend from them, whichever of their threads has started it."""
    waiting = [pid for pid in pids if pid]
    while waiting:
        pid = waiting.pop()
        yield pid
        with suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  # Of many.
                waiting += _children(pid, thread)


def family_and_sessions(leaders: Iterable[int]) -> Iterator[int]:
    """As `family`, and what has lost its parent and is still in the session of one of them."""
    leading = [pid for pid in leaders if pid]
    yield from family(leading)
    for name in os.listdir("/proc"):  # noqa: PTH208  # As above.
        if name.isdigit() and _session(name) in leading:
            yield int(name)


def _children(pid: int, thread: str) -> list[int]:
    with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123  # Of many.
        return [int(child) for child in file.read().split()]
    return []


def _session(pid: str) -> int:
    """0 where it has ended."""
    with suppress(OSError, IndexError), open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123  # Of many.
        return int(stat.read().rpartition(b")")[2].split()[3])
    return 0
