"""`fogbank debug NAME`: the next event of a function waits for a debugger; until Ctrl-C nothing of it is timed out.

`NAME:QUALIFIER` is about the events of one alias or version; all others run as before.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import orjson
import typer

from fogbank.aws.stacks.template import TemplateError, parse
from fogbank.cli.support import functions, options, running
from fogbank.cli.support.problems import Problem
from fogbank.deploy import detect

app = options.application()


@app.command()
def debug(
    name: Annotated[
        str,
        typer.Argument(
            help="A function's name, or its logical id in a template; NAME:QUALIFIER for one alias or version."
        ),
    ],
    *,
    port: Annotated[
        int,
        typer.Option(
            "--debugger-port",
            "--port",  # The short one is the usual one; FOGBANK_PORT is where the cloud listens.
            envvar="FOGBANK_DEBUGGER_PORT",
            min=0,
            max=65535,
            help="Where to wait for the debugger, each time; 0: where there is room.",
        ),
    ] = 0,
    data: options.Data = options.DATA,
    json: options.Json = False,
) -> None:
    """Let a function wait for a debugger, and say where to attach one."""
    server = running.need(data)
    called, _, qualifier = name.partition(":")
    function, asked = functions.find(server.client, called), {"qualifier": qualifier, "port": port}
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):  # A shell may have us ignore the last.
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        for news in server.client.lines("/_fogbank/debug", function=function, region=server.region, **asked):
            if json and news:
                typer.echo(orjson.dumps(news).decode())
            elif "runtime" in news:
                typer.echo(f"{function} waits for a debugger with its next event; Ctrl-C ends this", err=True)
                if port:  # It is the same each time.
                    typer.echo(_configuration(f"//127.0.0.1:{port}", news["runtime"], name, news["code"]))
                runtime = news["runtime"]
            elif "waits_at" in news:
                typer.echo(f"waiting for a debugger at {news['waits_at']}")
                if not port:
                    typer.echo(_configuration(news["waits_at"], runtime, name, news["code"]))
        raise Problem("the cloud was stopped")
    typer.echo(f"\n{function} runs as before", err=True)


def _configuration(address: str, runtime: str, name: str, code: str) -> str:
    """Of VS Code's debugger, what goes into .vscode/launch.json."""
    url = urlsplit(address)
    attach: dict[str, Any] = {"name": f"fogbank: {name}", "request": "attach"}
    local = f"${{workspaceFolder}}/{_source(name.partition(':')[0])}".rstrip("/.")
    if runtime.startswith("nodejs"):
        attach |= {"type": "node", "address": url.hostname, "port": url.port, "continueOnAttach": True}
        attach |= {"localRoot": local, "remoteRoot": code, "skipFiles": ["<node_internals>/**"]}
    else:
        attach |= {"type": "debugpy", "connect": {"host": url.hostname, "port": url.port}}
        attach |= {"pathMappings": [{"localRoot": local, "remoteRoot": code}]}
    told = orjson.dumps(attach, option=orjson.OPT_INDENT_2).decode()
    return f"in .vscode/launch.json, under configurations:\n{told}"


def _source(name: str) -> str:
    """The folder of a function's code, as the template beside us has it; nothing where there is none."""
    try:
        found = detect.find(Path())
        if not isinstance(found, detect.App):
            return ""
        template = parse(found.template.read_text(encoding="utf-8"))
    except (detect.NoAppError, TemplateError, OSError, UnicodeDecodeError):
        return ""
    given = (template.get("Resources") or {}).get(name) or {}
    shared = ((template.get("Globals") or {}).get("Function") or {}).get("CodeUri", "")
    properties = given.get("Properties") or {}
    place = properties.get("CodeUri", properties.get("Code", shared))
    return Path(place).as_posix() if isinstance(place, str) and place else ""
