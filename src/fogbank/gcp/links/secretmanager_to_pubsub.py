"""What Secret Manager tells of secrets is published to their topics, in the transaction of the change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.pubsub import publishing, state
from fogbank.gcp.services.pubsub.state import PUBSUB

if TYPE_CHECKING:
    from fogbank.gcp.services.secretmanager.notifications import Notice
    from fogbank.kernel.store import Tx


def secret_changed(tx: Tx, notice: Notice) -> None:
    """Raises `RpcError` for a topic that is not there."""
    try:
        topic = state.topic(tx, notice.topic)
    except RpcError as error:
        raise RpcError(Code.NOT_FOUND, f"Topic [{notice.topic}] not found.") from error
    message = PUBSUB.PubsubMessage(data=notice.data, attributes=notice.attributes)
    publishing.publish(tx, topic, [message], notice.at_ms, notice.new_id)
