"""The store on one SQLite file, inside the event loop's own thread.

The first write of a loop tick opens a database transaction and the end of the tick commits it; only then do the
callers of that tick get their answers. One commit serves them all, and no caller is told "done" before it is.
"""

from __future__ import annotations

import asyncio
import sqlite3
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Concatenate

from fogbank.kernel.store import Key, P, R, StoreError
from fogbank.kernel.store.keys import pack, unpack
from fogbank.kernel.store.sqlite_checkpoints import Checkpoints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_MARK = 0x466F6762  # "Fogb", in the file's header.
_FORM = 1  # Of the rows: raised when an older fogbank could not read them.
_CREATE = f"""
BEGIN;
CREATE TABLE IF NOT EXISTS record (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID;
PRAGMA application_id = {_MARK};
PRAGMA user_version = {_FORM};
COMMIT;
"""
_CACHED_MAX = 4096
_CACHED_BYTES_MAX = 8192
_UNKNOWN = object()
_known = lru_cache(4096)(pack)  # The keys that are read again and again.


class RowCache:
    """Rows as they are committed. Configuration is read for every request and seldom written, and even a read that
    finds its page in memory costs SQLite ten times what a dictionary does.

    What a transaction of this tick has written is not kept until the tick is committed: it may yet be undone.
    """

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes | None] = {}
        self._written: set[bytes] = set()
        self.get = self._rows.get

    def keep(self, key: bytes, value: bytes | None) -> None:
        if key not in self._written and (value is None or len(value) <= _CACHED_BYTES_MAX):
            if len(self._rows) >= _CACHED_MAX:
                self._rows.clear()
            self._rows[key] = value

    def write(self, key: bytes) -> None:
        self._rows.pop(key, None)
        self._written.add(key)

    def settle(self) -> None:
        """The tick is over, whichever way."""
        self._written.clear()


class SqliteStore:
    """`power_safe`: an fsync for each commit, so that not even a power cut loses what was acknowledged."""

    def __init__(
        self, path: str, wake: Callable[[str, Key], None] = lambda _signal, _key: None, *, power_safe: bool = False,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._path, self._on_close = path, on_close
        self._db = sqlite3.connect(path, isolation_level=None)
        _check(self._db)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {'FULL' if power_safe else 'NORMAL'}")
        self._db.executescript(_CREATE)
        self._checkpoints = None if path == ":memory:" else Checkpoints(path, self._db)
        self._wake = wake
        self._cache = RowCache()
        self._tick: asyncio.Future[None] | None = None
        self._signals: list[tuple[str, Key]] = []

    async def transact(self, work: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        tx = SqliteTx(self._db, self._begin, self._cache)
        try:
            result = work(tx, *args, **kwargs)
            tx.close()
        except sqlite3.Error as error:
            self._abort(tx, error)
            raise StoreError(str(error)) from error
        except BaseException:
            tx.close(undo=True)
            raise
        self._signals += tx.signals
        if self._tick is not None:  # What it wrote, or read of others in this tick, is not durable yet.
            await asyncio.shield(self._tick)
        return result

    async def close(self) -> None:
        if self._tick is not None:
            await asyncio.shield(self._tick)
        if self._checkpoints is not None:
            self._checkpoints.close()
        self._db.close()
        self._on_close()

    def describe(self) -> dict[str, Any]:
        return {"driver": "sqlite", "path": self._path}

    def _begin(self) -> None:
        if self._tick is None:
            self._db.execute("BEGIN IMMEDIATE")
            loop = asyncio.get_running_loop()
            self._tick = loop.create_future()
            loop.call_soon(self._commit, self._tick)

    def _abort(self, tx: SqliteTx, error: sqlite3.Error) -> None:
        """After an error of the database. It may have given up the whole tick (a full disk): all in it are told."""
        if self._db.in_transaction:
            tx.close(undo=True)
        elif self._tick is not None:
            tick, self._tick, self._signals = self._tick, None, []
            self._cache.settle()
            tick.set_exception(StoreError(str(error)))
            tick.exception()  # There may be nobody else in this tick to fetch it.

    def _commit(self, tick: asyncio.Future[None]) -> None:
        if self._tick is not tick:
            return  # It was given up meanwhile.
        self._tick = None
        signals, self._signals = self._signals, []
        self._cache.settle()
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:  # Disk full, I/O error: nobody in this tick is told "done".
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            tick.set_exception(StoreError(str(error)))
            tick.exception()
            return
        tick.set_result(None)
        for signal, key in signals:
            self._wake(signal, key)
        if self._checkpoints is not None:
            self._checkpoints.after_commit()


def _check(db: sqlite3.Connection) -> None:
    """Another program's file, or a newer form, is left as it is. Raises `sqlite3.DatabaseError`."""
    mark, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if mark not in (0, _MARK) or (mark == 0 and tables - {"record"}):
        raise sqlite3.DatabaseError("it is another program's database")
    if version > _FORM:
        raise sqlite3.DatabaseError(f"it was written by a newer fogbank, in form {version}; this one knows {_FORM}")


class SqliteTx:
    def __init__(self, db: sqlite3.Connection, begin: Callable[[], None], cache: RowCache) -> None:
        self._db, self._begin, self._cache, self._writes = db, begin, cache, False
        self.signals: list[tuple[str, Key]] = []

    def _write(self, statement: str, *values: bytes) -> None:
        """The first write opens the tick's transaction; a reader never does."""
        if not self._writes:
            self._begin()
            self._db.execute("SAVEPOINT work")
            self._writes = True
        self._db.execute(statement, values)

    def close(self, *, undo: bool = False) -> None:
        if self._writes:
            if undo:
                self._db.execute("ROLLBACK TO work")
            self._db.execute("RELEASE work")

    def get(self, key: Key, *, lock: bool = False) -> bytes | None:
        packed = _known(key)
        cached = self._cache.get(packed, _UNKNOWN)
        if cached is not _UNKNOWN:
            return cached  # type: ignore[return-value]  # A row's, or None.
        row = self._db.execute("SELECT value FROM record WHERE key = ?", (packed,)).fetchone()
        value = None if row is None else row[0]
        self._cache.keep(packed, value)
        return value

    def put(self, key: Key, value: bytes) -> None:
        packed = pack(key)
        self._cache.write(packed)
        self._write("REPLACE INTO record VALUES (?, ?)", packed, value)

    def delete(self, key: Key) -> None:
        packed = pack(key)
        self._cache.write(packed)
        self._write("DELETE FROM record WHERE key = ?", packed)

    def scan(
        self, first: Key, last: Key, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[Key, bytes]]:
        rows = self._db.execute(
            "SELECT key, value FROM record WHERE key >= ? AND key < ? "
            f"ORDER BY key {'DESC' if reverse else 'ASC'} LIMIT ?",
            (pack(first), pack(last), -1 if limit is None else limit),
        )
        return ((unpack(key), value) for key, value in rows)

    def claim(self, first: Key, last: Key, *, limit: int) -> Iterator[tuple[Key, bytes]]:
        """One writer: nobody else can be claiming. The rows are read out first, since claimants write as they go."""
        return iter(list(self.scan(first, last, limit=limit)))

    def count(self, first: Key, last: Key) -> int:
        query = "SELECT count(*) FROM record WHERE key >= ? AND key < ?"
        return int(self._db.execute(query, (pack(first), pack(last))).fetchone()[0])

    def emit(self, signal: str, key: Key = ()) -> None:
        self.signals.append((signal, key))
