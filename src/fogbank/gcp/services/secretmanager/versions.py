"""Versions of secrets: how one is made of a payload, and how it is destroyed."""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any

from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.secretmanager import state
from fogbank.gcp.services.secretmanager.state import SECRETMANAGER, Payload, Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.gcp.services.secretmanager.names import SecretName
    from fogbank.kernel.store import Tx

_PAYLOAD_MAX = 65_536


@cache
def _crc() -> Any:
    """CRC-32C in C; loaded with the first secret's value, for it takes 30 ms."""
    return importlib.import_module("awscrt.checksums").crc32c


def payload(request: Any) -> Payload:
    """Of an AddSecretVersionRequest. Raises `RpcError`."""
    if not request.HasField("payload"):
        raise RpcError(Code.INVALID_ARGUMENT, "Field [payload] is required.")
    data = request.payload.data
    if not data:
        raise RpcError(Code.INVALID_ARGUMENT, "Secret Payload cannot be empty.")
    if len(data) > _PAYLOAD_MAX:
        raise RpcError(
            Code.INVALID_ARGUMENT, f"Secret Payload is too large: {len(data)} bytes, the maximum is {_PAYLOAD_MAX}."
        )
    checksum = int(_crc()(data))
    if request.payload.HasField("data_crc32c") and request.payload.data_crc32c != checksum:
        raise RpcError(Code.INVALID_ARGUMENT, "Provided SecretPayload.data crc32c does not match calculated crc32c.")
    return Payload(data, checksum)


def made(secret: Any, number: int, *, checked: bool, now_ms: int, etag: str) -> Any:
    told = SECRETMANAGER.SecretVersion(
        name=f"{secret.name}/versions/{number}", state=state.ENABLED, etag=etag,
        client_specified_payload_checksum=checked,
    )  # fmt: skip
    told.create_time.FromMilliseconds(now_ms)
    match secret.replication.WhichOneof("replication"):
        case "automatic":
            told.replication_status.automatic.SetInParent()
        case "user_managed":
            for replica in secret.replication.user_managed.replicas:
                told.replication_status.user_managed.replicas.add(location=replica.location)
    return told


def destroy(
    tx: Tx, row: Secret, name: SecretName, number: int, told: Any, now_ms: int, new_id: Callable[[], str]
) -> None:  # fmt: skip
    """Its data is gone for good."""
    told.state = state.DESTROYED
    told.destroy_time.FromMilliseconds(now_ms)
    told.ClearField("scheduled_destroy_time")
    told.etag = state.etag(new_id)
    state.PAYLOADS.delete(tx, row.id, number)
    state.put_version(tx, row, number, told, name)
