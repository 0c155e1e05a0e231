"""The modules that every request runs through, as machine code where it was made: the same sources, compiled by Cython.

A compiled module is named by a digest of its source, so it is never used for another source than its own: a module that
was changed since, or was never compiled, is the plain Python that stands there. `compiling.py` in the project's root
makes them; docs/adr/0026 says why.
"""

from __future__ import annotations

import hashlib
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_SOURCES = Path(__file__).resolve().parent.parent
PLACE = Path(__file__).resolve().parent / "_compiled"
MODULES = frozenset(
    f"fogbank.{name}"
    for name in (
        "kernel.clock", "kernel.gateway.connection", "kernel.gateway.heads", "kernel.gateway.writing",
        "kernel.store.keys", "kernel.store.records", "kernel.store.sqlite",
        "primitives.documents", "primitives.logs", "primitives.queues",
        "functions.frames", "functions.instances", "functions.logs", "functions.running", "functions.watch",
        "aws.protocol.authentication", "aws.protocol.door", "aws.protocol.edge", "aws.protocol.json_values",
        "aws.protocol.routing", "aws.protocol.validation", "aws.protocol.wire",
        "aws.services.sqs.message", "aws.services.sqs.operations.messages",
    )
)  # fmt: skip


def source_of(module: str) -> Path:
    return _SOURCES / f"{module.replace('.', '/')}.py"


def place_of(module: str) -> Path:
    """Where the compiled form of the module, as its source is now, stands if there is one."""
    digest = hashlib.blake2b(source_of(module).read_bytes(), digest_size=8).hexdigest()
    return PLACE / f"{module}.{digest}{EXTENSION_SUFFIXES[0]}"


class Finder:
    """Asked by `import` before the folders are searched."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in MODULES:
            return None
        place = place_of(fullname)
        if not place.exists():
            return None
        return spec_from_file_location(fullname, place, loader=ExtensionFileLoader(fullname, str(place)))


def use() -> None:
    """From here on imports find compiled modules, unless FOGBANK_COMPILED=0 says that plain Python is wanted."""
    if PLACE.is_dir() and os.environ.get("FOGBANK_COMPILED") != "0":
        sys.meta_path.insert(0, Finder())


def made() -> int:
    """How many of `MODULES` stand compiled, as their sources are now."""
    return sum(place_of(module).exists() for module in MODULES)
