"""`fogbank env`: the same variables that `fogbank exec` sets, for a shell: `eval "$(fogbank env)"`."""

from __future__ import annotations

import os
import shlex

import orjson
import typer

from fogbank.cli.support import options, running
from fogbank.cli.support.environment import redirected, removed

app = options.application()


@app.command()
def env(*, data: options.Data = options.DATA, region: options.Region = "", json: options.Json = False) -> None:
    """Print the variables that point tools at the running cloud."""
    server = running.need(data)
    variables = redirected(server.url, region or server.region, dict(os.environ), data)
    if json:
        typer.echo(orjson.dumps(variables, option=orjson.OPT_INDENT_2).decode())
        return
    for name in removed(dict(os.environ)):
        typer.echo(f"unset {name}")
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
