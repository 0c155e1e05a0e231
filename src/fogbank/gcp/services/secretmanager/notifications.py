"""What is told to a secret's topics: each change, in the transaction that makes it.

Secret Manager's documentation, "Set up notifications on a secret". Who carries it is a link with `secret_changed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.gcp.protocol import json_values
from fogbank.gcp.service import RpcError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.gcp.service import House
    from fogbank.kernel.store import Tx

_FORMAT = "JSON_API_V1"


@dataclass(frozen=True, slots=True)
class Notice:
    topic: str
    data: bytes
    attributes: dict[str, str]
    at_ms: int
    new_id: Callable[[], str]


class Teller:
    def __init__(self, house: House) -> None:
        self._house = house

    def configured(self, tx: Tx, secret: Any, now_ms: int) -> None:
        """A test message, to all topics, whenever they are set. Raises `RpcError` if one cannot be published to."""
        for topic in secret.topics:
            self._send(tx, Notice(topic.name, b"", {"eventType": "TOPIC_CONFIGURED"}, now_ms, self._house.ids.new))

    def secret(self, tx: Tx, event: str, secret: Any, now_ms: int, **more: str) -> None:
        self._tell(tx, event, secret, secret, now_ms, {"secretId": secret.name, **more})

    def version(self, tx: Tx, event: str, secret: Any, version: Any, now_ms: int) -> None:
        self._tell(tx, event, secret, version, now_ms, {"secretId": secret.name, "versionId": version.name})

    def _tell(self, tx: Tx, event: str, secret: Any, about: Any, now_ms: int, more: dict[str, str]) -> None:
        """A topic that has gone since it was set hears nothing, and holds up nobody."""
        at = type(secret.create_time)()
        at.FromMilliseconds(now_ms)
        attributes = {"eventType": event, "dataFormat": _FORMAT, "timestamp": at.ToJsonString(), **more}
        data = orjson.dumps(json_values.answer(about))
        for topic in secret.topics:
            try:
                self._send(tx, Notice(topic.name, data, attributes, now_ms, self._house.ids.new))
            except RpcError as error:
                self._house.telemetry.info(
                    "a secret's topic cannot be published to", secret=secret.name, why=error.message
                )

    def _send(self, tx: Tx, notice: Notice) -> None:
        for link in self._house.links.values():
            if hasattr(link, "secret_changed"):
                link.secret_changed(tx, notice)
