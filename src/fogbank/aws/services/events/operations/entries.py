"""Events that are put onto buses, and which rules they are for.

EventBridge API reference, "PutEvents": an entry that is not taken is told of among the others' answers.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.events import deliveries, state, transforms
from fogbank.kernel.telemetry import amzn_trace
from fogbank.primitives import patterns

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_BYTES_MAX = 1024 * 1024  # "Sending events with PutEvents": the total entry size of a request.
_AT_BYTES = 14  # "Calculating event entry size": what a Time counts.


class Entries(Operations):
    service: ClassVar = "events"
    refused: ClassVar = {"PutEvents": {"EndpointId": ()}}

    def put_events(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        entries = request["Entries"]
        if sum(map(_size, entries)) > _BYTES_MAX:
            told = f"Total size of the entries in the request is over the limit of {_BYTES_MAX} bytes."
            raise ServiceError("ValidationException", told)
        answers = [self._put(tx, call, entry) for entry in entries]
        return {"FailedEntryCount": sum("ErrorCode" in answer for answer in answers), "Entries": answers}

    def _put(self, tx: Tx, call: Call, entry: dict[str, Any]) -> dict[str, str]:
        """An event that no rule means is taken all the same, and one for a bus that is not there."""
        problem = _problem(call, entry)
        if problem is not None:
            return {"ErrorCode": problem[0], "ErrorMessage": problem[1]}
        event = _event(call, entry, call.new_id())
        trace = amzn_trace(entry.get("TraceHeader", "")) or call.trace_id
        bus = str(entry.get("EventBusName", state.DEFAULT)).rpartition("event-bus/")[2]
        for rule in state.rules_of(tx, call.account, call.region, bus):
            if rule.pattern and rule.state != "DISABLED" and patterns.compiled(rule.pattern)(event):
                place = {"account": rule.account, "region": rule.region, "rule": rule.arn}
                for target in rule.targets:
                    body = transforms.body(target, event, rule.name)
                    deliveries.put(
                        tx, call.new_id(), place, target, deliveries.as_text(event), body, call.now_ms, trace=trace
                    )
        return {"EventId": event["id"]}

    def test_event_pattern(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        test = compiled(request["EventPattern"])
        try:
            event = orjson.loads(request["Event"])
        except orjson.JSONDecodeError as error:
            raise ServiceError("ValidationException", "Parameter Event is not valid.") from error
        wanted = {"id", "account", "source", "time", "region", "resources", "detail-type"}
        if not isinstance(event, dict) or not wanted <= event.keys():
            # TestEventPattern, Event: "the following fields are mandatory".
            raise ServiceError("ValidationException", "Parameter Event is not valid.")
        return {"Result": test(event)}


def compiled(pattern: str) -> Any:
    try:
        return patterns.compiled(pattern)
    except patterns.BadPattern as error:
        told = f"Event pattern is not valid. Reason: {error}"
        raise ServiceError("InvalidEventPatternException", told) from error


def _size(entry: dict[str, Any]) -> int:
    """ "Calculating event entry size"."""
    texts = [entry.get(name, "") for name in ("Source", "DetailType", "Detail")] + entry.get("Resources", [])
    return (_AT_BYTES if "Time" in entry else 0) + sum(len(text.encode()) for text in texts)


def _problem(call: Call, entry: dict[str, Any]) -> tuple[str, str] | None:
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            return "InvalidArgument", f"Parameter {name} is not valid. Reason: {name} is a required argument."
    if entry["Source"].startswith("aws.") and not call.principal.endswith(".amazonaws.com"):
        return "NotAuthorizedForSourceException", "Not authorized for the source."
    try:
        detail = orjson.loads(entry["Detail"])
    except orjson.JSONDecodeError:
        return "MalformedDetail", "Detail is malformed."
    return None if isinstance(detail, dict) else ("MalformedDetail", "Detail is malformed.")


def _event(call: Call, entry: dict[str, Any], event_id: str) -> dict[str, Any]:
    """User Guide, "Amazon EventBridge event structure"."""
    at = entry.get("Time") or datetime.fromtimestamp(call.now_ms / 1000, UTC)
    return {
        "version": "0",
        "id": event_id,
        "detail-type": entry["DetailType"],
        "source": entry["Source"],
        "account": call.account,
        "time": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": call.region,
        "resources": entry.get("Resources", []),
        "detail": orjson.loads(entry["Detail"]),
    }
