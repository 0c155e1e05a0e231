"""`fogbank invoke NAME`: run a function once and show what came of it."""

from __future__ import annotations

import sys
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import orjson
import typer

from fogbank.cli.support import functions, google_calls, google_functions, options, running
from fogbank.cli.support.problems import Problem
from fogbank.cli.support.progress import Progress

if TYPE_CHECKING:
    from fogbank.cli.support.client import Client

app = options.application()


@app.command()
def invoke(
    name: Annotated[
        str, typer.Argument(help="A function's name, or its logical id in a template; a Google function's name.")
    ],
    *,
    event: Annotated[
        str,
        typer.Option(
            "--event", "-e", envvar="FOGBANK_EVENT", help="A file with the event as JSON; - for standard input."
        ),
    ] = "",
    data: options.Data = options.DATA,
    json: options.Json = False,
) -> None:
    """Run a function and print its reply, then its log."""
    client = running.need(data).client
    googles = google_functions.names(client)
    if name in googles:
        _invoke_google(client, google_functions.every(client)[name], _event(event), json=json)
        return
    path = f"/2015-03-31/functions/{quote(functions.find(client, name, googles), safe='')}/invocations"
    content = _event(event)
    with Progress(quiet=json).waiting(f"running {name}"):
        status, headers, reply = client.exchange("POST", path, content, {"x-amz-log-type": "Tail"})
    if status >= 300:
        raise Problem(f"{name}: {orjson.loads(reply).get('message') or orjson.loads(reply).get('Message')}")
    error, log = headers.get("x-amz-function-error", ""), b64decode(headers.get("x-amz-log-result", "")).decode()
    if json:
        typer.echo(orjson.dumps({"error": error, "log": log, "reply": orjson.loads(reply or b"null")}).decode())
    else:
        typer.echo(log.rstrip(), err=True)
        typer.echo(reply.decode())
    raise typer.Exit(1 if error else 0)


def _invoke_google(client: Client, function: dict[str, Any], content: bytes, *, json: bool) -> None:
    with Progress(quiet=json).waiting(f"running {function['name'].rpartition('/')[2]}"):
        status, reply = google_calls.call(client, function, content)
    if json:
        typer.echo(orjson.dumps({"status": status, "reply": reply.decode(errors="replace")}).decode())
    else:
        typer.echo(reply.decode(errors="replace"))
    raise typer.Exit(1 if status >= 400 else 0)


def _event(source: str) -> bytes:
    try:
        text = b"{}" if not source else sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        orjson.loads(text)
    except OSError as error:
        raise Problem(f"the event cannot be read: {error}") from error
    except orjson.JSONDecodeError as error:
        raise Problem(f"the event in {source} is not JSON: {error}") from error
    return text
