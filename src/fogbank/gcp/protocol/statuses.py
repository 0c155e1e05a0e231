"""An `RpcError` as each wire has it: google.rpc.Status for gRPC's trailers, the error document for REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from fogbank.gcp.protocol.descriptors import message, pool
from fogbank.gcp.service import Code

if TYPE_CHECKING:
    from fogbank.gcp.service import RpcError

# As google/rpc/code.proto says beside each code ("HTTP Mapping").
_HTTP = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.UNAUTHENTICATED: 401,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
}


def status(error: RpcError) -> Any:
    """As a google.rpc.Status."""
    made: Any = message("google.rpc.Status")(code=int(error.code), message=error.message)
    for detail in error.details:
        made.details.add().Pack(detail)
    return made


def http_status(code: Code) -> int:
    return _HTTP[code]


def document(error: RpcError) -> dict[str, Any]:
    """As REST answers it."""
    told: dict[str, Any] = {"code": _HTTP[error.code], "message": error.message, "status": error.code.name}
    if error.details:
        told["details"] = json_format.MessageToDict(status(error), descriptor_pool=pool())["details"]
    return {"error": told}
