"""For how long work is lent to whoever does it."""

from __future__ import annotations

from typing import Final

ALONE_MS: Final = 100 * 366 * 86_400_000  # A lone node takes all back when it starts: no clock that hops may end it.
