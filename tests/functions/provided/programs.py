"""What the tests put into bootstraps and extensions: Python programs that stand by themselves."""

from __future__ import annotations

import sys
from pathlib import Path

_API = (Path(__file__).parent / "inside" / "api.py").read_text()
_PYTHON = getattr(sys, "_base_executable", "") or sys.executable


def program(source: str) -> str:
    """With what it may say to the APIs."""
    return f"#!{_PYTHON} -S\n{_API}\n\n{source}\n"
