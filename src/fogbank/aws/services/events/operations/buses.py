"""Buses of one's own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.events import paging, state
from fogbank.aws.services.events.state import BUSES, DEFAULT, Bus

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_BUSES_MAX = 100  # EventBridge quotas: "Event buses".
_REFUSED: dict[str, tuple[Any, ...]] = {
    "EventSourceName": (), "KmsKeyIdentifier": ("",), "DeadLetterConfig": ({},), "LogConfig": ({},),
}  # fmt: skip


class Buses(Operations):
    service: ClassVar = "events"
    refused: ClassVar = {"CreateEventBus": _REFUSED, "UpdateEventBus": _REFUSED}

    def create_event_bus(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name = request["Name"]
        if "/" in name:
            # CreateEventBus, Name: "Custom event bus names can't contain the / character".
            raise ServiceError("ValidationException", "Event bus name must not contain '/'.")
        if name == DEFAULT or BUSES.get(tx, call.account, call.region, name) is not None:
            raise ServiceError("ResourceAlreadyExistsException", f"Event bus {name} already exists.")
        if len(BUSES.all(tx, call.account, call.region)) >= _BUSES_MAX - 1:
            raise ServiceError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
        tags = state.checked_tags({tag["Key"]: tag["Value"] for tag in request.get("Tags", [])})
        bus = Bus(
            call.account, call.region, name, request.get("Description", ""), call.now_ms, call.now_ms, tags
        )  # fmt: skip
        BUSES.put(tx, call.account, call.region, name, row=bus)
        return {"EventBusArn": bus.arn, **_description(bus)}

    def update_event_bus(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        bus = self._find(tx, call, request)
        bus = replace(bus, description=request.get("Description", bus.description), modified_ms=call.now_ms)
        BUSES.put(tx, call.account, call.region, bus.name, row=bus)
        return {"Name": bus.name, "Arn": bus.arn, **_description(bus)}

    def describe_event_bus(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return _described(self._find(tx, call, request))

    def list_event_buses(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        prefix = request.get("NamePrefix", "")
        every = [_default(tx, call), *(one for one in BUSES.all(tx, call.account, call.region) if one.name != DEFAULT)]
        found = [bus for bus in every if bus.name.startswith(prefix)]
        page, more = paging.page(request, found, lambda bus: bus.name)
        return {"EventBuses": [_described(bus) for bus in page], **more}

    def delete_event_bus(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        """A bus that is gone already is no error."""
        name = request["Name"]
        if name == DEFAULT:
            raise ServiceError("ValidationException", f"Cannot delete event bus {DEFAULT}.")
        if state.rules_of(tx, call.account, call.region, name):
            raise ServiceError("ValidationException", "EventBus cannot be deleted while it has rules.")
        BUSES.delete(tx, call.account, call.region, name)

    def _find(self, tx: Tx, call: Call, request: dict[str, Any]) -> Bus:
        name = state.bus_name(tx, call, {"EventBusName": request.get("Name", DEFAULT)})
        return BUSES.get(tx, call.account, call.region, name) or _default(tx, call)


def _default(tx: Tx, call: Call) -> Bus:
    kept = BUSES.get(tx, call.account, call.region, DEFAULT)
    return kept or Bus(call.account, call.region, DEFAULT, "", 0, 0)


def _description(bus: Bus) -> dict[str, str]:
    return {"Description": bus.description} if bus.description else {}


def _described(bus: Bus) -> dict[str, Any]:
    times = {"CreationTime": bus.created_ms / 1000, "LastModifiedTime": bus.modified_ms / 1000}
    return {"Name": bus.name, "Arn": bus.arn, **_description(bus), **(times if bus.modified_ms else {})}
