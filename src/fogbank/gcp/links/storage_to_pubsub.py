"""Notifications of Cloud Storage: a change of an object as a message of Pub/Sub, published in the same transaction.

"Notification payload" and "Attributes" ("Pub/Sub notifications for Cloud Storage").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from fogbank.gcp.services.pubsub import publishing
from fogbank.gcp.services.pubsub.state import PUBSUB, TOPICS

if TYPE_CHECKING:
    from fogbank.gcp.services.storage.changes import Change
    from fogbank.kernel.store import Tx


def object_changed(tx: Tx, change: Change) -> None:
    """To every topic that a configuration of the bucket names; one that is gone gets nothing."""
    for number, told in change.notifications.items():
        if not _is_for(told, change):
            continue
        _, project, _, topic_id = told["topic"].removeprefix("//pubsub.googleapis.com/").split("/")
        topic = TOPICS.get(tx, project, topic_id)
        if topic is not None:
            publishing.publish(tx, topic, [_message(number, told, change)], change.at_ms, change.new_id)


def _is_for(told: dict[str, Any], change: Change) -> bool:
    wanted = told.get("event_types")
    return (not wanted or change.event_type in wanted) and change.name.startswith(told.get("object_name_prefix", ""))


def _message(number: str, told: dict[str, Any], change: Change) -> Any:
    attributes = {
        **told.get("custom_attributes", {}),
        **change.attributes,
        "notificationConfig": f"projects/_/buckets/{change.bucket}/notificationConfigs/{number}",
        "payloadFormat": told["payload_format"],
    }
    data = b"" if told["payload_format"] == "NONE" else orjson.dumps(change.resource, option=orjson.OPT_INDENT_2)
    return PUBSUB.PubsubMessage(data=data, attributes=attributes)
