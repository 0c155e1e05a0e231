"""The CloudFormation app of a folder on its way to one stack, as often as `fogbank up` asks for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson
import typer

from fogbank.aws.stacks.template import TemplateError, parse
from fogbank.cli.support.client import AskError, Unreachable
from fogbank.cli.support.lines import LambdaReader
from fogbank.cli.support.problems import Problem
from fogbank.deploy import detect, package, prepare, release, swap

if TYPE_CHECKING:
    from pathlib import Path

    from fogbank.cli.support.client import Client
    from fogbank.cli.support.progress import Progress


class StackApp:
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
        self._outputs: dict[str, str] | None = None  # Those that were shown last.

    @property
    def file(self) -> Path:
        return self.app.template

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

    def reader(self, since_ms: int) -> LambdaReader:
        return LambdaReader(self.client, since_ms=since_ms)

    def deploy_once(self, *, json: bool) -> None:
        self.show(self.run(), json=json)

    def deploy_and_tell(self) -> None:
        """What cannot be deployed is said; what ran goes on running."""
        began = time.monotonic()
        try:
            reloaded = self.reload()
            if reloaded is not None:
                what = f"reloaded {', '.join(reloaded)}" if reloaded else "nothing changed"
                typer.echo(f"{what} in {time.monotonic() - began:.2f} s", err=True)
                return
            result = self.run()
        except Unreachable:
            raise
        except Problem as problem:
            typer.echo(f"fogbank: {problem}", err=True)
            return
        if result.outputs != self._outputs:
            self.show(result, json=False)
        else:
            what = "deployed" if result.changed else "nothing changed"
            typer.echo(f"{what} in {time.monotonic() - began:.2f} s", err=True)
        self._outputs = result.outputs

    def show(self, result: release.Release, *, json: bool) -> None:
        url = self.client.url
        apis = _api_urls(self.client, self.stack, url)
        if json:
            told = {"stack": result.stack, "changed": result.changed, "outputs": result.outputs, "apis": apis}
            typer.echo(orjson.dumps({**told, "url": url, "region": self.region}).decode())
            return
        typer.echo(f"stack {result.stack} is {'deployed' if result.changed else 'unchanged'} at {url}")
        for name, value in result.outputs.items():
            typer.echo(f"  {name} = {value}")
            for api, local in apis.items():
                if f"{api}.execute-api." in value:
                    typer.echo(f"  {' ' * len(name)}   here: {local}")
                    typer.echo(f"  {' ' * len(name)}     or: {_by_path(api, local, url)}")


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


def _in_short(event: dict[str, Any]) -> str:
    return f"{event['ResourceStatus']}  {event['LogicalResourceId']}"
