"""The Unix socket that an instance accepts HTTP connections on, and the connections to it that wait for a request.

It lies in the server's own folder, which no instance sees; the instance is born with the listening end of it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from fogbank.functions.http.connection import Connection

if TYPE_CHECKING:
    from pathlib import Path

_BACKLOG: Final = 1024  # More than the requests that any cloud lets one instance be at.
_OPEN_FOLDER: Final = "/proc/self/fd"  # Keeps a socket's path shorter than the 108 bytes that the kernel allows it.


class Doorways:
    """All that there are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fd = -1
        self._number = 0

    def open(self) -> Doorway:
        if self._fd < 0:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for left in self._folder.iterdir():  # Of a server that was killed here.
                left.unlink()
            self._fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        self._number += 1
        at = f"{_OPEN_FOLDER}/{self._fd}" if os.path.isdir(_OPEN_FOLDER) else str(self._folder)  # noqa: PTH112
        return Doorway(f"{at}/{self._number}")

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Doorway:
    def __init__(self, path: str) -> None:
        self._path = path
        self._listening: socket.socket | None = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(path)
        self._listening.listen(_BACKLOG)
        self._idle: list[Connection] = []
        self._closed = False

    @property
    def end(self) -> int:
        """The descriptor that the instance is born with."""
        assert self._listening is not None
        return self._listening.fileno()

    def handed_over(self) -> None:
        """The instance has it: once that has ended, nobody accepts."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    async def connection(self) -> Connection:
        """Raises `OSError` where the instance has ended."""
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            end.setblocking(False)
            end.connect(self._path)  # Done at once, or not at all: the backlog has room.
            _, made = await asyncio.get_running_loop().create_unix_connection(Connection, sock=end)
        except BaseException:
            end.close()
            raise
        return made

    def give_back(self, connection: Connection) -> None:
        connection.done()
        if connection.reusable and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.handed_over()
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        with suppress(OSError):
            os.unlink(self._path)  # noqa: PTH108  # A path of the kernel's, not one to be looked into.
