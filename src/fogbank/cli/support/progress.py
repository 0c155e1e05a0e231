"""What is going on, shown while it goes on: a moving line on a terminal, elsewhere a line for what takes long."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_WIDTH = 78
_SLOW_S = 1.0
_TICK_S = 0.5


class Progress:
    """Says what is under way once it has taken `slow_s`; on a terminal a `step` shows at once."""

    def __init__(self, *, quiet: bool = False, slow_s: float = _SLOW_S) -> None:
        self._moving = not quiet and sys.stderr.isatty()
        self._quiet, self._slow_s = quiet, slow_s
        self._lock = threading.Lock()

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Runs a step; what it is told is shown beside its name. Says at the end how long it took."""
        began = time.monotonic()
        with self._shown(name, began, at_once=True) as tell:
            yield tell
        if not self._quiet:
            sys.stderr.write(f"{name}: {time.monotonic() - began:.2f} s\n")
            sys.stderr.flush()

    @contextmanager
    def waiting(self, name: str) -> Iterator[None]:
        """For what is usually over before anybody asks: nothing is shown of it then."""
        with self._shown(name, time.monotonic(), at_once=False):
            yield

    @contextmanager
    def _shown(self, name: str, began: float, *, at_once: bool) -> Iterator[Callable[[str], None]]:
        over, now = threading.Event(), [""]

        def show() -> None:
            took_s = time.monotonic() - began
            with self._lock:
                if self._moving and not over.is_set():
                    line = (
                        f"{name} … {now[0]}"[:_WIDTH] if took_s < self._slow_s else f"{name} … {took_s:.0f} s  {now[0]}"
                    )
                    sys.stderr.write(f"\r{line[:_WIDTH]:<{_WIDTH}}")
                    sys.stderr.flush()

        def tell(what: str) -> None:
            now[0] = what
            if at_once:
                show()

        def tick() -> None:
            if over.wait(self._slow_s) or self._quiet:
                return
            if not self._moving:
                sys.stderr.write(f"{name} …\n")
                sys.stderr.flush()
            while self._moving and not over.wait(_TICK_S):
                show()

        tell("")
        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield tell
        finally:
            with self._lock:
                over.set()
                if self._moving:
                    sys.stderr.write("\r" + " " * _WIDTH + "\r")
                    sys.stderr.flush()
