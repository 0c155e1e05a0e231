"""`fogbank doctor`: what this machine gives to run functions with, and to hold them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import typer

from fogbank import compiled
from fogbank.cli.support import options
from fogbank.functions.runtimes.python import interpreters
from fogbank.functions.sandbox import places, protections

if TYPE_CHECKING:
    from collections.abc import Mapping

_MEANINGS = {
    "namespaces": "each instance has its own root folder, /tmp and processes, and sees no others",
    "seccomp": "calls that change the system or look into other processes are refused",
    "landlock": "signals and sockets stay inside; without namespaces, files too",
    "no_new_privs": "no program gives an instance more rights than it has",
    "ports": "an instance's Runtime API answers its own processes alone",
    "cgroup memory": "the kernel holds an instance to its memory",
    "cgroup pids": "the kernel holds an instance to 1,024 processes",
    "cgroup cpu": "an instance's share of the processors follows its memory",
}

app = options.application()


@app.command()
def doctor(*, data: options.Data = options.DATA, json: options.Json = False) -> None:
    """Say which protections of functions this machine gives, and which runtimes it has."""
    with tempfile.TemporaryDirectory(prefix="fogbank-") as folder:
        found = protections.find(Path(folder))
    facts = found.facts()
    if "landlock" in found.given and not found.cells and places.is_open(data):
        facts["landlock"] = places.told_open(data)
    if found.groups is not None:
        found.groups.close()
    runtimes = {**_pythons(), "nodejs": _node()}
    if json:
        ours = {"modules": len(compiled.MODULES), "compiled": compiled.made()}
        typer.echo(orjson.dumps({"sandbox": facts, "runtimes": runtimes, "hot paths": ours}).decode())
        return
    typer.echo("What holds functions here:")
    for name, answer in facts.items():
        _tell(name, _MEANINGS[name] if answer == "yes" else answer, is_there=answer == "yes")
    if not found.cells:
        typer.echo("  Without namespaces all functions share /tmp and see the names of other processes.")
    typer.echo("  The network is the machine's own: functions reach what you reach.")
    typer.echo("What runs them:")
    _show_runtimes(runtimes)
    typer.echo("What fogbank itself runs as:")
    made, all_of_them = compiled.made(), len(compiled.MODULES)
    told = f"{made} of {all_of_them} modules that every request runs through are machine code"
    _tell("compiled", told, is_there=made == all_of_them)


def _show_runtimes(runtimes: Mapping[str, str]) -> None:
    for name, answer in runtimes.items():
        _tell(name, answer or "not here: the nearest runs in its place", is_there=bool(answer))


def _tell(name: str, text: str, *, is_there: bool) -> None:
    typer.echo(f"  {'yes' if is_there else 'no ':<4}{name:<15}{text}")


def _pythons() -> dict[str, str]:
    """The paths of interpreters by the names of runtimes; empty where another is used."""
    found = {f"python{version}": interpreters.find(f"python{version}") for version in interpreters.KNOWN}
    return {name: one.path if one.version == one.wanted else "" for name, one in found.items()}


def _node() -> str:
    path = shutil.which("node")
    if path is None:
        return ""
    said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    return f"{path} ({said})"
