"""`fogbank debug NAME`: the next event of a function waits for a debugger; until Ctrl-C nothing of it is timed out."""

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
    name: Annotated[str, typer.Argument(help="A function's name, or its logical id in a template.")],
    *,
    data: options.Data = options.DATA,
    json: options.Json = False,
) -> None:
    """Let a function wait for a debugger, and say where to attach one."""
    server = running.need(data)
    function = functions.find(server.client, name)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):  # A shell may have us ignore the last.
        signal.signal(number, signal.default_int_handler)
    code = ""
    with suppress(KeyboardInterrupt):
        for news in server.client.lines("/_fogbank/debug", function=function, region=server.region):
            code = news.get("code", code)
            if json and news:
                typer.echo(orjson.dumps(news).decode())
            elif "runtime" in news:
                typer.echo(f"{function} waits for a debugger with its next event; Ctrl-C ends this", err=True)
            elif "waits_at" in news:
                typer.echo(_told(news["waits_at"], name, code))
        raise Problem("the cloud was stopped")
    typer.echo(f"\n{function} runs as before", err=True)


def _told(address: str, name: str, code: str) -> str:
    """Where to attach, for a person; and for VS Code what goes into .vscode/launch.json."""
    url = urlsplit(address)
    attach: dict[str, Any] = {"name": f"fogbank: {name}", "request": "attach"}
    local = f"${{workspaceFolder}}/{_source(name)}".rstrip("/.")
    if url.scheme == "ws":
        attach |= {"type": "node", "address": url.hostname, "port": url.port, "continueOnAttach": True}
        attach |= {"localRoot": local, "remoteRoot": code, "skipFiles": ["<node_internals>/**"]}
    else:
        attach |= {"type": "debugpy", "connect": {"host": url.hostname, "port": url.port}}
        attach |= {"pathMappings": [{"localRoot": local, "remoteRoot": code}]}
    told = orjson.dumps(attach, option=orjson.OPT_INDENT_2).decode()
    return f"waiting for a debugger at {address}\nin .vscode/launch.json, under configurations:\n{told}"


def _source(name: str) -> str:
    """The folder of a function's code, as the template beside us has it; nothing where there is none."""
    try:
        template = parse(detect.find(Path()).template.read_text(encoding="utf-8"))
    except (detect.NoAppError, TemplateError, OSError, UnicodeDecodeError):
        return ""
    given = (template.get("Resources") or {}).get(name) or {}
    shared = ((template.get("Globals") or {}).get("Function") or {}).get("CodeUri", "")
    properties = given.get("Properties") or {}
    place = properties.get("CodeUri", properties.get("Code", shared))
    return Path(place).as_posix() if isinstance(place, str) and place else ""
