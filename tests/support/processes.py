"""Processes that a test looks at from outside."""

from __future__ import annotations

from pathlib import Path

from tests.support.waiting import until


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until_dead(*pids: int) -> None:
    await until(lambda: not any(alive(pid) for pid in pids), within_s=10)
