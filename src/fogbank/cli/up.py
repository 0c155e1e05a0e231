"""`fogbank up [PATH]`: the app of a folder, running; at every save its code is reloaded, or all is deployed again."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
import watchfiles

from fogbank.aws.stacks.template import TemplateError, parse
from fogbank.cli import logs
from fogbank.cli.support import options, running
from fogbank.cli.support.client import AskError, Unreachable
from fogbank.cli.support.problems import Problem
from fogbank.cli.support.progress import Progress
from fogbank.deploy import detect, package, prepare, release, swap
from fogbank.kernel.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fogbank.cli.support.client import Client

app = options.application()

_WATCH_STEP_MS = 300
_COARSE_NS = 10_000_000  # A file's times are those of the kernel's last tick.


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
    deployment = _Deployment(server.client, found, stack or found.name, parameters, region, config.cache_dir, progress)
    if watch and not json:
        _watch(server, deployment, data, started=started, ephemeral=ephemeral)
        return
    try:
        _show(server.url, deployment, deployment.run(), region, json=json)
    finally:
        if started and not json:
            typer.echo(f"the cloud runs on in the background; `fogbank stop --data {data}` ends it", err=True)


class _Deployment:
    """One app on its way to one stack, as often as it is asked to."""

    def __init__(
        self, client: Client, app: detect.App, stack: str, parameters: dict[str, str], region: str, cache: Path,
        progress: Progress,
    ) -> None:  # fmt: skip
        self.client, self.app, self.stack, self.parameters = client, app, stack, parameters
        self.region = region
        self._bundler, self._progress = package.Bundler(cache), progress
        self._bucket = f"fogbank-deploy-{region}"
        self._said: set[str] = set()
        self._door = _Door(client)
        self._running: prepare.Prepared | None = None  # What the stack runs, once that is known.
        self._functions: dict[str, str] = {}  # Of the stack: their names by their logical ids.
        self.folders: set[Path] = set()

    def run(self) -> release.Release:
        with self._progress.step(f"packaging {self.app.folder.name}"):
            prepared = self._prepare()
        self._tell_notes(prepared)
        self._running = None
        with self._progress.step(f"deploying stack {self.stack}") as tell:
            try:
                result = release.release(
                    self._door, self.stack, prepared, self._bucket, self.parameters,
                    lambda event: tell(_in_short(event)),
                )  # fmt: skip
                self._functions = release.functions(self._door, self.stack)
                behind = swap.behind(self._door, prepared, self._functions)
                swap.swap(self._door, prepared, self._bucket, self._functions, behind)
            except release.ReleaseError as error:
                raise Problem(f"{self.app.template}: stack {self.stack} was not deployed: {error}") from error
            except AskError as error:
                raise Problem(f"{self.app.template}: {error}") from error
        self._running = prepared
        return result

    def reload(self) -> list[str] | None:
        """Put code that has changed into its functions: the answer is their logical ids. None, and nothing done, where
        more has changed than that."""
        prepared = self._prepare()
        changed = swap.changed(self._running, prepared) if self._running is not None else None
        if changed is None or not changed.keys() <= self._functions.keys():
            return None
        self._tell_notes(prepared)
        try:
            swap.swap(self._door, prepared, self._bucket, self._functions, changed)
        except AskError:  # Somebody has changed the function by hand: a deploy will tell, or mend it.
            return None
        self._running = prepared
        return sorted(changed)

    def _tell_notes(self, prepared: prepare.Prepared) -> None:
        for note in prepared.notes:
            if note not in self._said:
                self._said.add(note)
                typer.echo(f"note: {note}", err=True)

    def _prepare(self) -> prepare.Prepared:
        try:
            template = parse(self.app.template.read_text(encoding="utf-8"))
            prepared = prepare.prepare(template, self.app.folder, self._bucket, self._bundler)
        except (TemplateError, UnicodeDecodeError, package.PackageError) as error:
            raise Problem(f"{self.app.template}: {error}") from error
        self.folders = prepared.folders
        return prepared


class _Door:
    """What a release asks for, from a running server."""

    def __init__(self, client: Client) -> None:
        self.ask = client.ask
        self._client = client

    def upload(self, bucket: str, key: str, content: bytes) -> None:
        kind = {"content-type": "application/zip"}
        status, _, reply = self._client.exchange("PUT", f"/{bucket}/{key}", content, kind)
        if status != 200:
            raise Problem(f"the bundle {key} was not taken: {status} {reply[:500].decode(errors='replace')}")


def _watch(server: running.Running, deployment: _Deployment, data: Path, *, started: bool, ephemeral: bool) -> None:
    reader = logs.Reader(server.client, since_ms=server.client.get("/_fogbank/clock")["now_ms"] - 60_000)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):  # A shell may have us ignore the last.
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        saves = _saves(deployment)
        next(saves)  # What is saved from here on counts.
        outputs = _deploy_and_tell(server, deployment, None)
        typer.echo(f"watching; Ctrl-C to end. Elsewhere: `fogbank logs --data {data}` and so on", err=True)
        for saved in saves:
            if saved:
                outputs = _deploy_and_tell(server, deployment, outputs)
            for function, event in reader.fresh():
                typer.echo(logs.line(function, event, event["timestamp"]))
    typer.echo(f"\n{_farewell(data, started=started, ephemeral=ephemeral)}", err=True)
    if started:
        running.stop(data)


def _farewell(data: Path, *, started: bool, ephemeral: bool) -> str:
    if not started:
        return f"the cloud runs on, as it did before; `fogbank stop --data {data}` ends it"
    return "nothing is kept" if ephemeral else f"state is kept in {data}; `fogbank up` goes on from there"


def _saves(deployment: _Deployment) -> Iterator[bool]:
    """A few times a second, for ever: whether anything of the app was saved since the last time.

    The template is looked at by name, since most editors put another file in its place; and where a folder of code
    comes, goes, or is another than before, the watching begins anew.
    """
    template, since_ns = _stamp(deployment.app.template), time.time_ns()
    yield False
    while True:
        folders, unseen_since_ns = _inodes(deployment.folders), since_ns
        for changes in watchfiles.watch(
            *folders, yield_on_timeout=True, rust_timeout=_WATCH_STEP_MS, raise_interrupt=True, debounce=50, step=5,
            watch_filter=_interesting,
        ) if folders else _ticks():  # fmt: skip
            now = _stamp(deployment.app.template)
            saved = bool(changes) or now != template or _inodes(deployment.folders) != folders
            if unseen_since_ns:  # While the last deploy brought these folders in, nobody was watching them.
                saved, unseen_since_ns = saved or _saved_since(folders, unseen_since_ns), 0
            template, since_ns = now, time.time_ns()
            yield saved
            if _inodes(deployment.folders) != folders:
                break


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        facts = file.stat()
    except OSError:  # Between the old file and the new one.
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def _saved_since(folders: Iterable[Path], moment_ns: int) -> bool:
    names = (path for folder in folders for path in folder.rglob("*") if _interesting(None, str(path)))
    return any(facts is not None and facts[1] > moment_ns - _COARSE_NS for facts in map(_stamp, names))


def _inodes(folders: set[Path]) -> dict[Path, int]:
    return {folder: folder.stat().st_ino for folder in sorted(folders) if folder.exists()}


def _ticks() -> Iterator[None]:
    while True:
        time.sleep(_WATCH_STEP_MS / 1000)
        yield None


def _interesting(_change: watchfiles.Change | None, path: str) -> bool:
    return "/.fogbank/" not in path and "/__pycache__/" not in path and not path.endswith((".pyc", "~", ".swp"))


def _deploy_and_tell(
    server: running.Running, deployment: _Deployment, outputs: dict[str, str] | None
) -> dict[str, str] | None:
    """What cannot be deployed is said; what ran goes on running. The answer is the outputs that were shown last."""
    began = time.monotonic()
    try:
        reloaded = deployment.reload()
        if reloaded is not None:
            what = f"reloaded {', '.join(reloaded)}" if reloaded else "nothing changed"
            typer.echo(f"{what} in {time.monotonic() - began:.2f} s", err=True)
            return outputs
        result = deployment.run()
    except Unreachable:
        raise
    except Problem as problem:
        typer.echo(f"fogbank: {problem}", err=True)
        return outputs
    if result.outputs != outputs:
        _show(server.url, deployment, result, deployment.region, json=False)
    else:
        what = "deployed" if result.changed else "nothing changed"
        typer.echo(f"{what} in {time.monotonic() - began:.2f} s", err=True)
    return result.outputs


def _show(url: str, deployment: _Deployment, result: release.Release, region: str, *, json: bool) -> None:
    apis = _api_urls(deployment.client, deployment.stack, url)
    if json:
        facts = {"stack": result.stack, "changed": result.changed, "outputs": result.outputs, "apis": apis, "url": url}
        typer.echo(orjson.dumps({**facts, "region": region}).decode())
        return
    typer.echo(f"stack {result.stack} is {'deployed' if result.changed else 'unchanged'} at {url}")
    for name, value in result.outputs.items():
        typer.echo(f"  {name} = {value}")
        for api, local in apis.items():
            if f"{api}.execute-api." in value:
                typer.echo(f"  {' ' * len(name)}   here: {local}")
                typer.echo(f"  {' ' * len(name)}     or: {_by_path(api, local, url)}")


def _api_urls(client: Client, stack: str, url: str) -> dict[str, str]:
    """The address on this machine of each stage of each REST API of the stack."""
    resources = client.ask("cloudformation", "DescribeStackResources", StackName=stack)["StackResources"]
    apis = [found["PhysicalResourceId"] for found in resources if found["ResourceType"] == "AWS::ApiGateway::RestApi"]
    port = url.rpartition(":")[2]
    return {
        api: f"http://{api}.execute-api.localhost:{port}/{stage['stageName']}"
        for api in apis
        for stage in client.ask("apigateway", "GetStages", restApiId=api).get("item", [])
        if stage["stageName"] != "Stage"  # SAM's own, made beside the one that was asked for.
    }


def _by_path(api: str, local: str, url: str) -> str:
    """The same without a name: only browsers, and curl, know everywhere that names below localhost are this machine."""
    return f"{url}/restapis/{api}/{local.rpartition('/')[2]}/_user_request_"


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Problem(f"--parameter {text!r} is not of the form NAME=VALUE")
    return name, value


def _in_short(event: dict[str, Any]) -> str:
    return f"{event['ResourceStatus']}  {event['LogicalResourceId']}"
