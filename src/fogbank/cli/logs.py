"""`fogbank logs`: what functions wrote, now and, with --follow, as they write it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from fogbank.cli.support import functions, google_functions, moments, options, running
from fogbank.cli.support.lines import GoogleReader, LambdaReader, Readers, line

if TYPE_CHECKING:
    from fogbank.cli.support.client import Client
    from fogbank.cli.support.lines import Reader

app = options.application()

_POLL_S = 0.3


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="A function; without one, all of them.")] = "",
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", envvar="FOGBANK_FOLLOW", help="Go on until Ctrl-C.")
    ] = False,
    since: Annotated[
        str,
        typer.Option(
            envvar="FOGBANK_SINCE", help="From then on: 10m ago, or 2027-01-31T12:00:00Z, by the cloud's clock."
        ),
    ] = "",
    data: options.Data = options.DATA,
    json: options.Json = False,
) -> None:
    """Show what functions logged."""
    client = running.need(data).client
    now_ms = client.get("/_fogbank/clock")["now_ms"]
    first_ms = moments.since_ms(since, now_ms) if since else 0
    reader = _reader(client, name, first_ms)
    try:
        while True:
            for function, event in reader.fresh():
                shown = (
                    orjson.dumps({"function": function, **event}).decode() if json else line(function, event, now_ms)
                )
                typer.echo(shown)
            if not follow:
                return
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        return


def _reader(client: Client, name: str, since_ms: int) -> Reader:
    """Of one function, whosever it is; or of all."""
    googles = google_functions.names(client)
    if name in googles or (googles and not name):
        google = GoogleReader(client, google_functions.project(), name, since_ms=since_ms)
        return google if name else Readers(LambdaReader(client, since_ms=since_ms), google)
    if not name:
        return LambdaReader(client, since_ms=since_ms)
    return LambdaReader(client, functions.find(client, name, googles), since_ms=since_ms)
