"""`fogbank logs`: what functions wrote, now and, with --follow, as they write it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from fogbank.cli.support import functions, moments, options, running
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
    reader = Reader(client, functions.find(client, name) if name else "", since_ms=first_ms)
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


def line(function: str, event: dict[str, Any], now_ms: int) -> str:
    """With the day, where that is not today's."""
    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    day = "" if at.date() == datetime.fromtimestamp(now_ms / 1000, UTC).date() else f"{at:%Y-%m-%d} "
    return f"{day}{at.strftime('%H:%M:%S.%f')[:-3]} {function}  {event['message'].rstrip()}"


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
