"""The store on one SQLite file, inside the event loop's own thread.

Transactions run at once and leave what they write in memory; the end of the loop's tick gives all of it to SQLite in
one commit, and only then do the callers of that tick get their answers: no caller is told "done" before it is.
"""

from __future__ import annotations

import asyncio
import sqlite3
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Concatenate

from fogbank.kernel.store import Key, P, R, StoreError
from fogbank.kernel.store.keys import pack, unpack
from fogbank.kernel.store.sqlite_checkpoints import Checkpoints
from fogbank.kernel.store.sqlite_fronts import BEHIND, ROWS_MAX, Front, Fronts
from fogbank.kernel.store.sqlite_memory import UNKNOWN, Memory, RowCache, Written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Rows = Iterator[tuple[bytes, bytes]]

_PAGE_BYTES = 2048  # A commit logs whole pages: of rows of 100 to 400 bytes, half of what 4096 would cost.
_PAGE_CACHE_KB = 16384
_MARK = 0x466F6762  # "Fogb", in the file's header.
_FORM = 1  # Of the rows: raised when an older fogbank could not read them.
_CREATE = f"""
BEGIN;
CREATE TABLE IF NOT EXISTS record (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID;
PRAGMA application_id = {_MARK};
PRAGMA user_version = {_FORM};
COMMIT;
"""
_known = lru_cache(4096)(pack)  # The keys that are read again and again.
# Not REPLACE: that takes the old row out of its page before the new one comes, and logs nearly twice the pages.
_PUT = "INSERT INTO record VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_SCAN = "SELECT key, value FROM record WHERE key >= ? AND key < ? ORDER BY key ASC LIMIT ?"
_SCAN_BACK = "SELECT key, value FROM record WHERE key >= ? AND key < ? ORDER BY key DESC LIMIT ?"


