"""The source that `gcloud functions deploy` is given: gcloud lets no Python source go without a requirements.txt.

One that imports nothing but Google's own clients runs here without it; so gcloud is given a copy that has one.
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


def completed(command: list[str], place: Path) -> tuple[list[str], str]:
    """The command as it is to be run, and a note where it is another one. `place`: where a copy may lie."""
    if Path(command[0]).name != "gcloud" or [word for word in command[1:] if word not in _TRACKS][:2] != _DEPLOY:
        return command, ""
    folder = _source(command)
    if folder is None or not (folder / "main.py").is_file():
        return command, ""
    requirements = implied.requirements(folder)
    if not requirements:
        return command, ""
    copy = place / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy, ignore=_LEFT_OUT, symlinks=True)
    implied.add(copy)
    note = f"gcloud asks for a requirements.txt, and {folder.resolve()} has none: going on as if it said "
    return [*_without_source(command), f"{_OPTION}={copy}"], note + ", ".join(requirements)


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
