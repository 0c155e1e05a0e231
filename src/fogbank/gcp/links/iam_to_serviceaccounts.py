"""IAM → service accounts: they have policies, which say who may act as them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fogbank.gcp.services.serviceaccounts import names

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

POLICIED = re.compile(r"projects/[^/]+/serviceAccounts/[^/]+")


def resource_id(tx: Tx, name: str) -> str:
    """Raises `RpcError` where there is none."""
    return names.find(tx, name).unique_id
