"""The Eventarc trigger of a 2nd gen function: made, made otherwise and deleted as a customer of Eventarc does it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import Code, RpcError

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.gcp.services.functions.state import Function

_EVENTARC, _PUBSUB, _LONGRUNNING = (
    Package("google.cloud.eventarc.v1"), Package("google.pubsub.v1"), Package("google.longrunning"),
)  # fmt: skip
_SERVICE = "google.cloud.eventarc.v1.Eventarc"


async def bring(house: House, before: Function, wanted: Function, operation: str) -> str:
    """The name of the trigger that a function has from now on; "" for one that has none. Raises `RpcError`."""
    await _make_topic(house, wanted)
    if wanted.generation == 1:
        return ""
    if not wanted.second.HasField("event_trigger"):
        await delete(house, before.trigger)
        return ""
    asked = wanted.second.event_trigger
    if before.trigger and before.second.event_trigger == asked:
        return before.trigger
    name = await _create(house, wanted, asked, operation)
    if before.trigger and before.trigger != name:
        await delete(house, before.trigger)
    return name


async def delete(house: House, name: str) -> None:
    if not name:
        return
    try:
        await _finished(house, await house.ask(_SERVICE, "DeleteTrigger", _EVENTARC.DeleteTriggerRequest(name=name)))
    except RpcError as error:
        if error.code != Code.NOT_FOUND:
            raise


async def _create(house: House, function: Function, asked: Any, operation: str) -> str:
    """Its id follows from the operation, so that it is made once however often this is done."""
    digits = int.from_bytes(hashlib.sha256(operation.encode()).digest()[:4]) % 1_000_000
    parent, own = f"projects/{function.at.project}/locations/{asked.trigger_region}", f"{function.service}-{digits:06d}"
    trigger = _EVENTARC.Trigger(name=f"{parent}/triggers/{own}", service_account=asked.service_account_email)
    trigger.event_filters.add(attribute="type", value=asked.event_type)
    for one in asked.event_filters:
        trigger.event_filters.add(attribute=one.attribute, value=one.value, operator=one.operator)
    trigger.destination.cloud_function = function.name
    trigger.channel = asked.channel
    if asked.pubsub_topic:
        trigger.transport.pubsub.topic = asked.pubsub_topic
    trigger.labels["goog-managed-by"] = "cloudfunctions"
    request = _EVENTARC.CreateTriggerRequest(parent=parent, trigger_id=own, trigger=trigger)
    try:
        await _finished(house, await house.ask(_SERVICE, "CreateTrigger", request))
    except RpcError as error:
        if error.code != Code.ALREADY_EXISTS:
            raise
    return str(trigger.name)


async def _finished(house: House, operation: Any) -> None:
    """Raises `RpcError` where it has failed."""
    while not operation.done:
        request = _LONGRUNNING.WaitOperationRequest(name=operation.name)
        operation = await house.ask("google.longrunning.Operations", "WaitOperation", request)
    if operation.HasField("error"):
        raise RpcError(Code(operation.error.code), operation.error.message)


async def _make_topic(house: House, function: Function) -> None:
    """A topic that events are to come from is made where it is not there."""
    topic = _topic_of(function)
    if not topic:
        return
    try:
        await house.ask("google.pubsub.v1.Publisher", "CreateTopic", _PUBSUB.Topic(name=topic))
    except RpcError as error:
        if error.code != Code.ALREADY_EXISTS:
            raise


def _topic_of(function: Function) -> str:
    if function.generation == 2:
        return str(function.second.event_trigger.pubsub_topic)
    trigger = function.first.event_trigger
    return str(trigger.resource) if "pubsub" in trigger.event_type and "/topics/" in trigger.resource else ""
