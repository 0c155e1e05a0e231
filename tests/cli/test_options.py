"""What every command promises of its options."""

from __future__ import annotations

import typing
from pathlib import Path

import pytest
import typer
import typer.main

from fogbank.cli.main import app

README = (Path(__file__).parents[2] / "README.md").read_text()
COMMON = {"--port", "--host", "--data", "--ephemeral", "--durability", "--store-url", "--verify-signatures", "--region",
          "--emulator-ports", "--log-level", "--json"}  # fmt: skip


def commands() -> typing.Iterator[tuple[str, typing.Any]]:
    root: typing.Any = typer.main.get_command(app)
    context = typer.Context(root)
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        yield name, command
        yield from ((f"{name} {below}", one) for below, one in getattr(command, "commands", {}).items())


COMMANDS = dict(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_a_variable_too(name: str) -> None:
    options = [one for one in COMMANDS[name].params if one.param_type_name == "option" and one.name != "help"]
    for option in options:
        words = option.opts[0].removeprefix("--").replace("-", "_").upper()
        assert option.envvar == f"FOGBANK_{words}", option.opts


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"exec"}))  # What it runs prints what it prints.
def test_every_command_prints_json_when_asked(name: str) -> None:
    assert any("--json" in one.opts for one in COMMANDS[name].params)


def test_the_manual_names_every_command_and_every_common_option() -> None:
    for name in COMMANDS:
        assert name.partition(" ")[0] in README
    for option in COMMON:
        assert f"`{option}" in README
