"""Control groups: how much memory, how many processes and what share of the processors an instance gets, held by the
kernel (cgroups(7), versions 1 and 2)."""

from __future__ import annotations

import itertools
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_PROCESSES_MAX = 1024  # Lambda quotas: "Execution processes/threads".
_MB_OF_ONE_CPU = 1769  # Lambda Developer Guide, "Configure Lambda function memory": "equivalent of one vCPU".
_OURS = re.compile(r"fogbank-(\d+)-\d+")
_serial = itertools.count(1)
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Controller:
    """One hierarchy that we make groups in."""

    parent: Path  # Ours, below it a group for each instance.
    settings: tuple[tuple[str, str], ...]  # File and value, with {…} for what differs.
    memory_stat: str = ""  # The line of memory.stat that counts what its processes hold themselves.
    memory_events: str = ""  # The file that counts whom the kernel has ended for memory.


# What is in /tmp counts as memory to the kernel, and not to Lambda: the hard limit leaves room for it, and the watch
# holds what the processes have themselves to the function's memory.
_V1 = {
    "memory": (("memory.limit_in_bytes", "{memory}"), ("?memory.memsw.limit_in_bytes", "{memory}")),
    "pids": (("pids.max", "{processes}"),),
    "cpu": (("cpu.shares", "{shares}"),),
}
_V2 = (
    ("memory.max", "{memory}"), ("?memory.swap.max", "0"), ("pids.max", "{processes}"), ("?cpu.weight", "{weight}"),
)  # fmt: skip


