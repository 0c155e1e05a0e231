"""Moving what SQLite has logged into its file, beside the event loop, and keeping the log from growing for ever.

SQLite's own checkpoints run inside a commit: every thousand pages all writers wait for it. A thread with a connection
of its own does nearly all of that work while they go on; only where the log has become large does the loop do the last
of it, since a log begins anew only at a moment when nothing in it is left to be moved.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import suppress

_LOOK_S = 0.1
_WORTH_BYTES = 24_000_000
_LARGE_BYTES = 64_000_000
_LITTLE_S = 1.0
_AFTER_ERROR_S = 1.0
_BUSY_MS = 5000  # As sqlite3 sets it.
_NICENESS = 10


class Checkpoints:
    def __init__(self, path: str, db: sqlite3.Connection) -> None:
        self._path, self._db = path, db
        self._large = False  # Set by the thread, cleared by the loop.
        self._grown = False  # The other way round.
        self._ending = threading.Event()
        db.execute("PRAGMA wal_autocheckpoint = 0")
        # The file keeps its size when its log begins anew: cutting it costs a commit 20 ms, and what is there is room
        # that needs not be found again.
        self._thread = threading.Thread(target=self._run, name="store-checkpoints", daemon=True)
        self._thread.start()

    def after_commit(self) -> None:
        """To be called by the loop whenever no transaction is open."""
        self._grown = True
        if self._large:
            self._large = False
            self._db.execute("PRAGMA busy_timeout = 0")  # A stranger that reads the file must not stop the loop.
            with suppress(sqlite3.Error):  # A full disk: the log keeps what is in it until there is room again.
                self._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            self._db.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")

    def close(self) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        with suppress(OSError, AttributeError):  # Linux: of this thread alone. Requests go first.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        pause_s = _LOOK_S
        while not self._ending.wait(pause_s):
            pause_s = _LOOK_S
            if self._large or not self._grown or self._file_bytes() < _WORTH_BYTES:
                continue
            self._grown = False
            try:
                if self._move() < _WORTH_BYTES:  # The file is large from earlier, its log is not.
                    pause_s = _LITTLE_S
            except sqlite3.Error:  # A full disk: whoever commits next is told; the log keeps what is in it.
                pause_s = _AFTER_ERROR_S

    def _move(self) -> int:
        """How many bytes the log has: its file may be larger, as it keeps its size when the log begins anew."""
        db = sqlite3.connect(self._path, isolation_level=None)
        try:
            log_bytes = _moved(db)
            if log_bytes > _LARGE_BYTES:
                log_bytes = _moved(db)  # What came meanwhile; little is left then.
                self._large = True
            return log_bytes
        finally:
            db.close()

    def _file_bytes(self) -> int:
        try:
            return os.stat(self._path + "-wal").st_size  # noqa: PTH116
        except OSError:
            return 0


def _moved(db: sqlite3.Connection) -> int:
    _, pages, _ = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    [page_bytes] = db.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(page_bytes)
