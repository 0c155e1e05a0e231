"""A server that is killed at a moment that nobody chose, while writers put to it what it acknowledges."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any, Protocol

from tests.support.waiting import eventually

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from tests.support.command import Fogbank


class Writer(Protocol):
    """A thread that writes until the server is gone."""

    acknowledged: Any

    def start(self) -> None: ...

    def join(self, timeout: float) -> None: ...


def kill(program: Fogbank) -> None:
    os.kill(program.json("status")["pid"], signal.SIGKILL)


def kill_amid(program: Fogbank, writers: Sequence[Writer], chance: random.Random) -> None:
    """Each writer has something to lose when the server is killed, and has ended when it is started again."""
    pid = program.json("status")["pid"]
    for writer in writers:
        writer.start()
    eventually(lambda: all(writer.acknowledged for writer in writers), within_s=60)
    time.sleep(chance.uniform(0, 0.1))  # The moment of the kill is what varies.
    os.kill(pid, signal.SIGKILL)
    for writer in writers:
        writer.join(60)
    program.run("start", "--detach")
