"""Functions, and the Cloud Run services that those of the 2nd generation are, have policies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fogbank.gcp.protocol import hosts
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.functions import state

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

POLICIED = re.compile(r"projects/[^/]+/locations/[^/]+/(functions|services)/[^/]+")


def resource_id(tx: Tx, name: str) -> str:
    """Raises `RpcError` where there is none."""
    _, project, _, location, kind, own = name.split("/")
    if kind == "functions":
        return state.find(tx, name).id
    function = state.LABELS.get(tx, hosts.labels(project, location, own)[0])
    if function is None:
        told = f"Resource '{own}' of kind 'SERVICE' in region '{location}' in project '{project}' does not exist."
        raise RpcError(Code.NOT_FOUND, told)
    return f"run:{state.find(tx, function).id}"
