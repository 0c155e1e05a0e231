"""`fogbank stop`: end the server of a folder; its state stays."""

from __future__ import annotations

import orjson
import typer

from fogbank.cli.support import options, running
from fogbank.cli.support.progress import Progress

app = options.application()


@app.command()
def stop(*, data: options.Data = options.DATA, json: options.Json = False) -> None:
    """Stop the cloud of --data; what it holds stays there."""
    with Progress(quiet=json).waiting("stopping the cloud"):
        stopped = running.stop(data)
    told = f"stopped; the state is kept in {data}/" if stopped else f"no fogbank is running on {data}/"
    typer.echo(orjson.dumps({"stopped": stopped}).decode() if json else told)
