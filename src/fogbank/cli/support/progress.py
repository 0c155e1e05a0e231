"""What is going on, shown while it goes on: a moving line on a terminal, nothing but the result elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_WIDTH = 78


class Progress:
    def __init__(self, *, quiet: bool = False) -> None:
        self._moving = not quiet and sys.stderr.isatty()
        self._quiet = quiet

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Runs a step; what it is told is shown beside its name. Says at the end how long it took."""
        began = time.monotonic()

        def tell(what: str) -> None:
            if self._moving:
                line = f"{name} … {what}"[:_WIDTH]
                sys.stderr.write(f"\r{line:<{_WIDTH}}")
                sys.stderr.flush()

        tell("")
        try:
            yield tell
        except BaseException:
            self._end("")
            raise
        self._end("" if self._quiet else f"{name}: {time.monotonic() - began:.2f} s\n")

    def _end(self, line: str) -> None:
        sys.stderr.write(("\r" + " " * _WIDTH + "\r" if self._moving else "") + line)
        sys.stderr.flush()