class Group:
    """The groups of one instance."""

    def __init__(self, name: str, controllers: list[_Controller], owner: Groups) -> None:
        self._controllers, self._owner = controllers, owner
        self._folders = [controller.parent / name for controller in controllers]
        self._memory_stat: Path | None = None
        self._memory_line = b""
        self._memory_events: Path | None = None
        for folder, controller in zip(self._folders, controllers, strict=True):
            folder.mkdir()
            if controller.memory_stat:
                self._memory_stat, self._memory_line = folder / "memory.stat", controller.memory_stat.encode() + b" "
                self._memory_events = folder / controller.memory_events
        self.fds = [os.open(folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for folder in self._folders]

    def limit(self, memory_mb: int, tmp_mb: int) -> None:
        """May be said again, of one that grows."""
        values = _values(memory_mb, tmp_mb)
        for folder, controller in zip(self._folders, self._controllers, strict=True):
            for file, value in controller.settings:
                _set(folder, file, value.format_map(values))

    def take(self, pid: int) -> None:
        """Have this process in it, and what it starts from then on. Waits for the kernel, some milliseconds at times:
        not for the event loop's thread."""
        with suppress(OSError):  # It has ended meanwhile, or the group has.
            for folder in self._folders:
                (folder / "cgroup.procs").write_text(str(pid))

    def memory_mb(self) -> int:
        """What its processes hold now, whichever of them: without /tmp, and without files that they have read."""
        return _counted(self._memory_stat, self._memory_line) // _MB

    def ran_out(self) -> bool:
        """Whether the kernel has ended one of its processes for their memory."""
        return _counted(self._memory_events, b"oom_kill ") > 0

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds = []
        self._owner.remove(self._folders)
        self._folders = []


class Groups:
    """Makes them, below one of this server's own in each hierarchy."""

    def __init__(self, controllers: dict[str, _Controller]) -> None:
        self._controllers = controllers
        self._numbers = itertools.count(1)
        self._leaving: list[Path] = []
        for controller in controllers.values():
            _sweep(controller.parent.parent)

    @property
    def limits(self) -> list[str]:
        """Which of memory, pids and cpu are held."""
        return sorted(name for one in self._controllers for name in one.split(","))

    def make(self, memory_mb: int, tmp_mb: int) -> Group:
        """Raises OSError where the kernel refuses."""
        self.sweep()
        group = Group(str(next(self._numbers)), list(self._controllers.values()), self)
        group.limit(memory_mb, tmp_mb)
        return group

    def remove(self, folders: list[Path]) -> None:
        self._leaving += folders
        self.sweep()

    def sweep(self) -> None:
        """A group can be removed only when its last process is gone, which takes the kernel a moment."""
        self._leaving = [folder for folder in self._leaving if not _removed(folder)]

    def close(self) -> bool:
        """Whether nothing is left."""
        self.sweep()
        parents = [controller.parent for controller in self._controllers.values()]
        return not self._leaving and all(map(_removed, parents))


def _counted(file: Path | None, line: bytes) -> int:
    """The number behind this word; 0 where there is none."""
    try:
        found = file.read_bytes().splitlines() if file is not None else ()
    except OSError:  # The group is gone.
        return 0
    return next((int(one.split()[1]) for one in found if one.startswith(line)), 0)


def _set(folder: Path, file: str, value: str) -> None:
    """A file whose name begins with "?" is not there on every machine."""
    try:
        (folder / file.lstrip("?")).write_text(value)
    except OSError:
        if not file.startswith("?"):
            raise


def _values(memory_mb: int, tmp_mb: int) -> dict[str, int]:
    return {
        "memory": (memory_mb + tmp_mb) * _MB,
        "processes": _PROCESSES_MAX,
        "shares": max(1024 * memory_mb // _MB_OF_ONE_CPU, 2),
        "weight": min(max(100 * memory_mb // _MB_OF_ONE_CPU, 1), 10_000),
    }


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _sweep(parent: Path) -> None:
    """What servers have left behind that were killed."""
    for folder in parent.glob("fogbank-*"):
        found = _OURS.fullmatch(folder.name)
        if found and not Path("/proc", found[1]).exists():
            for below in (*folder.glob("[0-9]*"), folder):
                _removed(below)


def find(root: Path = _ROOT, own: Path = Path("/proc/self/cgroup"), name: str = "") -> Groups | None:
    """Groups in the hierarchies where this process may make some; None where it may in none."""
    name = name or f"fogbank-{os.getpid()}-{next(_serial)}"
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return None
    found: dict[str, _Controller] = {}
    for line in lines:
        _, names, path = line.split(":", 2)
        if names:
            found |= _first_version(root, names, path, name)
    if not found:
        path = next((line.split(":", 2)[2] for line in lines if line.startswith("0::")), "/")
        found = _second_version(root, path, name)
    return Groups(found) if found else None


def _first_version(root: Path, names: str, path: str, name: str) -> dict[str, _Controller]:
    for kind in names.split(","):
        if kind not in _V1:
            continue
        hierarchy = next((root / one for one in (names, kind) if (root / one).is_dir()), None)
        if hierarchy is None:
            continue
        parent = hierarchy / path.lstrip("/") / name
        if _made(parent):
            return {kind: _Controller(parent, _V1[kind], "rss" if kind == "memory" else "", "memory.oom_control")}
    return {}


def _second_version(root: Path, path: str, name: str) -> dict[str, _Controller]:
    """Below the nearest group above this process's that hands memory and pids on, and may be written to."""
    at = root / path.lstrip("/")
    for folder in (at, *at.parents):
        if not folder.is_relative_to(root):
            break
        try:
            handed_on = (folder / "cgroup.subtree_control").read_text().split()
        except OSError:
            continue
        if {"memory", "pids"} <= set(handed_on) and os.access(folder / "cgroup.procs", os.W_OK):
            parent = folder / name
            if _made(parent) and _handed_on(parent, [one for one in ("memory", "pids", "cpu") if one in handed_on]):
                held = ",".join(one for one in ("memory", "pids", "cpu") if one in handed_on)
                return {held: _Controller(parent, _V2, "anon", "memory.events")}
    return {}


def _handed_on(folder: Path, kinds: list[str]) -> bool:
    try:
        (folder / "cgroup.subtree_control").write_text(" ".join(f"+{kind}" for kind in kinds))
    except OSError:
        _removed(folder)
        return False
    return True


def _made(folder: Path) -> bool:
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return False
    return True
