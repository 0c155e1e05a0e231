"""IAM → Eventarc: triggers have policies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fogbank.gcp.services.eventarc import names, state

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

POLICIED = re.compile(r"projects/[^/]+/locations/[^/]+/triggers/[^/]+")


def resource_id(tx: Tx, name: str) -> str:
    """Raises `RpcError` where there is none."""
    return str(state.find(tx, names.trigger(name)).settings.uid)
