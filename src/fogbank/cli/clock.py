"""`fogbank clock`: read the cloud's clock, or move it forward so that schedules and time-outs come due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import orjson
import typer

from fogbank.cli.support import options, running
from fogbank.cli.support.moments import distance_ms, moment_ms
from fogbank.cli.support.progress import Progress

app = options.application(invoke_without_command=True)

_Data = Annotated[Path | None, typer.Option("--data", envvar="FOGBANK_DATA", help="Folder of the state.")]


@dataclass(frozen=True, slots=True)
class _Given:
    """What stood before the word `advance` or `set`; it may stand behind as well."""

    data: Path
    json: bool


@app.callback()
def clock(ctx: typer.Context, *, data: options.Data = options.DATA, json: options.Json = False) -> None:
    """Show the cloud's clock; `advance 1d` or `set 2027-01-01T00:00:00Z` moves it forward."""
    ctx.obj = _Given(data, json)
    if ctx.invoked_subcommand is None:
        _show(running.need(data).client.get("/_fogbank/clock"), json=json)


@app.command()
def advance(ctx: typer.Context, distance: str, *, data: _Data = None, json: options.Json = False) -> None:
    """Move the clock on by a distance such as 90s, 15m, 1d or 1h30m; what comes due on the way happens."""
    _move(ctx.obj, data, json=json, advance_ms=distance_ms(distance))


@app.command("set")
def set_(ctx: typer.Context, moment: str, *, data: _Data = None, json: options.Json = False) -> None:
    """Move the clock forward to a moment (ISO 8601; UTC where no zone is given)."""
    _move(ctx.obj, data, json=json, set_ms=moment_ms(moment))


def _move(given: _Given, data: Path | None, *, json: bool, **move: int) -> None:
    with Progress(quiet=json or given.json).waiting("moving the clock"):
        facts = running.need(data or given.data).client.post("/_fogbank/clock", **move)
    _show(facts, json=json or given.json)


def _show(facts: dict[str, int], *, json: bool) -> None:
    if json:
        typer.echo(orjson.dumps(facts).decode())
        return
    now = datetime.fromtimestamp(facts["now_ms"] / 1000, UTC).isoformat(timespec="seconds")
    ahead = timedelta(milliseconds=facts["offset_ms"])
    typer.echo(f"{now}" + (f", {ahead} ahead of this machine" if ahead else ""))
