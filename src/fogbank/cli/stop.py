"""`fogbank stop`: end the server of a folder; its state stays."""

from __future__ import annotations

import typer

from fogbank.cli.support import options, running

app = options.application()


@app.command()
def stop(*, data: options.Data = options.DATA) -> None:
    """Stop the cloud of --data; what it holds stays there."""
    stopped = running.stop(data)
    typer.echo(f"stopped; the state is kept in {data}/" if stopped else f"no fogbank is running on {data}/")
