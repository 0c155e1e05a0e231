"""What this machine gives to hold an instance where it belongs: tried once, by the process that will do it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from fogbank.functions.sandbox import groups
from fogbank.functions.sandbox.sockets import Sockets

if TYPE_CHECKING:
    from fogbank.functions.sandbox.groups import Groups

INSIDE: Final = Path(__file__).parent / "inside"
ALL: Final = ("namespaces", "seccomp", "landlock", "no_new_privs", "ports")
_LIMITS: Final = ("memory", "pids", "cpu")
_PROBE_S = 30


@dataclass(frozen=True, slots=True)
class Protections:
    given: tuple[str, ...]  # Of `ALL`.
    missing: dict[str, str]  # The others, each with the reason.
    groups: Groups | None

    @property
    def cells(self) -> bool:
        """Whether each instance has a root folder, a /tmp and process ids of its own."""
        return "namespaces" in self.given

    @property
    def limits(self) -> list[str]:
        """What control groups hold: of memory, pids and cpu."""
        return self.groups.limits if self.groups is not None else []

    def facts(self) -> dict[str, str]:
        """By protection: "yes", or why not."""
        held = {name: "yes" if name in self.given else self.missing[name] for name in ALL}
        no_group = "no control group may be made here (cgroups(7)): start fogbank where one is handed to you"
        return held | {f"cgroup {name}": "yes" if name in self.limits else no_group for name in _LIMITS}


NONE: Final = Protections((), dict.fromkeys(ALL, "switched off (--sandbox off)"), None)


def find(at: Path) -> Protections:
    """Takes a few hundredths of a second: not for the event loop's thread. `at`: an empty folder."""
    reasons = _probe(at)
    reasons["ports"] = _why_no_connection_is_told() or reasons["ports"]
    given = tuple(name for name in ALL if not reasons[name])
    return Protections(given, {name: why for name, why in reasons.items() if why}, groups.find())


def own_interpreter() -> str:
    """The one that runs fogbank; not its virtual environment's, whose packages are for nobody else."""
    return getattr(sys, "_base_executable", "") or sys.executable


def _probe(at: Path) -> dict[str, str]:
    settings = {"probe": True, "at": str(at), "prefixes": [], "binds": {}, "uid": 1}
    command = [own_interpreter(), "-I", "-S", "-B", str(INSIDE / "warden.py"), orjson.dumps(settings).decode()]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_S, check=False)
        missing = orjson.loads(said.stdout)["missing"]
    except (OSError, subprocess.SubprocessError, orjson.JSONDecodeError, KeyError) as error:
        why = f"what is there could not be found out: {error}"
        return dict.fromkeys(ALL, why)
    return {name: str(missing[name]) for name in ALL}


def _why_no_connection_is_told() -> str:
    sockets = Sockets()
    sockets.close()
    return sockets.problem
