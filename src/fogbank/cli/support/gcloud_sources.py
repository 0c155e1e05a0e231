"""The source that `gcloud functions deploy` is given: a copy of the folder, where gcloud could not take that as it is.

It would upload the state of this cloud if that lies there. And it lets no Python source go without a requirements.txt;
one that imports nothing but Google's own clients runs here without it, so the copy is given one.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from fogbank.gcp.services.functions import implied

_DEPLOY = ["functions", "deploy"]
_TRACKS = ("alpha", "beta")
_OPTION = "--source"
_LEFT_OUT = shutil.ignore_patterns(".git", ".fogbank", "__pycache__", ".venv", "node_modules")
_STATE = ".fogbank"


def completed(command: list[str], state: Path) -> tuple[list[str], str]:
    """The command as it is to be run, and a note where its source is another one. `state`: where the cloud's lies."""
    if Path(command[0]).name != "gcloud" or [word for word in command[1:] if word not in _TRACKS][:2] != _DEPLOY:
        return command, ""
    folder = _source(command)
    if folder is None or not folder.is_dir():
        return command, ""
    requirements = implied.requirements(folder) if (folder / "main.py").is_file() else []
    holds_state = (folder / _STATE).exists() or state.resolve().is_relative_to(folder.resolve())
    if not requirements and not holds_state:
        return command, ""
    copy = _copied(folder.resolve(), state.resolve())
    command = [*_without_source(command), f"{_OPTION}={copy}"]
    if not requirements:
        return command, ""
    implied.add(copy)
    note = f"gcloud asks for a requirements.txt, and {folder.resolve()} has none: going on as if it said "
    return command, note + ", ".join(requirements)


def _copied(folder: Path, state: Path) -> Path:
    """Without the state, wherever that lies, and without what gcloud would leave out as well."""
    copy = state / "gcloud" / "sources" / hashlib.sha256(str(folder).encode()).hexdigest()[:16]

    def left_out(parent: str, names: list[str]) -> set[str]:
        return _LEFT_OUT(parent, names) | {name for name in names if Path(parent, name) in (state, copy.parent)}

    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy, ignore=left_out, symlinks=True)
    return copy


def _source(command: list[str]) -> Path | None:
    """None where it does not lie on this machine."""
    for index, word in enumerate(command):
        if word == _OPTION and index + 1 < len(command):
            return _local(command[index + 1])
        if word.startswith(f"{_OPTION}="):
            return _local(word.partition("=")[2])
    return Path()


def _local(text: str) -> Path | None:
    return None if "://" in text else Path(text)


def _without_source(command: list[str]) -> list[str]:
    kept, skips = [], False
    for word in command:
        if not skips and word != _OPTION and not word.startswith(f"{_OPTION}="):
            kept.append(word)
        skips = word == _OPTION and not skips
    return kept
