"""What a Node function needs that it does not bring: told from its files, before a process becomes it."""

from __future__ import annotations

import itertools
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.functions.model import Version

LAST_WITH_V2 = 16  # Developer Guide, "Runtime-included SDK versions": v2 up to nodejs16.x, v3 since nodejs18.x.
_MAJOR = re.compile(r"nodejs(\d+)")  # "nodejs20.x" is Lambda's, "nodejs20" Google's.
_SOURCES_MAX = 4000
_PRELOADED_MAX = 8
_SDK_NAMED = re.compile(rb"""['"](aws-sdk(?=[/'"])|@aws-sdk/[a-z0-9-]+)""")
_IMPORTS = re.compile(rb"^\s*(?:import|export)\b|\bimport\s*\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Needs:
    major: int  # Of the runtime's name.
    generations: tuple[str, ...]  # Of SDKs that it is lent: "v2", "v3".
    preloaded: tuple[str, ...]  # Packages of v3 that a process may have loaded before it is this function's.
    imports: bool  # It has ES modules, or loads some.
    uses_v2: bool  # It loads `aws-sdk` v2, whoever brings that.


def of(version: Version) -> Needs:
    """Reads the function's files: not for the event loop's thread."""
    found = _MAJOR.match(version.runtime)
    major = int(found[1]) if found else 0
    roots = [version.code, *(layer / "nodejs" for layer in version.layers)]
    named: set[str] = set()
    imports = False
    for path in itertools.islice(_sources(roots), _SOURCES_MAX):
        with suppress(OSError):
            source = path.read_bytes()
            named.update(found.decode() for found in _SDK_NAMED.findall(source))
            imports = imports or (b"import" in source and _IMPORTS.search(source) is not None)
    if version.web:  # It brings what it needs.
        return Needs(major, (), (), imports, uses_v2=False)
    missing = {name for name in named if not any((root / "node_modules" / name).is_dir() for root in roots)}
    v3 = sorted(name for name in missing if name.startswith("@")) if major > LAST_WITH_V2 else []
    generations = (*(("v2",) if "aws-sdk" in missing else ()), *(("v3",) if v3 else ()))
    # A bundle's own packages, beside some of ours, may each be of another make: then nothing is loaded beforehand.
    preloaded = tuple(v3[:_PRELOADED_MAX]) if not any(name.startswith("@") for name in named - missing) else ()
    return Needs(major, generations, preloaded, imports, "aws-sdk" in named)


def _sources(roots: list[Path]) -> Iterator[Path]:
    """The function's own files before those of its packages."""
    for root in roots:
        for folder, below, names in os.walk(root):
            below.sort(key=lambda name: name == "node_modules")
            yield from (Path(folder, name) for name in names if name.endswith((".js", ".mjs", ".cjs")))
