"""`fogbank`: finds a command's file by the command's name, so that no command pays for another's imports."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer
import typer.core
import typer.main

from fogbank import __version__
from fogbank.cli.support import options
from fogbank.cli.support.problems import Problem

if TYPE_CHECKING:
    from types import ModuleType

    from typer._click import Command, Context

_COMMANDS = sorted(
    found.name
    for found in pkgutil.iter_modules([str(Path(__file__).parent)])
    if not found.ispkg and found.name != "main"
)


class _Commands(typer.core.TyperGroup):
    def list_commands(self, ctx: Context) -> list[str]:
        return [name.replace("_", "-").rstrip("-") for name in _COMMANDS]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        for name in (cmd_name.replace("-", "_"), f"{cmd_name}_"):  # `exec_.py`: "exec" is a word of Python's.
            if name in _COMMANDS:
                command = typer.main.get_command(_load(name).app)
                command.name = cmd_name
                return command
        return None


def _load(name: str) -> ModuleType:
    """Without looking for garbage meanwhile: what is loaded stays, and the looking takes a tenth of the time."""
    gc.disable()
    try:
        return importlib.import_module(f"fogbank.cli.{name}")
    finally:
        gc.enable()


app = options.application(cls=_Commands, no_args_is_help=True)


def _show_version(wanted: bool) -> None:  # noqa: FBT001  # The form that Typer calls.
    if wanted:
        typer.echo(f"fogbank {__version__}")
        raise typer.Exit


@app.callback()
def fogbank(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version."),  # noqa: FBT001
) -> None:
    """Run serverless apps for AWS and Google Cloud on this machine: real functions, real triggers, durable state."""


def run() -> None:
    try:
        app()
    except Problem as problem:
        typer.echo(f"fogbank: {problem}", err=True)
        sys.exit(1)
    except OSError as error:  # A folder that may not be written, a disk that is full: the reason, and where.
        where = f"{error.filename}: " if error.filename else ""
        typer.echo(f"fogbank: {where}{error.strerror or error}", err=True)
        sys.exit(1)
