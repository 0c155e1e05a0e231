"""Where an instance sees what it is made of: at Lambda's own folders in a cell, where they lie where there are none."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from fogbank.functions.model import Version

# As `inside/root.py` makes them.
TASK: Final = "/var/task"
WORKSPACE: Final = "/workspace"  # The same to a web application.
LAYERS: Final = "/opt"
RUNTIME: Final = "/var/runtime"
DEBUGGER: Final = "/var/debugger"
BOOTSTRAP: Final = "/var/lang/bootstrap"  # What a wrapper script of a Python function starts.
SDK_V2: Final = "/var/lang/sdk-v2/node_modules"
SDK_V3: Final = "/var/lang/sdk-v3/node_modules"


# Below one of these a file may be mounted: a root that nobody can write to has no other places.
MOUNTS: Final = ("/secrets", "/etc/secrets", "/var/secrets", "/run/secrets", "/mnt")

# What an instance sees of this machine where it has no root folder of its own.
SYSTEM: Final = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/gnu", "/nix", "/etc", "/proc", "/sys",
)  # fmt: skip
WRITTEN: Final = ("/tmp", "/dev")


@dataclass(frozen=True, slots=True)
class Places:
    code: str
    layers: tuple[str, ...]  # In order, a later one over an earlier.
    trees: dict[str, Path]  # What a cell shows, by place; nothing where there are no cells.


def is_open(folder: Path) -> bool:
    """Whether instances without a root folder of their own can read what lies there, whatever Landlock holds."""
    there = folder.resolve()
    return any(there.is_relative_to(os.path.realpath(place)) for place in (*SYSTEM, *WRITTEN))


def told_open(state: Path) -> str:
    return f"the state lies where all functions may read ({state.resolve()}): keep it elsewhere, with --data"


def on_this_machine(version: Version) -> Places:
    return Places(str(version.code), tuple(str(layer) for layer in version.layers), {})


def in_a_cell(version: Version, folder: Path, files: Path) -> Places:
    """`folder`: for what several layers are together, `files`: for what the version has mounted; where there is either,
    this is not for the event loop's thread."""
    task, mounted = task_of(version), _mounted(version, files)
    if not version.layers:
        return Places(task, (), {task: version.code, **mounted})
    one = version.layers[0] if len(version.layers) == 1 else _merged(version.layers, folder)
    return Places(task, (LAYERS,), {task: version.code, LAYERS: one, **mounted})


def mount_of(path: str) -> str | None:
    """The place that a file is mounted below; none where it cannot be."""
    plain = os.path.normpath(path) == path
    return next((place for place in MOUNTS if plain and path.startswith(f"{place}/")), None)


def _mounted(version: Version, folder: Path) -> dict[str, Path]:
    """Folders with the version's files, by the place that each is seen at."""
    trees: dict[str, Path] = {}
    for path, content in version.files:
        place = mount_of(path)
        assert place is not None, "whoever makes a version asks first"
        tree = trees.setdefault(place, folder / version.id / place.strip("/").replace("/", "-"))
        file = tree / path.removeprefix(f"{place}/")
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            building = file.with_name(f".{file.name}.{os.getpid()}")
            building.write_bytes(content)
            building.chmod(0o444)
            building.rename(file)
    return trees


def task_of(version: Version) -> str:
    return WORKSPACE if version.web else TASK


def _merged(layers: tuple[Path, ...], folder: Path) -> Path:
    """One folder out of several, "in the order that you specified" (Developer Guide, "Adding layers to functions")."""
    name = hashlib.sha256("\n".join(map(str, layers)).encode()).hexdigest()[:32]
    whole = folder / name
    if whole.is_dir():
        return whole
    building = folder / f"{name}.{os.getpid()}"
    for layer in layers:
        shutil.copytree(layer, building, symlinks=True, dirs_exist_ok=True, copy_function=_link)
    with suppress(OSError):  # Another has been quicker.
        building.rename(whole)
    shutil.rmtree(building, ignore_errors=True)
    return whole


def _link(source: str, target: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(target)  # noqa: PTH108  # As shutil hands it out.
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # On another disk.
        shutil.copy2(source, target, follow_symlinks=False)
