"""Which of Pub/Sub's resources have policies, and what tells one from another of the same name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fogbank.gcp.services.pubsub import state

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

POLICIED = re.compile(r"projects/[^/]+/(topics|subscriptions|snapshots)/[^/]+")


def resource_id(tx: Tx, name: str) -> str:
    """Raises `RpcError` where there is none."""
    match name.split("/")[2]:
        case "topics":
            return state.topic(tx, name).id
        case "subscriptions":
            return state.subscription(tx, name).id
        case _:
            return state.snapshot(tx, name).id
