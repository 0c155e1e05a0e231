"""How a process has ended, in the words that Lambda uses."""

from __future__ import annotations

import os
import signal


def describe_end(status: int) -> str:
    """`status`: as a parent is told it, wait(2)."""
    if os.WIFSIGNALED(status):
        name = signal.strsignal(os.WTERMSIG(status)) or str(os.WTERMSIG(status))
        return f"signal: {name.lower()}"
    return f"exit status {os.WEXITSTATUS(status)}"
