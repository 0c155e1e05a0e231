"""Waiting for what happens by itself, for as long as it may take and no longer."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_LOOK_AGAIN_S = 0.02


def eventually(look: Callable[[], T], *, within_s: float = 20.0) -> T:
    """The first true thing that `look` returns."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing within {within_s} s"
        time.sleep(_LOOK_AGAIN_S)
    return found


async def until(look: Callable[[], object], *, within_s: float = 20.0) -> None:
    """The same inside a loop that has to go on running."""
    deadline = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < deadline, f"nothing within {within_s} s"
        await asyncio.sleep(_LOOK_AGAIN_S)
