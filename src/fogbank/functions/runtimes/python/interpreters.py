"""Which Python runs a function, and the folder of SDK packages that it finds beside its own."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fogbank.functions.sandbox.protections import own_interpreter

_LOWEST = re.compile(r">=\s*(\d+\.\d+)")
_NAME = re.compile(r"python3\.?(\d+)")  # "python3.12" is Lambda's, "python312" Google's.
KNOWN = tuple(f"3.{minor}" for minor in range(9, 15))  # Whose functions this program knows how to run.
# What Lambda's Python runtimes include: Developer Guide, "Runtime-included SDK versions".
_SDK = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3")


@dataclass(frozen=True, slots=True)
class Interpreter:
    path: str
    version: str  # "3.12"
    wanted: str  # The version that the runtime's name asks for.

    @property
    def home(self) -> str:
        """The folder of its installation."""
        return str(Path(self.path).resolve().parents[1])

    @property
    def runs_sdk(self) -> bool:
        return _numbers(self.version) >= _oldest_for_sdk()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@cache
def _oldest_for_sdk() -> tuple[int, ...]:
    """The Python that every package of our SDK runs in, by their own metadata ("Requires-Python: >=3.10")."""
    told = [importlib.metadata.metadata(name)["Requires-Python"] or "" for name in _SDK]
    return max(_numbers(found[1]) for text in told if (found := _LOWEST.search(text)))


@cache
def find(runtime: str) -> Interpreter:
    """The interpreter for "python3.12": of that version if this machine has it, else of the nearest that it has."""
    found = _NAME.match(runtime)
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = f"3.{found[1]}" if found else own
    for version in sorted({own, wanted, *KNOWN}, key=lambda version: _distance(version, wanted)):
        path = own_interpreter() if version == own else _installed(version)
        if path:
            return Interpreter(path, version, wanted)
    raise AssertionError("there is always the one that runs fogbank")


def _distance(version: str, wanted: str) -> tuple[int, int]:
    """In minor versions; of two as far away the newer is nearer: it runs what is older."""
    minor, wanted_minor = _numbers(version)[1], _numbers(wanted)[1]
    return abs(minor - wanted_minor), -minor


def _installed(version: str) -> str:
    """The path of an interpreter of that version; empty where there is none."""
    return next((path for path in _candidates(version) if _version(path) == version), "")


def _candidates(version: str) -> list[str]:
    on_path = shutil.which(f"python{version}")
    roots = [Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions", Path("/opt/python")]
    below = [
        str(path) for root in roots if root.is_dir() for path in sorted(root.glob(f"{version}*/bin/python{version}"))
    ]
    return ([on_path] if on_path else []) + below


def _version(path: str) -> str:
    command = [path, "-I", "-S", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def sdk_layer(cache_dir: Path) -> Path:
    """A folder with boto3 and what it needs, copied once from fogbank's own environment."""
    versions = [importlib.metadata.version(name) for name in _SDK]
    layer = cache_dir / "python" / f"boto3-{versions[0]}-{versions[1]}"
    if layer.is_dir():
        return layer
    building = layer.with_name(f"{layer.name}.{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    for name in _SDK:
        distribution = importlib.metadata.distribution(name)
        for file in distribution.files or ():
            if ".." in file.parts or file.suffix == ".pyc":
                continue
            target = building / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(distribution.locate_file(file)), target)
    try:
        building.rename(layer)
    except OSError:  # Another fogbank was quicker.
        shutil.rmtree(building, ignore_errors=True)
    return layer
