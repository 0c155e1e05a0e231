"""How nodes that share a database wake each other: NOTIFY, one for many commits, and a look at everything now and then.

A NOTIFY takes a lock of the whole database, so it is never part of a transaction: what has been committed is collected
and told by a thread of its own. What is lost that way (a node dies in between) is found by the regular look.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors

from fogbank.kernel.store.keys import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from fogbank.kernel.store import Key, Waking

_CHANNEL = "fogbank"
_LONGEST_PAYLOAD = 7_900  # PostgreSQL, NOTIFY: "must be specified as a ... string shorter than 8000 bytes".
_LOOK_S = 5.0
_LOOK_WITHOUT_NOTIFY_S = 0.25  # Some databases that speak the protocol have no LISTEN.


class Announcer:
    """Tells this node's commits to the others, and theirs to this one's `signals`."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], signals: Waking) -> None:
        self._connect, self._signals = connect, signals
        self._node = secrets.token_hex(8)
        self._speaker = ThreadPoolExecutor(1, "store-speaker")
        self._line: psycopg.Connection[Any] | None = None
        self._untold: dict[tuple[str, Key], None] = {}
        self._telling: asyncio.Future[None] | None = None
        self._ending = threading.Event()
        self._listener: threading.Thread | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._listener = threading.Thread(target=self._listen, args=(loop,), name="store-listener", daemon=True)
        self._listener.start()

    def announce(self, told: Iterable[tuple[str, Key]]) -> None:
        """Wake this node at once, and the others soon. Runs in the event loop."""
        for signal, key in told:
            self._signals.wake(signal, key)
            self._untold[signal, key] = None
        self._tell_next()

    async def stop(self) -> None:
        self._ending.set()
        while self._telling is not None:
            await asyncio.wait([self._telling])
        await asyncio.get_running_loop().run_in_executor(self._speaker, self._say, [self._node])
        if self._listener is not None:
            await asyncio.to_thread(self._listener.join, _LOOK_S + 1)
        self._speaker.shutdown()
        if self._line is not None:
            self._line.close()

    def _tell_next(self) -> None:
        """One batch at a time: what comes meanwhile makes the next."""
        if self._telling is None and self._untold:
            payloads = list(_payloads(self._node, self._untold))
            self._untold.clear()
            self._telling = asyncio.get_running_loop().run_in_executor(self._speaker, self._say, payloads)
            self._telling.add_done_callback(self._told)

    def _told(self, _: asyncio.Future[None]) -> None:
        self._telling = None
        self._tell_next()

    def _say(self, payloads: list[str]) -> None:
        try:
            if self._line is None:
                self._line = self._connect()
                self._line.autocommit = True
            self._line.execute("SELECT pg_notify(%s, payload) FROM unnest(%s::text[]) AS payload", (_CHANNEL, payloads))
        except psycopg.Error:  # The others find it by their regular look.
            if self._line is not None:
                self._line.close()
            self._line = None

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        pause_s = _LOOK_S
        while not self._ending.is_set():
            try:
                with self._connect() as connection:
                    connection.autocommit = True
                    connection.execute(f"LISTEN {_CHANNEL}")
                    loop.call_soon_threadsafe(self._signals.wake_all)  # For what was told before.
                    self._hear(connection, loop)
            except (errors.FeatureNotSupported, errors.SyntaxError):
                pause_s = _LOOK_WITHOUT_NOTIFY_S
            except psycopg.Error:
                pause_s = 1.0
            if not self._ending.wait(pause_s if not self._ending.is_set() else 0):
                loop.call_soon_threadsafe(self._signals.wake_all)

    def _hear(self, connection: psycopg.Connection[Any], loop: asyncio.AbstractEventLoop) -> None:
        looked_s = time.monotonic()
        while not self._ending.is_set():
            for notice in connection.notifies(timeout=_LOOK_S, stop_after=1):
                node, *told = notice.payload.split("\n")
                if node == self._node:
                    if not told:  # Its own last word.
                        return
                    continue
                for signal, key in zip(told[::2], told[1::2], strict=True):
                    loop.call_soon_threadsafe(self._signals.wake, signal, unpack(bytes.fromhex(key)))
            if time.monotonic() - looked_s >= _LOOK_S:
                looked_s = time.monotonic()
                loop.call_soon_threadsafe(self._signals.wake_all)


def _payloads(node: str, told: Iterable[tuple[str, Key]]) -> Iterator[str]:
    parts, size = [node], len(node)
    for signal, key in told:
        entry = f"{signal}\n{pack(key).hex()}"
        if size + len(entry) + 1 > _LONGEST_PAYLOAD:
            yield "\n".join(parts)
            parts, size = [node], len(node)
        parts.append(entry)
        size += len(entry) + 1
    yield "\n".join(parts)
