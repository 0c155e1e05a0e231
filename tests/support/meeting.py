"""Functions that wait for each other, or for the test: so many events are in work at once, however busy the machine."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

# In a function: it goes on when all are there, or are released. `call` is the event; where that is nothing, at once.
MEET = """
def meet(call):
    import socket
    if call:
        with socket.create_connection(("127.0.0.1", call["port"])) as there:
            assert there.recv(1), "the test is over"
"""
# The same in JavaScript, to be awaited.
MEET_IN_NODE = """
const meet = (call) => new Promise((go) => {
  const there = require("node:net").connect(call.port, "127.0.0.1", () => there.once("data", () => there.end(go)));
});
"""


class Meeting:
    """A port of this machine, which is to be reached from a cell as well."""

    def __init__(self, count: int = 0) -> None:
        """`count`: all are released when so many are there; none: when the test says so."""
        self._count = count
        self.there = 0  # So many have come.
        self._door = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.call: Any = {"port": self._door.getsockname()[1]}
        self._guests: list[socket.socket] = []
        self._receiving = threading.Thread(target=self._receive, daemon=True)

    def release(self) -> None:
        """All who are there."""
        while self._guests:
            with self._guests.pop() as guest:
                guest.sendall(b"+")

    def __enter__(self) -> Meeting:
        self._receiving.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._receiving.join()
        self._door.close()
        for guest in self._guests:
            guest.close()

    def _receive(self) -> None:
        while True:
            try:
                guest, _ = self._door.accept()
            except OSError:  # It is closed.
                return
            self._guests.append(guest)
            self.there += 1
            if self.there == self._count:
                self.release()
