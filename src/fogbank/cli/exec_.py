"""`fogbank exec -- COMMAND`: run a tool so that it finds this cloud instead of the real one."""

from __future__ import annotations

import os
import shutil
from typing import Annotated

import typer

from fogbank.cli.support import gcloud_sources, options, running
from fogbank.cli.support.environment import redirected, removed
from fogbank.cli.support.problems import Problem

app = options.application()


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def exec_(
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after --.")],
    *,
    data: options.Data = options.DATA,
    region: options.Region = "",
) -> None:
    """Run a command (sam, cdk, serverless, aws, your tests) against the running cloud."""
    if command[0].startswith("-"):
        raise Problem(f"exec has no option {command[0].partition('=')[0]!r}: it finds the running cloud by its state")
    server = running.need(data)
    program = shutil.which(command[0])
    if program is None:
        raise Problem(f"there is no command {command[0]!r} on the PATH")
    command, note = gcloud_sources.completed(command, data)
    if note:
        typer.echo(f"note: {note}", err=True)
    environment = {name: value for name, value in os.environ.items() if name not in removed(dict(os.environ))}
    os.execve(
        program,
        _pointed(command, server.url),
        environment | redirected(server.url, region or server.region, environment, data),
    )


def _pointed(command: list[str], url: str) -> list[str]:
    """The AWS CLI 1 puts old host names of a few services over what the environment says: it is told once more."""
    if os.path.basename(command[0]) != "aws" or "--endpoint-url" in command:  # noqa: PTH119
        return command
    return [command[0], "--endpoint-url", url, *command[1:]]
