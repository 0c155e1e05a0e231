"""Notification configurations: which changes of a bucket's objects go to which topic of Pub/Sub."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec.structs import replace

from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.storage import changes, shown, state
from fogbank.gcp.services.storage.errors import StorageError, invalid
from fogbank.gcp.services.storage.nouns.buckets import keep
from fogbank.gcp.services.storage.nouns.noun import Noun

if TYPE_CHECKING:
    from fogbank.gcp.services.storage.asking import Asked
    from fogbank.gcp.services.storage.state import Bucket
    from fogbank.kernel.store import Tx

PUBSUB = Package("google.pubsub.v1")
_TOPIC: Final = re.compile(r"//pubsub\.googleapis\.com/(projects/[^/]+/topics/[^/]+)")
_FORMATS: Final = ("JSON_API_V1", "NONE")
# "A bucket can have up to 100 total notification configurations and up to 10 … set to trigger for a specific event."
_CONFIGURATIONS_MAX, _OF_AN_EVENT_MAX = 100, 10
_ATTRIBUTES_MAX: Final = 5


class Notifications(Noun):
    noun: ClassVar = "notifications"

    async def insert(self, asked: Asked) -> dict[str, Any]:
        told = _checked(asked.resource)
        await self.house.store.transact(state.bucket, asked.parameters["bucket"])
        topic = _TOPIC.fullmatch(told["topic"])
        assert topic is not None
        try:
            request = PUBSUB.GetTopicRequest(topic=topic[1])
            await self.house.ask("google.pubsub.v1.Publisher", "GetTopic", request)
        except RpcError as error:
            if error.code != Code.NOT_FOUND:
                raise
            raise invalid(f"Cloud Pub/Sub topic {told['topic'][2:]} does not exist.") from error
        return await self.house.store.transact(partial(_insert, told=told, asked=asked))

    def get(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        found, number = _found(state.bucket(tx, asked.parameters["bucket"]), asked)
        return _shown(found, number, asked)

    def list_(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        found = state.bucket(tx, asked.parameters["bucket"])
        told = [_shown(found, number, asked) for number in found.notifications]
        return {"kind": "storage#notifications"} | ({"items": told} if told else {})

    def delete(self, tx: Tx, asked: Asked) -> None:
        found, number = _found(state.locked_bucket(tx, asked.parameters["bucket"]), asked)
        left = {key: value for key, value in found.notifications.items() if key != number}
        keep(tx, replace(found, notifications=left), asked)


def _insert(tx: Tx, told: dict[str, Any], asked: Asked) -> dict[str, Any]:
    found = state.locked_bucket(tx, asked.parameters["bucket"])
    for event in told.get("event_types") or changes.EVENT_TYPES.values():
        same = [one for one in found.notifications.values() if event in one.get("event_types", [event])]
        if len(same) >= _OF_AN_EVENT_MAX:
            raise StorageError(400, "invalid", f"The bucket has {_OF_AN_EVENT_MAX} configurations for {event} already.")
    if len(found.notifications) >= _CONFIGURATIONS_MAX:
        raise StorageError(400, "invalid", f"The bucket has {_CONFIGURATIONS_MAX} configurations already.")
    number = str(1 + max((int(key) for key in found.notifications), default=0))
    return _shown(keep(tx, replace(found, notifications={**found.notifications, number: told}), asked), number, asked)


def _checked(told: dict[str, Any]) -> dict[str, Any]:
    topic = told.get("topic")
    if not isinstance(topic, str):
        raise StorageError(400, "required", "Required", place=("parameter", "topic"))
    topic = topic if topic.startswith("//") else f"//pubsub.googleapis.com/{topic.removeprefix('/')}"
    if not _TOPIC.fullmatch(topic):
        raise invalid(f"Invalid argument. Invalid Google Cloud Pub/Sub topic: {topic[:256]}")
    if told.get("payload_format", _FORMATS[0]) not in _FORMATS:
        raise invalid(f"Invalid value for: payload_format: {str(told['payload_format'])[:64]}")
    events = told.get("event_types") or []
    if not isinstance(events, list) or set(map(str, events)) - set(changes.EVENT_TYPES.values()):
        raise invalid(f"Invalid value for: event_types: {str(events)[:128]}")
    attributes = told.get("custom_attributes") or {}
    texts = isinstance(attributes, dict) and all(isinstance(value, str) for value in attributes.values())
    if not texts or len(attributes) > _ATTRIBUTES_MAX:
        raise invalid("Invalid value for: custom_attributes: at most 5, of text")
    prefix = told.get("object_name_prefix") or ""
    if not isinstance(prefix, str):
        raise invalid("Invalid value for: object_name_prefix")
    kept = {"topic": topic, "payload_format": told.get("payload_format", _FORMATS[0])}
    optional = {"event_types": events, "custom_attributes": attributes, "object_name_prefix": prefix}
    return kept | {name: value for name, value in optional.items() if value}


def _found(bucket: Bucket, asked: Asked) -> tuple[Bucket, str]:
    number = asked.parameters["notification"]
    if number not in bucket.notifications:
        raise StorageError(404, "notFound", f"Notification configuration {number[:64]} not found.", code="NoSuchKey")
    return bucket, number


def _shown(bucket: Bucket, number: str, asked: Asked) -> dict[str, Any]:
    return {
        "kind": "storage#notification", "id": number, "etag": number,
        "selfLink": f"{shown.api(asked.base)}/b/{bucket.name}/notificationConfigs/{number}",
        **bucket.notifications[number],
    }  # fmt: skip
