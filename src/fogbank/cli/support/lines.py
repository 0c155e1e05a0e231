"""What functions have logged, each line once, in the order of time: Lambda's and Google's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from fogbank.cli.support import functions, google_functions
from fogbank.cli.support.client import AskError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.cli.support.client import Client

_GROUP = "/aws/lambda/"
_LATE_MS = 10_000  # A line may come late: the next look is from a little before the newest.
_GOOGLES = 'resource.type=("cloud_run_revision" OR "cloud_function") AND timestamp>="{since}"'
_PLAIN = ("DEFAULT", "INFO")


class Reader(Protocol):
    def fresh(self) -> list[tuple[str, dict[str, Any]]]:
        """Functions' names, and events with `timestamp`, `message` and `eventId`, of which none was given before."""
        ...


def line(function: str, event: dict[str, Any], now_ms: int) -> str:
    """With the day, where that is not today's."""
    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    day = "" if at.date() == datetime.fromtimestamp(now_ms / 1000, UTC).date() else f"{at:%Y-%m-%d} "
    return f"{day}{at.strftime('%H:%M:%S.%f')[:-3]} {function}  {event['message'].rstrip()}"


class LambdaReader:
    def __init__(self, client: Client, function: str = "", *, since_ms: int = 0) -> None:
        self._client, self._function, self._since_ms = client, function, since_ms
        self._seen: set[str] = set()

    def fresh(self) -> list[tuple[str, dict[str, Any]]]:
        names = [self._function] if self._function else functions.every(self._client)
        found = [(name, event) for name in names for event in self._events(name) if event["eventId"] not in self._seen]
        found.sort(key=lambda entry: entry[1]["timestamp"])
        if found:
            self._since_ms = max(self._since_ms, found[-1][1]["timestamp"] - _LATE_MS)
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


class GoogleReader:
    """By Cloud Logging's own API."""

    def __init__(self, client: Client, project: str, function: str = "", *, since_ms: int = 0) -> None:
        self._client, self._project, self._since_ms = client, project, since_ms
        self._names = {function, google_functions.service(function)} if function else None
        self._seen: set[str] = set()

    def fresh(self) -> list[tuple[str, dict[str, Any]]]:
        found = [one for one in self._entries() if one[1]["eventId"] not in self._seen]
        if found:
            self._since_ms = max(self._since_ms, found[-1][1]["timestamp"] - _LATE_MS)
        self._seen.update(event["eventId"] for _, event in found)
        return found

    def _entries(self) -> Iterator[tuple[str, dict[str, Any]]]:
        since = datetime.fromtimestamp(self._since_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
        request: dict[str, Any] = {
            "resourceNames": [f"projects/{self._project}"], "filter": _GOOGLES.format(since=since),
            "orderBy": "timestamp asc", "pageSize": 1000,
        }  # fmt: skip
        while True:
            page = google_functions.asked(self._client, "POST", "/v2/entries:list", request)
            for entry in page.get("entries", []):
                name, message = _name(entry), _message(entry)
                if message and (self._names is None or name in self._names):
                    yield name, {"timestamp": _ms(entry), "message": message, "eventId": entry.get("insertId", "")}
            if not page.get("nextPageToken"):
                return
            request["pageToken"] = page["nextPageToken"]


class Readers:
    """Several as one."""

    def __init__(self, *readers: Reader) -> None:
        self._readers = readers

    def fresh(self) -> list[tuple[str, dict[str, Any]]]:
        found = [one for reader in self._readers for one in reader.fresh()]
        return sorted(found, key=lambda entry: entry[1]["timestamp"])


def _name(entry: dict[str, Any]) -> str:
    labels = entry.get("resource", {}).get("labels", {})
    return str(labels.get("function_name") or labels.get("service_name") or "")


def _message(entry: dict[str, Any]) -> str:
    told = entry.get("jsonPayload")
    text = entry.get("textPayload") or (told.get("message") if isinstance(told, dict) else "")
    if not text and told:
        text = orjson.dumps(told).decode()
    severity = entry.get("severity", "DEFAULT")
    return f"{severity}: {text}" if text and severity not in _PLAIN else str(text or "")


def _ms(entry: dict[str, Any]) -> int:
    return round(datetime.fromisoformat(entry["timestamp"].replace("Z", "+00:00")[:32]).timestamp() * 1000)
