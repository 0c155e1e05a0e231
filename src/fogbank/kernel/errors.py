"""Errors that the person who started fogbank must see, each a whole sentence: what, where, what to do."""

from __future__ import annotations

from errno import ENOSPC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class StartError(Exception):
    """The server cannot start: a port in use, another server on the same state, a state of a newer version."""


class PortInUseError(StartError):
    """Somebody else listens there."""


def unusable(folder: Path, error: OSError) -> str:
    """Why the folder of the state cannot be used."""
    where = f"{error.filename}: " if error.filename else ""
    todo = "make room there, or choose another folder" if error.errno == ENOSPC else "choose a folder"
    return f"the state cannot be kept in {folder.absolute()}: {where}{error.strerror}; {todo} with --data"
