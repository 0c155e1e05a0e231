"""Control groups: how much memory, how many processes and what share of the processors an instance gets, held by the
kernel (cgroups(7), versions 1 and 2)."""

from __future__ import annotations

import itertools
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOT = Path("/sys/fs/cgroup")
_PROCESSES_MAX = 1024  # Lambda quotas: "Execution processes/threads".
_MB_OF_ONE_CPU = 1769  # Lambda Developer Guide, "Configure Lambda function memory": "equivalent of one vCPU".
_OURS = re.compile(r"fogbank-(\d+)-\d+")
_serial = itertools.count(1)
_MB = 1024 * 1024
_ROUNDS_MAX = 20
_NURSERY_MB, _NURSERY_PROCESSES = 10_240, 32_768  # Lambda quotas: the most memory; in a cell RLIMIT_NPROC counts.


@dataclass(frozen=True, slots=True)
class _Controller:
    """One hierarchy that we make groups in."""

    parent: Path  # Ours, below it a group for each instance.
    settings: tuple[tuple[str, str], ...]  # File and value, with {…} for what differs.
    memory_stat: str = ""  # The line of memory.stat that counts what its processes hold themselves.
    memory_events: str = ""  # The file that counts whom the kernel has ended for memory.


# What is in /tmp counts as memory to the kernel, and not to Lambda: the hard limit leaves room for it, and the watch
# holds what the processes have themselves to the function's memory.
_WITH_SWAP = ("?memory.memsw.limit_in_bytes", "{memory}")
_V1 = {
    # The limit with swap may never be the lower one: to raise both it goes first, to lower them last.
    "memory": (_WITH_SWAP, ("memory.limit_in_bytes", "{memory}"), _WITH_SWAP),
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

    def limit(self, memory_mb: int, tmp_mb: int, processes: int = _PROCESSES_MAX) -> None:
        """May be said again, of one that grows."""
        values = _values(memory_mb, tmp_mb, processes)
        for folder, controller in zip(self._folders, self._controllers, strict=True):
            for file, value in controller.settings:
                _set(folder, file, value.format_map(values))

    def hold_many(self) -> None:
        """Many begin here, and what they have touched until they are taken counts here for good."""
        self.limit(_NURSERY_MB, _NURSERY_MB, _NURSERY_PROCESSES)

    def take(self, pid: int, sources: Sequence[Group]) -> None:
        """Have this process here, and all others of its process ids' namespace that are in one of `sources`. Waits for
        the kernel, some milliseconds for each controller: not for the event loop's thread."""
        with suppress(OSError):  # It has ended meanwhile; or a group has, and then it has no folders.
            space = _space_of(pid)
            for _ in range(_ROUNDS_MAX):  # What it starts before it is here itself stays behind at first.
                there = [one for source in sources for one in source.members()]
                left = [one for one in there if _space_of(one) == space]
                for one in left:
                    for folder in self._folders:
                        (folder / "cgroup.procs").write_text(str(one))
                if not left:
                    return

    def members(self) -> list[int]:
        """The ids of its processes."""
        return [int(line) for line in (self._folders[0] / "cgroup.procs").read_text().split()] if self._folders else []

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

    def nursery(self) -> Group:
        """Where processes begin that are soon taken: to go to a group of one's own delays a birth by as much as all the
        rest of it takes. Raises OSError."""
        group = Group(str(next(self._numbers)), list(self._controllers.values()), self)
        group.hold_many()
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


def _space_of(pid: int) -> str:
    """Its namespace of process ids; empty where it has ended."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")  # noqa: PTH115  # Of many at a time.
    except OSError:
        return ""


def _set(folder: Path, file: str, value: str) -> None:
    """A file whose name begins with "?" is not there on every machine."""
    try:
        (folder / file.lstrip("?")).write_text(value)
    except OSError:
        if not file.startswith("?"):
            raise


def _values(memory_mb: int, tmp_mb: int, processes: int) -> dict[str, int]:
    return {
        "memory": (memory_mb + tmp_mb) * _MB,
        "processes": processes,
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


def find() -> Groups | None:
    """Groups in the hierarchies where this process may make some; None where it may in none."""
    name = f"fogbank-{os.getpid()}-{next(_serial)}"
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    found: dict[str, _Controller] = {}
    for line in lines:
        _, names, path = line.split(":", 2)
        if names:
            found |= _first_version(names, path, name)
    if not found:
        path = next((line.split(":", 2)[2] for line in lines if line.startswith("0::")), "/")
        found = _second_version(path, name)
    return Groups(found) if found else None


def _first_version(names: str, path: str, name: str) -> dict[str, _Controller]:
    for kind in names.split(","):
        if kind not in _V1:
            continue
        hierarchy = next((_ROOT / one for one in (names, kind) if (_ROOT / one).is_dir()), None)
        if hierarchy is None:
            continue
        parent = hierarchy / path.lstrip("/") / name
        if _made(parent):
            if kind == "memory":
                return {kind: _Controller(parent, _V1[kind], "rss", "memory.oom_control")}
            return {kind: _Controller(parent, _V1[kind])}
    return {}


def _second_version(path: str, name: str) -> dict[str, _Controller]:
    """Below the nearest group above this process's that hands memory and pids on, and may be written to."""
    at = _ROOT / path.lstrip("/")
    for folder in (at, *at.parents):
        if not folder.is_relative_to(_ROOT):
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
