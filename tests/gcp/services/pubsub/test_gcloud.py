"""What people type: `gcloud pubsub …`, the real one."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING

from tests.support.gcloud import Gcloud, needed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cloud import Cloud

pytestmark = needed


def test_topics_schemas_subscriptions_and_snapshots_by_gcloud(cloud: Cloud, tmp_path: Path) -> None:
    gcloud = Gcloud(cloud.url, tmp_path / "gcloud", "PUBSUB")
    definition = tmp_path / "order.proto"
    definition.write_text('syntax = "proto3"; message Order { string id = 1; }')
    of_kind = ("--type=protocol-buffer", f"--definition-file={definition}")
    assert gcloud("pubsub", "schemas", "create", "order", *of_kind)["type"] == "PROTOCOL_BUFFER"
    gcloud("pubsub", "topics", "create", "orders", "--schema=order", "--message-encoding=json", "--labels=a=b")
    gcloud(
        "pubsub", "subscriptions", "create", "reader", "--topic=orders", "--expiration-period=2d",
        '--message-filter=attributes.kind="new"', "--enable-message-ordering",
    )  # fmt: skip
    publish = ("pubsub", "topics", "publish", "orders", "--attribute=kind=new", "--ordering-key=k")
    assert len(gcloud(*publish, '--message={"id": "a"}')["messageIds"]) == 1
    assert "Message failed schema validation" in gcloud.refused(*publish, "--message=hello")
    gcloud("pubsub", "snapshots", "create", "before", "--subscription=reader")
    pull = ("pubsub", "subscriptions", "pull", "reader", "--auto-ack", "--limit=5")
    [first] = gcloud(*pull)
    assert (b64decode(first["message"]["data"]), first["message"]["orderingKey"]) == (b'{"id": "a"}', "k")
    gcloud("pubsub", "subscriptions", "seek", "reader", "--snapshot=before")
    [again] = gcloud(*pull)
    assert again["message"] == first["message"]
    assert gcloud("pubsub", "topics", "list-subscriptions", "orders") == ["projects/fog-project/subscriptions/reader"]
    missing = gcloud.refused("pubsub", "topics", "describe", "none")
    assert "NOT_FOUND: Resource not found (resource=none)." in missing
