"""What Google's buildpacks do with a function's source: its dependencies, as a layer that its instances see beside it.

Built once for each content of the files that ask for it, and kept in the cache for all projects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.functions.builds import node, python
from fogbank.functions.builds.failures import BuildFailed

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BuildFailed", "build"]


def build(code: Path, runtime: str, cache_dir: Path, environment: dict[str, str] | None = None) -> tuple[Path, ...]:
    """The folders that a version of this code has as its `layers`. `runtime`: Google's name of it; `environment`: of
    the build (GOOGLE_FUNCTION_SOURCE). Takes a while on first need: not for the event loop's thread. Raises
    `BuildFailed`."""
    if runtime.startswith("python"):
        return python.build(code, runtime, cache_dir, environment or {})
    if runtime.startswith("nodejs"):
        return node.build(code, cache_dir, environment or {})
    raise BuildFailed(f"no function of {runtime} is built here: the runtimes are python and nodejs")
