"""The store on a PostgreSQL-wire database, which any number of nodes share.

Transactions run on a few threads, each with a connection of its own, at REPEATABLE READ; one that met another is run
again. What a transaction writes is kept here until somebody must see it, and goes out in one statement.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, LifoQueue
from typing import TYPE_CHECKING, Any, Concatenate
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import errors

from fogbank.kernel.clock import Aside
from fogbank.kernel.errors import StartError
from fogbank.kernel.store import Key, P, R, StoreError
from fogbank.kernel.store.keys import pack, unpack
from fogbank.kernel.store.postgres_signals import Announcer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fogbank.kernel.store import Waking

CONNECTIONS = 8
_TRIES = 30
_LONGEST_PAUSE_S = 0.05

# One entry of a B-tree holds 2,704 bytes at most (PostgreSQL, "B-Tree Indexes"), and a key may be longer: its first
# part is indexed, and the rest is told apart by its digest.
_HEAD = 2_000
_TABLE = """
CREATE TABLE IF NOT EXISTS record (
    head bytea NOT NULL, digest bytea NOT NULL, tail bytea NOT NULL, value bytea NOT NULL, PRIMARY KEY (head, digest)
)
"""
_SETUP_LOCK = 0x666F67  # Nodes that start together create the table one after the other.
_CHUNKS = (64, 256, 1024)  # Rows a scan fetches at a time: most readers stop early.


def _split(key: bytes) -> tuple[bytes, bytes, bytes]:
    """(head, digest, tail) of a packed key."""
    if len(key) <= _HEAD:
        return key, b"", b""
    tail = key[_HEAD:]
    return key[:_HEAD], hashlib.sha256(tail).digest(), tail


class PostgresStore:
    """Open it with `open`: it raises `StartError` where the database cannot be used."""

    def __init__(self, url: str, signals: Waking | None, aside: Aside, on_close: Callable[[], None]) -> None:
        self._url, self._aside, self._on_close = url, aside, on_close
        self._threads = ThreadPoolExecutor(CONNECTIONS, "store")
        self._idle: LifoQueue[psycopg.Connection[Any]] = LifoQueue()
        self._announcer = Announcer(self._connect, signals) if signals is not None else None

    @classmethod
    async def open(
        cls, url: str, signals: Waking | None = None, aside: Aside | None = None,
        on_close: Callable[[], None] = lambda: None,
    ) -> PostgresStore:  # fmt: skip
        store = cls(url, signals, aside or Aside(), on_close)
        try:
            await asyncio.get_running_loop().run_in_executor(store._threads, store._prepare)
        except psycopg.Error as error:
            raise StartError(
                f"cannot use the database {_shown(url)}: {str(error).strip()}; is it running, and is the URL right?"
            ) from error
        if store._announcer is not None:
            store._announcer.start(asyncio.get_running_loop())
        return store

    @property
    def immediate(self) -> None:
        return None

    async def transact(self, work: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        loop = asyncio.get_running_loop()

        def run() -> R:
            result, told = self._run(lambda tx: work(tx, *args, **kwargs))
            if told and self._announcer is not None:  # Even if nobody waits for the result any more.
                loop.call_soon_threadsafe(self._announcer.announce, told)
            return result

        with self._aside:
            return await loop.run_in_executor(self._threads, run)

    async def close(self) -> None:
        if self._announcer is not None:
            await self._announcer.stop()
        await asyncio.to_thread(self._threads.shutdown)
        while not self._idle.empty():
            self._idle.get_nowait().close()
        self._on_close()

    def describe(self) -> dict[str, Any]:
        return {"driver": "postgresql", "url": _shown(self._url)}

    def _run(self, work: Callable[[PostgresTx], R]) -> tuple[R, list[tuple[str, Key]]]:
        lost = 0
        for attempt in range(_TRIES):
            connection = self._borrow()
            tx = PostgresTx(connection)
            committing = False
            try:
                result = work(tx)
                tx.settle()
                committing = True
                connection.commit()
            except (errors.SerializationFailure, errors.DeadlockDetected):
                _quietly_undo(connection)
                time.sleep(random.uniform(0, min(_LONGEST_PAUSE_S, 0.001 * 2**attempt)))
                continue
            except psycopg.Error as error:
                if connection.broken and not committing and not lost:
                    lost += 1  # It was cut while nothing had been decided; a new connection may do.
                    continue
                _quietly_undo(connection)
                raise StoreError(_explained(error, committing=committing)) from error
            except BaseException:
                _quietly_undo(connection)
                raise
            finally:
                self._give_back(connection)
            return result, tx.signals
        raise StoreError(f"gave up after {_TRIES} tries: other transactions kept changing the same rows")

    def _borrow(self) -> psycopg.Connection[Any]:
        try:
            return self._idle.get_nowait()
        except Empty:
            pass
        try:
            return self._connect()
        except psycopg.Error as error:
            raise StoreError(f"cannot reach the database: {str(error).strip()}") from error

    def _give_back(self, connection: psycopg.Connection[Any]) -> None:
        if connection.closed:
            while not self._idle.empty():  # What was cut once was most likely cut for all.
                self._idle.get_nowait().close()
        else:
            self._idle.put(connection)

    def _connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(self._url, application_name="fogbank", connect_timeout=10)
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return connection

    def _prepare(self) -> None:
        connection = self._connect()
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SETUP_LOCK,))
        connection.execute(_TABLE)
        connection.commit()
        self._idle.put(connection)


class PostgresTx:
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._cursor = connection.cursor(binary=True)
        self._unsent: dict[bytes, bytes | None] = {}
        self._written: set[bytes] = set()
        self._locked: set[bytes] = set()
        self.signals: list[tuple[str, Key]] = []

    def get(self, key: Key, *, lock: bool = False) -> bytes | None:
        packed = pack(key)
        if packed in self._unsent:
            return self._unsent[packed]
        head, digest, _ = _split(packed)
        query = "SELECT value FROM record WHERE head = %s AND digest = %s"
        if lock:
            query += " FOR NO KEY UPDATE"
            self._locked.add(packed)
        row = self._cursor.execute(query, (head, digest)).fetchone()
        return None if row is None else row[0]

    def put(self, key: Key, value: bytes) -> None:
        self._unsent[pack(key)] = value

    def delete(self, key: Key) -> None:
        self._unsent[pack(key)] = None

    def scan(
        self, first: Key, last: Key, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[Key, bytes]]:
        low, high = pack(first), pack(last)
        order = "head DESC, tail DESC" if reverse else "head, tail"
        left, step = limit, 0
        while left is None or left > 0:
            self._flush()
            chunk = _CHUNKS[min(step, len(_CHUNKS) - 1)] if left is None else min(left, _CHUNKS[-1])
            where, values = _between(low, high)
            query = f"SELECT head || tail, value FROM record WHERE {where} ORDER BY {order} LIMIT %s"
            rows = self._cursor.execute(query, (*values, chunk)).fetchall()
            yield from ((unpack(key), value) for key, value in rows)
            if len(rows) < chunk:
                return
            low, high = (low, rows[-1][0]) if reverse else (rows[-1][0] + b"\x00", high)
            left, step = None if left is None else left - chunk, step + 1

    def claim(self, first: Key, last: Key, *, limit: int) -> Iterator[tuple[Key, bytes]]:
        self._flush()
        where, values = _between(pack(first), pack(last))
        query = (
            f"SELECT head || tail, value FROM record WHERE {where} ORDER BY head, tail LIMIT %s "
            "FOR NO KEY UPDATE SKIP LOCKED"
        )
        rows = self._cursor.execute(query, (*values, limit)).fetchall()
        return ((unpack(key), value) for key, value in rows)

    def count(self, first: Key, last: Key) -> int:
        self._flush()
        where, values = _between(pack(first), pack(last))
        row = self._cursor.execute(f"SELECT count(*) FROM record WHERE {where}", values).fetchone()
        return 0 if row is None else int(row[0])

    def recall(self, work: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return work(self, *args, **kwargs)

    def emit(self, signal: str, key: Key = ()) -> None:
        self.signals.append((signal, key))

    def settle(self) -> None:
        """Send what is unsent. A row that was decided on but not written is written as it is: at REPEATABLE READ only
        a changed row tells another transaction that what it saw is old."""
        self._flush()
        for key in sorted(self._locked - self._written):
            head, digest, _ = _split(key)
            query = "UPDATE record SET value = value WHERE head = %s AND digest = %s"
            self._cursor.execute(query, (head, digest))

    def _flush(self) -> None:
        if not self._unsent:
            return
        unsent, self._unsent = sorted(self._unsent.items()), {}  # In one order everywhere: fewer deadlocks.
        self._written.update(key for key, _ in unsent)
        self._put([(*_split(key), value) for key, value in unsent if value is not None])
        self._delete([_split(key)[:2] for key, value in unsent if value is None])

    def _put(self, rows: list[tuple[bytes, bytes, bytes, bytes]]) -> None:
        source = "VALUES (%s::bytea, %s::bytea, %s::bytea, %s::bytea)"
        if len(rows) > 1:
            source = "SELECT * FROM unnest(%s::bytea[], %s::bytea[], %s::bytea[], %s::bytea[])"
        if rows:
            self._cursor.execute(
                f"INSERT INTO record (head, digest, tail, value) {source} "
                "ON CONFLICT (head, digest) DO UPDATE SET value = excluded.value",
                _columns(rows),
            )

    def _delete(self, rows: list[tuple[bytes, bytes]]) -> None:
        if len(rows) == 1:
            self._cursor.execute("DELETE FROM record WHERE head = %s AND digest = %s", rows[0])
        elif rows:
            self._cursor.execute(
                "DELETE FROM record USING unnest(%s::bytea[], %s::bytea[]) AS gone (head, digest) "
                "WHERE record.head = gone.head AND record.digest = gone.digest",
                _columns(rows),
            )


def _columns(rows: list[Any]) -> Sequence[Any]:
    return rows[0] if len(rows) == 1 else [list(column) for column in zip(*rows, strict=True)]


def _between(low: bytes, high: bytes) -> tuple[str, tuple[bytes, ...]]:
    """The condition of `low <= key < high`. Bounds that fit a head need look at nothing else."""
    if len(low) <= _HEAD and len(high) <= _HEAD:
        return "head >= %s AND head < %s", (low, high)
    where = "head >= %s AND head <= %s AND (head, tail) >= (%s, %s) AND (head, tail) < (%s, %s)"
    return where, (low[:_HEAD], high[:_HEAD], low[:_HEAD], low[_HEAD:], high[:_HEAD], high[_HEAD:])


def _quietly_undo(connection: psycopg.Connection[Any]) -> None:
    try:
        connection.rollback()
    except psycopg.Error:
        connection.close()  # It is broken; the database undoes what it had not committed.


def _explained(error: psycopg.Error, *, committing: bool) -> str:
    said = str(error).strip() or type(error).__name__
    if committing and isinstance(error, psycopg.OperationalError):
        return f"the database went away during a commit, which may or may not have happened: {said}"
    return said


def _shown(url: str) -> str:
    """The URL without its password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{parts.netloc.rpartition('@')[2]}"))
