"""What kind of app is this folder?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fogbank.deploy.google import discover

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE_NAMES = ("template.yaml", "template.yml", "template.json")
_OTHERS = {
    "serverless.yml": "a Serverless Framework app: run `fogbank exec -- serverless deploy`",
    "cdk.json": "a CDK app: run `fogbank exec -- cdk deploy --all`",
}


class NoAppError(Exception):
    """There is nothing here that can be deployed; the message says what was looked for."""


@dataclass(frozen=True, slots=True)
class App:
    folder: Path  # Relative paths in the template start here.
    template: Path
    name: str  # For the stack.


@dataclass(frozen=True, slots=True)
class GoogleApp:
    """Functions that are registered with the Functions Framework."""

    folder: Path


def find(path: Path) -> App | GoogleApp:
    """The app at a folder, or of a template file. A template goes before functions of Google's beside it."""
    if not path.exists():
        raise NoAppError(f"there is no {path}")
    if path.is_dir() and not any((path / name).is_file() for name in TEMPLATE_NAMES) and discover.is_app(path):
        return GoogleApp(path.resolve())
    template = path if path.is_file() else _template_in(path)
    folder = template.parent.resolve()
    return App(folder, template, _stack_name(folder.name))


def _template_in(folder: Path) -> Path:
    for name in TEMPLATE_NAMES:
        if (folder / name).is_file():
            return folder / name
    for name, kind in _OTHERS.items():
        if (folder / name).is_file():
            raise NoAppError(f"{folder.resolve()} holds {kind}")
    told = f"looked for {', '.join(TEMPLATE_NAMES)}, and for main.py or package.json with Google's Functions Framework"
    raise NoAppError(f"no app in {folder.resolve()}: {told}")


def _stack_name(text: str) -> str:
    """Letters, digits and hyphens, a letter first, 128 at most: CreateStack, parameter StackName."""
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text).strip("-")
    return (kept if kept[:1].isalpha() else f"app-{kept}".rstrip("-"))[:128]
