"""The Google functions of a folder on their way to a running cloud, as often as `fogbank up` asks for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson
import typer

from fogbank.cli.support.client import Unreachable
from fogbank.cli.support.lines import GoogleReader
from fogbank.cli.support.problems import Problem
from fogbank.deploy import package
from fogbank.deploy.google import declared, plan, release
from fogbank.deploy.google.plan import PlanError
from fogbank.deploy.google.release import Released, ReleaseError

if TYPE_CHECKING:
    from pathlib import Path

    from fogbank.cli.support.client import Client
    from fogbank.cli.support.progress import Progress

_WROTE = "Logs for this revision"  # Of a function that was built, and did not start.


class GoogleApp:
    def __init__(
        self, client: Client, folder: Path, project: str, region: str, topics: dict[str, str], progress: Progress
    ) -> None:  # fmt: skip
        self._client, self._folder, self._project, self._region = client, folder, project, region
        self._topics, self._progress = topics, progress
        self._said: set[str] = set()
        self._shown: list[tuple[str, str]] | None = None
        self.folders: set[Path] = {folder}
        self.file = folder / declared.TOML  # Looked at by name: most editors put another file in its place.

    def run(self) -> list[Released]:
        """Deploy what has changed. Raises `Problem`."""
        try:
            planned = plan.plan(self._folder, self._project, self._region, self._topics)
            sources = {one.source for one in planned.functions}
            bundles = {source: package.source(source) for source in sources}
        except (PlanError, package.PackageError) as error:
            told = str(error)  # Of a file it has the whole path.
            raise Problem(told if told.startswith(f"{self._folder}/") else f"{self._folder}: {told}") from error
        self.folders = {self._folder, *sources}
        for note in planned.notes:
            if note not in self._said:
                self._said.add(note)
                typer.echo(f"note: {note}", err=True)
        with self._progress.step(f"deploying {len(planned.functions)} functions") as tell:
            try:
                return release.release(
                    self._client, self._project, planned.functions,
                    {source: (bundle.digest, bundle.content) for source, bundle in bundles.items()},
                    lambda name, stage: tell(f"{name}: {stage}"),
                )  # fmt: skip
            except ReleaseError as error:
                hint = "\n`fogbank logs` shows what it wrote" if _WROTE in str(error) else ""
                raise Problem(f"{self._folder}: not deployed: {error}{hint}") from error

    def reader(self, since_ms: int) -> GoogleReader:
        return GoogleReader(self._client, self._project, since_ms=since_ms)

    def deploy_once(self, *, json: bool) -> None:
        self.show(self.run(), json=json)

    def deploy_and_tell(self) -> None:
        """What cannot be deployed is said; what ran goes on running."""
        began = time.monotonic()
        try:
            released = self.run()
        except Unreachable:
            raise
        except Problem as problem:
            typer.echo(f"fogbank: {problem}", err=True)
            return
        changed = [one.name for one in released if one.changed]
        addresses = [(one.name, one.url) for one in released]
        if addresses != self._shown:
            self._shown = addresses
            self.show(released, json=False)
        else:
            what = f"reloaded {', '.join(changed)}" if changed else "nothing changed"
            typer.echo(f"{what} in {time.monotonic() - began:.2f} s", err=True)

    def show(self, released: list[Released], *, json: bool) -> None:
        if json:
            facts: dict[str, Any] = {
                one.name: {"url": one.url, "uri": one.uri, "topic": one.topic, "changed": one.changed}
                for one in released
            }
            told = {"functions": facts, "project": self._project, "url": self._client.url}
            typer.echo(orjson.dumps(told).decode())
            return
        typer.echo(f"project {self._project} at {self._client.url}")
        for one in released:
            where = f"by messages to {one.topic}" if one.topic else f"at {one.url}"
            typer.echo(f"  {one.name} runs {where}")
