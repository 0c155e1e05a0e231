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
_AFTER_ERROR_S = 1.0
_NICENESS = 10


class Checkpoints:
    def __init__(self, path: str, db: sqlite3.Connection) -> None:
        self._path, self._db = path, db
        self._large = False  # Set by the thread, cleared by the loop.
        self._ending = threading.Event()
        db.execute("PRAGMA wal_autocheckpoint = 0")
        # The file keeps its size when its log begins anew: cutting it costs a commit 20 ms, and what is there is room
        # that needs not be found again.
        self._thread = threading.Thread(target=self._run, name="store-checkpoints", daemon=True)
        self._thread.start()

    def after_commit(self) -> None:
        """To be called by the loop whenever no transaction is open."""
        if self._large:
            self._large = False
            with suppress(sqlite3.Error):  # A full disk: the log keeps what is in it until there is room again.
                self._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    def close(self) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        with suppress(OSError, AttributeError):  # Linux: of this thread alone. Requests go first.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        pause_s = _LOOK_S
        while not self._ending.wait(pause_s):
            pause_s = _LOOK_S
            if self._large or self._log_bytes() < _WORTH_BYTES:
                continue
            try:
                self._move()
            except sqlite3.Error:  # A full disk: whoever commits next is told; the log keeps what is in it.
                pause_s = _AFTER_ERROR_S

    def _move(self) -> None:
        db = sqlite3.connect(self._path, isolation_level=None)
        try:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            if self._log_bytes() > _LARGE_BYTES:
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()  # What came meanwhile; little is left then.
                self._large = True
        finally:
            db.close()

    def _log_bytes(self) -> int:
        try:
            return os.stat(self._path + "-wal").st_size  # noqa: PTH116
        except OSError:
            return 0
