"""`fogbank logs`: what functions wrote, now and, with --follow, as they write it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from fogbank.cli.support import functions, options, running
from fogbank.cli.support.client import AskError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.cli.support.client import Client

app = options.application()

_POLL_S = 0.3
_GROUP = "/aws/lambda/"


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="A function; without one, all of them.")] = "",
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", envvar="FOGBANK_FOLLOW", help="Go on until Ctrl-C.")
    ] = False,
    data: options.Data = options.DATA,
    json: options.Json = False,
) -> None:
    """Show what functions logged."""
    client = running.need(data).client
    reader = Reader(client, functions.find(client, name) if name else "")
    try:
        while True:
            for function, event in reader.fresh():
                typer.echo(orjson.dumps({"function": function, **event}).decode() if json else line(function, event))
            if not follow:
                return
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        return


def line(function: str, event: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
    return f"{at} {function}  {event['message'].rstrip()}"


class Reader:
    """Gives each event once, in the order of time."""

    def __init__(self, client: Client, function: str = "", *, since_ms: int = 0) -> None:
        self._client, self._function, self._since_ms = client, function, since_ms
        self._seen: set[str] = set()

    def fresh(self) -> list[tuple[str, dict[str, Any]]]:
        names = [self._function] if self._function else functions.every(self._client)
        found = [(name, event) for name in names for event in self._events(name) if event["eventId"] not in self._seen]
        found.sort(key=lambda entry: entry[1]["timestamp"])
        if found:  # A line may come late: look again from a little before the newest.
            self._since_ms = max(self._since_ms, found[-1][1]["timestamp"] - 10_000)
        self._seen.update(event["eventId"] for _, event in found)
        return found

    def _events(self, name: str) -> Iterator[dict[str, Any]]:
        request: dict[str, Any] = {"logGroupName": _GROUP + name, "startTime": self._since_ms}
        while True:
            try:
                page = self._client.ask("logs", "FilterLogEvents", **request)
            except AskError as error:
                if error.code == "ResourceNotFoundException":  # It has not run yet.
                    return
                raise
            yield from page.get("events", [])
            if not page.get("nextToken"):
                return
            request["nextToken"] = page["nextToken"]
