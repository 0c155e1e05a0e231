"""A job that is due publishes its message, in the transaction in which it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.gcp.services.pubsub import publishing, state
from fogbank.gcp.services.pubsub.state import PUBSUB

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fogbank.kernel.store import Tx


def job_due(
    tx: Tx, topic: str, data: bytes, attributes: Mapping[str, str], now_ms: int, new_id: Callable[[], str]
) -> None:  # fmt: skip
    """Raises `RpcError` for a topic that is not there."""
    message = PUBSUB.PubsubMessage(data=data, attributes=attributes)
    publishing.publish(tx, state.topic(tx, topic), [message], now_ms, new_id)
