"""`fogbank status`: what runs, on what, with how many instances."""

from __future__ import annotations

from typing import Any

import orjson
import typer

from fogbank.cli.support import options, running

app = options.application()


@app.command()
def status(*, data: options.Data = options.DATA, json: options.Json = False) -> None:
    """Show the running cloud: store, background tasks, instances of functions."""
    found = running.find(data)
    if found is None:
        typer.echo(orjson.dumps({"status": "stopped"}).decode() if json else f"no fogbank is running on {data}/")
        raise typer.Exit(3)
    facts = found.client.get("/_fogbank/status")
    if json:
        typer.echo(orjson.dumps({"status": "running", "url": found.url, **facts}).decode())
        return
    _show(found.url, facts)


def _show(url: str, facts: dict[str, Any]) -> None:
    store = facts["store"]
    typer.echo(f"running at {url} (process {facts['pid']}), version {facts['version']}")
    typer.echo(f"store: {store['driver']}, {store.get('path') or store.get('url', '')}")
    typer.echo(f"services: {', '.join(facts['services'])}")
    typer.echo(f"services of Google's: {', '.join(facts['google_services'])}")
    failing = [task for task in facts["tasks"] if task["restarts"]]
    typer.echo(f"tasks: {len(facts['tasks'])}, {len(failing)} of them restarted")
    for task in failing:
        typer.echo(f"  {task['name']}: {task['restarts']} restarts, last: {task['last_error']}")
    google = ", ".join(f"{one['name']} ({one['state'].lower()})" for one in facts["google_functions"])
    typer.echo(f"functions of Google's: {google or 'none'}")
    typer.echo(f"instances: {len(facts['instances'])}")
    for instance in facts["instances"]:
        typer.echo("  " + "  ".join(f"{name}={value}" for name, value in instance.items()))
