"""`fogbank reset`: forget everything the cloud of a folder holds."""

from __future__ import annotations

import shutil
from typing import Annotated

import orjson
import typer

from fogbank.cli.support import options, running
from fogbank.cli.support.problems import Problem

app = options.application()


@app.command()
def reset(
    *,
    data: options.Data = options.DATA,
    yes: Annotated[bool, typer.Option("--yes", "-y", envvar="FOGBANK_YES", help="Do not ask.")] = False,
    json: options.Json = False,
) -> None:
    """Stop the cloud and forget all it holds."""
    if not data.exists():
        _tell(f"nothing to forget: there is no {data}/", forgotten=False, json=json)
        return
    if not (data / "run").is_dir():
        raise Problem(f"{data.absolute()} does not look like a folder of fogbank's; delete it by hand if you mean it")
    if not yes:
        typer.confirm(f"Forget all that is in {data.absolute()}?", abort=True)
    server = running.find(data)
    kept = server.client.get("/_fogbank/status")["store"] if server else {}
    running.stop(data)
    shutil.rmtree(data)
    if kept.get("driver") == "postgresql" and not json:
        typer.echo("what is in the database stays there: drop its table `record` to forget that too", err=True)
    _tell(f"forgotten: {data}/", forgotten=True, json=json)


def _tell(text: str, *, forgotten: bool, json: bool) -> None:
    typer.echo(orjson.dumps({"forgotten": forgotten}).decode() if json else text)
