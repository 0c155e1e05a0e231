"""`fogbank up [PATH]`: the app of a folder, running; at every save its code is reloaded, or all is deployed again."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from fogbank.cli.support import google_functions, lines, options, running, saves
from fogbank.cli.support.google_app import GoogleApp
from fogbank.cli.support.problems import Problem
from fogbank.cli.support.progress import Progress
from fogbank.cli.support.stack_app import StackApp
from fogbank.deploy import detect
from fogbank.gcp.identity import metadata
from fogbank.gcp.protocol import regions
from fogbank.kernel.config import Config

if TYPE_CHECKING:
    from fogbank.cli.support.lines import Reader

app = options.application()


@app.command()
def up(
    path: Annotated[Path, typer.Argument(help="The app's folder, or its template.")] = Path(),
    *,
    data: Annotated[
        Path | None, typer.Option("--data", envvar="FOGBANK_DATA", help="Default: .fogbank in PATH.")
    ] = None,
    port: options.Port = options.PORT,
    host: options.Host = options.HOST,
    region: options.Region = "",
    ephemeral: options.Ephemeral = False,
    durability: options.Durability = "process",
    store_url: options.StoreUrl = "",
    verify_signatures: options.VerifySignatures = False,
    emulator_ports: options.EmulatorPorts = False,
    log_level: options.LogLevel = "info",
    sandbox: options.Sandbox = "auto",
    stack: Annotated[
        str, typer.Option("--stack-name", envvar="FOGBANK_STACK_NAME", help="Default: the folder's.")
    ] = "",
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", envvar="FOGBANK_PARAMETER", help="NAME=VALUE, for each parameter."),
    ] = None,
    trigger_topic: Annotated[
        list[str] | None,
        typer.Option(
            "--trigger-topic",
            envvar="FOGBANK_TRIGGER_TOPIC",
            help="FUNCTION=TOPIC: what triggers a function of Google's. TOPIC: all that nothing else triggers.",
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch/--no-watch", envvar="FOGBANK_WATCH", help="Deploy again at every save, and show logs."),
    ] = True,
    json: options.Json = False,
) -> None:
    """Start the cloud if needed, deploy the app, then watch it. Ctrl-C ends the watching; all state is kept."""
    try:
        found = detect.find(path)
    except detect.NoAppError as error:
        raise Problem(str(error)) from error
    data = data or found.folder / ".fogbank"
    server = running.find(data)
    region = region or (server.region if server else "") or options.REGION
    if server and port not in (0, options.PORT, int(server.url.rpartition(":")[2])):
        typer.echo(f"note: the cloud of {data} runs already, at {server.url}; --port is for one that starts", err=True)
    config = Config(
        data_dir=data, host=host, port=port, region=region, ephemeral=ephemeral, durability=durability,
        store_url=store_url, verify_signatures=verify_signatures, emulator_ports=emulator_ports,
        log_level=log_level,
        sandbox=sandbox,
    )  # fmt: skip
    progress = Progress(quiet=json)
    parameters = dict(_pair(text) for text in parameter or [])
    with progress.step("starting the cloud"):
        started = server is None
        server = server or running.start_detached(data, config)
    deployment: _App
    if isinstance(found, detect.GoogleApp):
        project = google_functions.project()
        place = region if region in regions.ALL else metadata.REGION
        deployment = GoogleApp(server.client, found.folder, project, place, _topics(trigger_topic or []), progress)
    else:
        name = stack or found.name
        deployment = StackApp(server.client, found, name, parameters, region, config.cache_dir, progress)
    if watch and not json:
        _watch(server, deployment, data, started=started, ephemeral=ephemeral)
        return
    try:
        deployment.deploy_once(json=json)
    finally:
        if started and not json:
            typer.echo(f"the cloud runs on in the background; `fogbank stop --data {data}` ends it", err=True)


class _App(Protocol):
    """What can be deployed, again and again."""

    @property
    def file(self) -> Path: ...
    @property
    def folders(self) -> set[Path]: ...
    def deploy_once(self, *, json: bool) -> None:
        """Raises `Problem`."""
        ...

    def deploy_and_tell(self) -> None:
        """What cannot be deployed is said; what ran goes on running."""
        ...

    def reader(self, since_ms: int) -> Reader: ...


def _watch(server: running.Running, deployment: _App, data: Path, *, started: bool, ephemeral: bool) -> None:
    since_ms = server.client.get("/_fogbank/clock")["now_ms"] - 60_000
    reader = deployment.reader(since_ms)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):  # A shell may have us ignore the last.
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        saved_since = saves.saves(deployment)
        next(saved_since)  # What is saved from here on counts.
        deployment.deploy_and_tell()
        typer.echo(f"watching; Ctrl-C to end. Elsewhere: `fogbank logs --data {data}` and so on", err=True)
        for saved in saved_since:
            if saved:
                deployment.deploy_and_tell()
            for function, event in reader.fresh():
                typer.echo(lines.line(function, event, event["timestamp"]))
    typer.echo(f"\n{_farewell(data, started=started, ephemeral=ephemeral)}", err=True)
    if started:
        running.stop(data)


def _farewell(data: Path, *, started: bool, ephemeral: bool) -> str:
    if not started:
        return f"the cloud runs on, as it did before; `fogbank stop --data {data}` ends it"
    return "nothing is kept" if ephemeral else f"state is kept in {data}; `fogbank up` goes on from there"


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Problem(f"--parameter {text!r} is not of the form NAME=VALUE")
    return name, value


def _topics(given: list[str]) -> dict[str, str]:
    """By function; "": for those of which nothing else is said."""
    pairs = (text.partition("=") for text in given)
    return {name if equals else "": topic if equals else name for name, equals, topic in pairs}
