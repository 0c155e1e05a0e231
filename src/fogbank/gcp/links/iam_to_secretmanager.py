"""Which of Secret Manager's resources have policies, and what tells one from another of the same name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fogbank.gcp.services.secretmanager import names, state

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

POLICIED = re.compile(r"projects/[^/]+(/locations/[^/]+)?/secrets/[^/]+")


def resource_id(tx: Tx, name: str) -> str:
    """Raises `RpcError` where there is none."""
    return state.find(tx, names.secret(name), 0).id
