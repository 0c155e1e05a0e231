"""`fogbank reset`: forget everything the cloud of a folder holds."""

from __future__ import annotations

import shutil
from typing import Annotated

import typer

from fogbank.cli.support import options, running
from fogbank.cli.support.problems import Problem

app = options.application()


@app.command()
def reset(
    *,
    data: options.Data = options.DATA,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop the cloud and forget all it holds."""
    if not data.exists():
        typer.echo(f"nothing to forget: there is no {data}/")
        return
    if not (data / "run").is_dir():
        raise Problem(f"{data.absolute()} does not look like a folder of fogbank's; delete it by hand if you mean it")
    if not yes:
        typer.confirm(f"Forget all that is in {data.absolute()}?", abort=True)
    running.stop(data)
    shutil.rmtree(data)
    typer.echo(f"forgotten: {data}/")
