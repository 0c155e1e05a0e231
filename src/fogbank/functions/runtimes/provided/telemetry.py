"""The Telemetry API, version 2022-07-01: what platform, function and extensions say, for those who subscribe.

Lambda Developer Guide, "Lambda Telemetry API reference" and "Lambda Telemetry API Event schema reference".
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import orjson

from fogbank.functions.runtimes.provided.answers import answer, refused
from fogbank.functions.runtimes.provided.subscribers import Batching, Subscriber
from fogbank.kernel.gateway.messages import Ready, Response

if TYPE_CHECKING:
    from fogbank.functions.runtimes.provided.extensions import Extension
    from fogbank.functions.sandbox.peers import Peers
    from fogbank.kernel.gateway.messages import Request

PATH: Final = "/2022-07-01/telemetry"
LOGS_PATH: Final = "/2020-08-15/logs"
_SCHEMAS = ("2022-07-01", "2022-12-13", "2025-01-29")
_TYPES = ("platform", "function", "extension")
_HOSTS = ("sandbox.localdomain", "sandbox")  # "Specifying a destination protocol"; both are this machine.
# "Configuring memory usage and buffering": least, most, and what holds where nothing is chosen.
_BUFFERING = {"maxItems": (1000, 10_000, 1000), "maxBytes": (262_144, 1_048_576, 262_144),
              "timeoutMs": (25, 30_000, 1000)}  # fmt: skip
_KEPT_MAX, _KEPT_BYTES_MAX = 1000, 4 * 1024 * 1024
_BODY_BYTES_MAX = 64 * 1024


class Telemetry:
    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._subscribers: dict[str, Subscriber] = {}
        self._types: dict[str, frozenset[str]] = {}
        self._early: list[tuple[str, bytes]] = []  # What was said in init: whoever subscribes hears of it too.
        self._early_bytes = 0
        self._closed = False

    @property
    def wanted(self) -> bool:
        """Whether anybody listens, or may yet: else an event need not even be put together."""
        return not self._closed or bool(self._subscribers)

    def say(self, kind: str, record: Any) -> None:
        """An event of the type `kind` ("platform.start", "function", …), happening now."""
        if not self.wanted:
            return
        line = orjson.dumps({"time": moment(time.time()), "type": kind, "record": record})
        category = kind.partition(".")[0]
        for name, subscriber in self._subscribers.items():
            if category in self._types[name]:
                subscriber.add(line)
        if not self._closed and len(self._early) < _KEPT_MAX and self._early_bytes + len(line) <= _KEPT_BYTES_MAX:
            self._early.append((category, line))
            self._early_bytes += len(line)

    def close_subscription(self) -> None:
        """Init is over."""
        self._closed = True
        self._early.clear()

    def subscribe(self, speaker: Extension, request: Request) -> Ready:
        if self._closed:
            return refused(403, "Telemetry.SubscriptionClosed", "Telemetry API subscription is closed")
        try:
            wanted = orjson.loads(bytes(request.body[:_BODY_BYTES_MAX]))
        except orjson.JSONDecodeError as error:
            return refused(400, "ValidationError", f"the body is no JSON: {error}")
        if not isinstance(wanted, dict):
            return refused(400, "ValidationError", "the body is no JSON object")
        problems = _problems(wanted)
        if problems:
            return refused(400, "ValidationError", "; ".join(problems))
        self._replace(speaker.name, wanted)
        self.say("platform.telemetrySubscription", {"name": speaker.name, "state": "Subscribed", "types": wanted["types"]})  # fmt: skip  # noqa: E501
        return answer(200, "OK")

    def _replace(self, name: str, wanted: dict[str, Any]) -> None:
        """One subscription for each extension: the last."""
        before = self._subscribers.pop(name, None)
        if before is not None:
            before.close()
        given = wanted.get("buffering") or {}
        chosen = {member: given.get(member, default) for member, (_, _, default) in _BUFFERING.items()}
        batching = Batching(chosen["maxItems"], chosen["maxBytes"], chosen["timeoutMs"] / 1000)
        self._types[name] = frozenset(wanted["types"])
        target = _target(wanted["destination"])
        subscriber = self._subscribers[name] = Subscriber(*target, batching, self._dropped, self._peers)
        for category, line in self._early:
            if category in self._types[name]:
                subscriber.add(line)

    def _dropped(self, records: int, size: int, reason: str) -> None:
        self.say("platform.logsDropped", {"droppedBytes": size, "droppedRecords": records, "reason": reason})

    async def flush(self, timeout_s: float) -> None:
        for subscriber in self._subscribers.values():
            await subscriber.flush(timeout_s)

    def close(self) -> None:
        self.close_subscription()
        for subscriber in self._subscribers.values():
            subscriber.close()
        self._subscribers.clear()


def logs_api() -> Ready:
    """The Logs API, which this one has superseded: in the words that its documentation gives for where it is not."""
    return Ready(Response(202, [("content-type", "application/json")], _NO_LOGS_API))


_NO_LOGS_API = b'{"errorMessage":"Logs API is not supported","errorType":"Logs.NotSupported"}'


def moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _problems(wanted: dict[str, Any]) -> list[str]:
    """What is wrong with a subscription, a sentence each."""
    found = []
    if wanted.get("schemaVersion") not in _SCHEMAS:
        found.append(f"schemaVersion should be one of {', '.join(_SCHEMAS)}")
    types = wanted.get("types")
    if not isinstance(types, list) or not types:
        found.append("types should not be empty")
    elif any(kind not in _TYPES for kind in types):
        found.append(f"types should be among {', '.join(_TYPES)}")
    return [*found, *_destination_problems(wanted.get("destination")), *_buffering_problems(wanted.get("buffering"))]


def _destination_problems(given: Any) -> list[str]:
    if not isinstance(given, dict) or given.get("protocol") not in ("HTTP", "TCP"):
        return ["destination protocol should be HTTP or TCP"]
    if given["protocol"] == "TCP" and "port" in given:
        port = given["port"]
        return [] if type(port) is int and 0 < port < 65536 else ["port is not valid"]
    uri = given.get("URI")
    try:
        parts = urlsplit(uri if isinstance(uri, str) else "")
        host, port = parts.hostname, parts.port
    except ValueError:
        return ["URI is not valid"]
    problems = [] if port else ["URI port is not provided"]
    return problems if host in _HOSTS else [*problems, f"URI host should be {_HOSTS[0]}"]


def _buffering_problems(given: Any) -> list[str]:
    if given is None:
        return []
    if not isinstance(given, dict):
        return ["buffering should be an object"]
    return [
        f"{member} should be between {least} and {most}"
        for member, (least, most, _) in _BUFFERING.items()
        if member in given and not (type(given[member]) is int and least <= given[member] <= most)
    ]


def _target(given: dict[str, Any]) -> tuple[str, int, str]:
    """Protocol, port and path of a destination without problems."""
    if given["protocol"] == "TCP" and "port" in given:
        return "TCP", int(given["port"]), ""
    parts = urlsplit(given["URI"])
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return given["protocol"], int(parts.port or 0), path.replace("\r", "").replace("\n", "").replace(" ", "%20")
