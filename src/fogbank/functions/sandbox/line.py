"""A socket to a process of ours: JSON and descriptors both ways, and the kernel's word on who it was that spoke.

What a process says of itself is not believed: its id comes with each message (unix(7), SCM_CREDENTIALS).
"""

from __future__ import annotations

import array
import asyncio
import os
import socket
import struct
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_CREDENTIALS = struct.Struct("3i")
_MESSAGE_BYTES_MAX = 65536
_FDS_MAX = 16
_ROOM = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(_FDS_MAX * 4)


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of one: ours, and what the process gets."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Line:
    def __init__(self, end: socket.socket, told: Callable[[dict[str, Any], list[int], int], None],
                 on_closed: Callable[[], None]) -> None:  # fmt: skip
        """`told` gets each message, the descriptors that came with it, which are its own to close, and the id of the
        process that sent it."""
        self.closed = False
        self._end, self._told, self._on_closed = end, told, on_closed
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        asyncio.get_running_loop().add_reader(end.fileno(), self._hear)

    def send(self, order: dict[str, Any], fds: Mapping[str, int] | None = None) -> None:
        """`fds`: by the names that the order calls them. Raises OSError where nobody is there any more."""
        if not fds:
            self._end.sendmsg([orjson.dumps(order)])
            return
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds.values()))]
        self._end.sendmsg([orjson.dumps({**order, "fds": list(fds)})], rights)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().remove_reader(self._end.fileno())
            self._end.close()
            self._on_closed()

    def _hear(self) -> None:
        while not self.closed:
            try:
                message, ancillary, _, _ = self._end.recvmsg(_MESSAGE_BYTES_MAX, _ROOM, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                message, ancillary = b"", []
            if not message:
                self.close()
                return
            fds, pid = _opened(ancillary)
            try:
                fact = orjson.loads(message)
            except orjson.JSONDecodeError:
                fact = None
            if not isinstance(fact, dict):  # A template is people's code: it may say anything.
                close_all(fds)
                self.close()
                return
            self._told(fact, fds, pid)


def _opened(ancillary: list[tuple[int, int, bytes]]) -> tuple[list[int], int]:
    fds, pid = array.array("i"), 0
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            pid = _CREDENTIALS.unpack(data[: _CREDENTIALS.size])[0]
    return list(fds), pid


def close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
