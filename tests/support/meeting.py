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


class Meeting:
    """A port of this machine, which is to be reached from a cell as well."""

    def __init__(self, count: int) -> None:
        """`count`: all are released when so many are there."""
        self._count = count
        self._door = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.call: Any = {"port": self._door.getsockname()[1]}
        self._guests: list[socket.socket] = []
        self._receiving = threading.Thread(target=self._receive, daemon=True)

    @property
    def there(self) -> int:
        return len(self._guests)

    def release(self) -> None:
        for guest in self._guests:
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
            if len(self._guests) == self._count:
                self.release()