class Tick:
    """The transactions of one turn of the event loop: they are kept together, or none of them is."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[StoreError | None], None]] = []

    def then(self, told: Callable[[StoreError | None], None]) -> None:
        """Call it once all is kept, or with the error if nothing is."""
        self._waiting.append(told)

    def settle(self, error: StoreError | None) -> None:
        """Tell everybody: one that cannot bear it must not keep it from the others. Then nobody is held here any more:
        what waits for a tick mostly knows that tick, and such a ring would be garbage of the slow kind."""
        waiting, self._waiting = self._waiting, []
        for told in waiting:
            try:
                told(error)
            except Exception as bug:
                loop = asyncio.get_running_loop()
                loop.call_exception_handler({"message": "a settled tick was not taken well", "exception": bug})


class SqliteStore:
    """`power_safe`: an fsync for each commit, so that not even a power cut loses what was acknowledged."""

    def __init__(
        self, path: str, wake: Callable[[str, Key], None] = lambda _signal, _key: None, *, power_safe: bool = False,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._path, self._on_close = path, on_close
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        self._db.execute(f"PRAGMA cache_size = {-_PAGE_CACHE_KB}")
        _check(self._db)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {'FULL' if power_safe else 'NORMAL'}")
        self._db.executescript(_CREATE)
        self._checkpoints = None if path == ":memory:" else Checkpoints(path, self._db)
        self._wake = wake
        self._cache = RowCache()
        self._memory = Memory()
        self._fronts = Fronts()
        self._written = Written(self._memory.forget_if_of)
        self._signals: list[tuple[str, Key]] = []
        self.tick: Tick | None = None

    @property
    def immediate(self) -> SqliteStore:
        return self

    def read(self, statement: str, values: tuple[Any, ...]) -> sqlite3.Cursor:
        """A tick's reads and its commit are one transaction of the database: a read alone would open one each time."""
        if self.tick is not None and not self._db.in_transaction:
            self._db.execute("BEGIN")
        return self._db.execute(statement, values)

    async def transact(self, work: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return self.run(work, *args, **kwargs)
        finally:
            if self.tick is not None:  # What it wrote, or read of others in this tick, is not durable yet.
                kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self.tick.then(lambda error: _tell(kept, error))
                await kept

    def run(self, work: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`transact` without the wait: as long as there is a `tick`, the result must not leave before that is kept."""
        tx = SqliteTx(self.read, self._written, self._cache, self._memory, self._fronts)
        try:
            result = work(tx, *args, **kwargs)
        except sqlite3.Error as error:
            tx.undo()
            raise StoreError(str(error)) from error
        except BaseException:
            tx.undo()
            raise
        if tx.wrote and self.tick is None:
            self._open()
        if tx.signals:
            if self.tick is None:
                self._open()
            self._signals += tx.signals
        return result

    def recall(self, work: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """As `SqliteTx.recall`; what is known already costs a look into a dictionary. Only for deciding the way of a
        request: what is made anew may follow from rows of this tick, which are not kept yet."""
        known = self._memory.get((work, args)) if not kwargs else None
        return known[0] if known is not None else self.run(_recalled, work, args, kwargs)  # type: ignore[no-any-return]

    async def close(self) -> None:
        await self.transact(lambda _: None)
        if self._checkpoints is not None:
            self._checkpoints.close()
        self._db.close()
        self._on_close()

    def describe(self) -> dict[str, Any]:
        return {"driver": "sqlite", "path": self._path}

    def _open(self) -> None:
        self.tick = Tick()
        asyncio.get_running_loop().call_soon(self._commit)

    def _commit(self) -> None:
        tick, self.tick = self.tick, None
        rows, signals, self._signals = self._written.take(), self._signals, []
        assert tick is not None
        try:
            self._keep(rows)
        except sqlite3.Error as error:  # Disk full, I/O error: nobody in this tick is told "done".
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            tick.settle(StoreError(str(error)))
            return
        for row, value in rows.items():
            self._cache.keep(row, value)
        self._fronts.wrote(rows)
        if self._checkpoints is not None:
            self._checkpoints.after_commit()
        tick.settle(None)  # Whoever is told may begin the next tick at once.
        for signal, key in signals:
            self._wake(signal, key)

    def _keep(self, rows: dict[bytes, bytes | None]) -> None:
        db = self._db
        if not db.in_transaction:
            if not rows:
                return
            db.execute("BEGIN")
        gone = [(key,) for key, value in rows.items() if value is None]
        if gone:
            db.executemany("DELETE FROM record WHERE key = ?", gone)
        if len(gone) < len(rows):
            kept = [row for row in rows.items() if row[1] is not None]
            db.executemany(_PUT, kept)
        db.execute("COMMIT")


def _recalled(tx: SqliteTx, work: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return tx.recall(work, *args, **kwargs)


def _tell(kept: asyncio.Future[None], error: StoreError | None) -> None:
    if kept.done():  # Its waiter was cancelled.
        return
    if error is None:
        kept.set_result(None)
    else:
        kept.set_exception(error)


def _check(db: sqlite3.Connection) -> None:
    """Another program's file, or a newer form, is left as it is. Raises `sqlite3.DatabaseError`."""
    mark, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if mark not in (0, _MARK) or (mark == 0 and tables - {"record"}):
        raise sqlite3.DatabaseError("it is another program's database")
    if version > _FORM:
        raise sqlite3.DatabaseError(f"it was written by a newer fogbank, in form {version}; this one knows {_FORM}")


class SqliteTx:
    def __init__(
        self, read: Callable[[str, tuple[Any, ...]], sqlite3.Cursor], written: Written, cache: RowCache, memory: Memory,
        fronts: Fronts,
    ) -> None:  # fmt: skip
        self._read, self._written, self._cache, self._memory, self._fronts = read, written, cache, memory, fronts
        self._before: list[tuple[bytes, bytes | None]] = []
        self.signals: list[tuple[str, Key]] = []

    @property
    def wrote(self) -> bool:
        return bool(self._before)

    def undo(self) -> None:
        for key, value in reversed(self._before):
            self._written.put_back(key, value)

    def get(self, key: Key, *, lock: bool = False) -> bytes | None:
        packed = _known(key)
        found = self._written.rows.get(packed, UNKNOWN)
        if found is UNKNOWN:
            found = self._cache.get(packed)
            if found is UNKNOWN:
                row = self._read("SELECT value FROM record WHERE key = ?", (packed,)).fetchone()
                found = None if row is None else row[0]
                self._cache.keep(packed, found)
        return found  # type: ignore[no-any-return]

    def put(self, key: Key, value: bytes) -> None:
        packed = pack(key)
        self._before.append((packed, self._written.rows.get(packed, UNKNOWN)))
        self._written.set(packed, value)

    def delete(self, key: Key) -> None:
        packed = pack(key)
        self._before.append((packed, self._written.rows.get(packed, UNKNOWN)))
        self._written.set(packed, None)

    def scan(
        self, first: Key, last: Key, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[Key, bytes]]:
        return ((unpack(key), value) for key, value in self._scan(pack(first), pack(last), limit, reverse=reverse))

    def claim(self, first: Key, last: Key, *, limit: int) -> Iterator[tuple[Key, bytes]]:
        """One writer: nobody else can be claiming."""
        low, high = pack(first), pack(last)
        rows = self._front_rows(low, high, limit) if high.startswith(low) else None
        if rows is None:
            rows = self._scan(low, high, limit, reverse=False)
        return ((unpack(key), value) for key, value in rows)

    def _front_rows(self, low: bytes, high: bytes, limit: int) -> Iterable[tuple[bytes, bytes]] | None:
        """As `_scan`, of rows in memory; None where that would be too many of them."""
        written = self._written.rows
        changed = self._written.between(low, high) if written else []
        if limit + len(changed) > ROWS_MAX:
            return None
        front = self._fronts.get(low)
        found = None if front is None else front.first(high, limit, written)
        if found is None:
            front = Front(low, self._read(_SCAN, (low, low + BEHIND, ROWS_MAX + 1)))
            self._fronts.keep(low, front)
            found = front.first(high, limit, written)
        new = [(key, value) for key in changed if (value := written[key]) is not None]
        return sorted(found + new)[:limit] if new and found is not None else found

    def count(self, first: Key, last: Key) -> int:
        low, high = pack(first), pack(last)
        query = "SELECT count(*) FROM record WHERE key >= ? AND key < ?"
        total = int(self._read(query, (low, high)).fetchone()[0])
        for key in self._written.between(low, high):
            was = self._read("SELECT 1 FROM record WHERE key = ?", (key,)).fetchone() is not None
            total += (self._written.rows[key] is not None) - was
        return total

    def recall(self, work: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        asked = (work, args, *kwargs.items()) if kwargs else (work, args)
        known = self._memory.get(asked)
        if known is None:
            known = self._recollect(asked, work, *args, **kwargs)
        return known[0]  # type: ignore[no-any-return]

    def _recollect(
        self, asked: Any, work: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> tuple[R, frozenset[bytes]]:
        watched = WatchedTx(self._read, self._written, self._cache, self._memory, self._fronts)
        made = work(watched, *args, **kwargs)
        rows = frozenset(watched.rows)
        if watched.only_gets and self._written.rows.keys().isdisjoint(rows):  # What is not kept yet may be undone.
            self._memory.keep(asked, made, rows)
        return made, rows

    def emit(self, signal: str, key: Key = ()) -> None:
        self.signals.append((signal, key))

    def _scan(self, low: bytes, high: bytes, limit: int | None, *, reverse: bool) -> Rows:
        written = self._written.rows
        changed = self._written.between(low, high) if written else []
        asked = -1 if limit is None else limit + sum(written[key] is None for key in changed)
        rows = self._read(_SCAN_BACK if reverse else _SCAN, (low, high, asked))
        if not changed:
            return rows
        new = {key: written[key] for key in changed}
        if limit is None:
            return _merged(rows, new, reverse=reverse)
        return iter(_few_merged(rows, new, limit, reverse=reverse))


class WatchedTx(SqliteTx):
    """Notes which rows are read."""

    def __init__(
        self, read: Callable[[str, tuple[Any, ...]], sqlite3.Cursor], written: Written, cache: RowCache, memory: Memory,
        fronts: Fronts,
    ) -> None:  # fmt: skip
        super().__init__(read, written, cache, memory, fronts)
        self.rows: set[bytes] = set()
        self.only_gets = True

    def get(self, key: Key, *, lock: bool = False) -> bytes | None:
        self.rows.add(pack(key))
        return super().get(key, lock=lock)

    def recall(self, work: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return work(self, *args, **kwargs)

    def claim(self, first: Key, last: Key, *, limit: int) -> Iterator[tuple[Key, bytes]]:
        self.only_gets = False
        return super().claim(first, last, limit=limit)

    def count(self, first: Key, last: Key) -> int:
        self.only_gets = False
        return super().count(first, last)

    def _scan(self, low: bytes, high: bytes, limit: int | None, *, reverse: bool) -> Rows:
        self.only_gets = False
        return super()._scan(low, high, limit, reverse=reverse)


def _merged(rows: Iterable[tuple[bytes, bytes]], new: dict[bytes, bytes | None], *, reverse: bool) -> Rows:
    """Both in one order; where both have a key, the new one counts."""
    waiting = list(new) if reverse else list(reversed(new))  # The next one is the last.
    for key, value in rows:
        while waiting and (waiting[-1] > key if reverse else waiting[-1] < key):
            yield from _present(waiting.pop(), new)
        if waiting and waiting[-1] == key:
            yield from _present(waiting.pop(), new)
        else:
            yield key, value
    while waiting:
        yield from _present(waiting.pop(), new)


def _present(key: bytes, new: dict[bytes, bytes | None]) -> Iterable[tuple[bytes, bytes]]:
    value = new[key]
    return () if value is None else ((key, value),)


def _few_merged(
    rows: Iterable[tuple[bytes, bytes]], new: dict[bytes, bytes | None], limit: int, *, reverse: bool
) -> list[tuple[bytes, bytes]]:
    """As `_merged`, of which only the first few are wanted."""
    found: dict[bytes, Any] = dict(rows)
    found.update(new)
    return [row for row in sorted(found.items(), reverse=reverse) if row[1] is not None][:limit]
