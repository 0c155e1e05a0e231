"""A Google function run once: an HTTP request to its address, or an event of the kind that triggers it."""

from __future__ import annotations

import uuid
from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

if TYPE_CHECKING:
    from fogbank.cli.support.client import Client

_PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"
_IDENTITY = "/computeMetadata/v1/instance/service-accounts/default/identity?format=full&audience="


def call(client: Client, function: dict[str, Any], content: bytes) -> tuple[int, bytes]:
    """The status and the body. `content` is what is posted; of an event function the event's data."""
    if function.get("environment") == "GEN_1":
        return _call_first(client, function["name"], content)
    address = function["serviceConfig"].get("uri") or function["url"]
    path = "/" + address.partition("://")[2].partition("/")[2]
    headers = {"content-type": "application/json", **_authorization(client, address)}
    trigger = function.get("eventTrigger")
    if trigger is not None:
        kind = trigger["eventType"]
        content = _published(content) if kind == _PUBLISHED else content
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        source = trigger.get("pubsubTopic") or function["name"]
        headers |= {"ce-id": str(uuid.uuid4()), "ce-source": f"//fogbank/{source}", "ce-specversion": "1.0"}
        headers |= {"ce-type": kind, "ce-time": at}
    status, _, reply = client.exchange("POST", path, content, headers)
    return status, reply


def _call_first(client: Client, name: str, content: bytes) -> tuple[int, bytes]:
    asked = orjson.dumps({"data": content.decode()})
    status, _, reply = client.exchange("POST", f"/v1/{name}:call", asked, {"content-type": "application/json"})
    if status >= 300:
        return status, reply
    told = orjson.loads(reply)
    return (500, told["error"].encode()) if told.get("error") else (200, told.get("result", "").encode())


def _authorization(client: Client, address: str) -> dict[str, str]:
    """As the project's own account, which may call all of its functions."""
    metadata = {"metadata-flavor": "Google"}
    status, _, token = client.exchange("GET", _IDENTITY + quote(address, safe=""), b"", metadata)
    return {"authorization": f"Bearer {token.decode()}"} if status == 200 else {}


def _published(content: bytes) -> bytes:
    """google.events.cloud.pubsub.v1.MessagePublishedData, unless it is that already."""
    told = orjson.loads(content)
    if isinstance(told, dict) and isinstance(told.get("message"), dict):
        return content
    return orjson.dumps({"message": {"data": b64encode(content).decode(), "messageId": "1"}})
