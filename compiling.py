"""Compile the modules of `fogbank.compiled`, those whose compiled form is not there yet: `python compiling.py`.

Where there is no C compiler, or no Python headers or Cython, it says so and leaves all in plain Python, which does the
same, slower. A wheel is built with what this makes: it is hatchling's build hook as well.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "src"))

from fogbank import compiled  # noqa: E402

# Annotations say what type checkers may know; as declarations for C they would change what the code does.
_CYTHON = ("--3str", "-X", "annotation_typing=False", "-X", "emit_code_comments=False")
_CFLAGS = ("-O2", "-g0", "-fwrapv", "-w")


def what_lacks() -> str:
    """Why nothing can be compiled here; empty where it can."""
    compiler = _words("CC")
    if not compiler or shutil.which(compiler[0]) is None:
        return "no C compiler"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "no headers of Python (python3-dev)"
    return "" if importlib.util.find_spec("Cython") else "no Cython"


def compile_all() -> list[Path]:
    """Those of modules as their sources are now; what was made of older sources is gone."""
    wanted = {compiled.place_of(module): module for module in sorted(compiled.MODULES)}
    compiled.PLACE.mkdir(exist_ok=True)
    for old in set(compiled.PLACE.iterdir()) - set(wanted):
        old.unlink()
    missing = [place for place in wanted if not place.exists()]
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        list(workers.map(lambda place: _compile(wanted[place], place), missing))
    return sorted(wanted)


def _compile(module: str, place: Path) -> None:
    source = compiled.source_of(module)
    with tempfile.TemporaryDirectory() as scratch:
        c_file, made = Path(scratch, f"{module}.c"), Path(scratch, "made.so")
        relative = source.relative_to(ROOT / "src")  # As tracebacks name it.
        _run([sys.executable, "-m", "cython", *_CYTHON, "--module-name", module, str(relative), "-o", str(c_file)])
        include = f"-I{sysconfig.get_path('include')}"
        _run([*_words("LDSHARED"), *_words("CCSHARED"), *_CFLAGS, include, str(c_file), "-o", str(made)])
        half = place.with_suffix(".half")
        shutil.move(made, half)
        half.rename(place)  # Whole or not at all: several may be at it.


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT / "src", capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")


def _words(name: str) -> list[str]:
    return shlex.split(sysconfig.get_config_var(name) or "")


def main() -> None:
    lacks = what_lacks()
    if lacks:
        print(f"not compiled: {lacks}. All works in plain Python, slower.")
    else:
        compile_all()


if importlib.util.find_spec("hatchling"):
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class CompiledWheel(BuildHookInterface):  # type: ignore[type-arg,misc]
        """Puts the compiled modules into a wheel, which is then one for this Python and this kind of machine."""

        PLUGIN_NAME = "custom"

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            if version == "editable" or what_lacks():
                return
            build_data |= {"pure_python": False, "infer_tag": True}
            for made in compile_all():
                build_data["force_include"][str(made)] = f"fogbank/_compiled/{made.name}"


if __name__ == "__main__":
    main()
