"""Apps on phones and in browsers ask under security rules, which are not evaluated here: they are told so.

Server clients ask past all rules; so does, with an emulator, who comes as "Bearer owner". An app without that gets what
a locked database gives it, and why; to let it in would make any rules look right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from fogbank.gcp.service import Code, RpcError
from fogbank.kernel.gateway.messages import Response

if TYPE_CHECKING:
    from fogbank.gcp.service import Call
    from fogbank.kernel.gateway.messages import Request

REFUSED: Final = (
    "Missing or insufficient permissions. Security rules are not evaluated here: use a server client, or come as "
    "'owner' (mockUserToken of connectFirestoreEmulator)."
)
_OF_AN_APP, _OF_A_SERVER = "fire/", "gccl/"  # In `x-goog-api-client`; admin SDKs name both.
_OWNER: Final = "Bearer owner"


def check(call: Call) -> None:
    """Raises `RpcError` for an app that is not its owner's."""
    agent = call.metadata.get("x-goog-api-client", "")
    if _OF_AN_APP in agent and _OF_A_SERVER not in agent and call.metadata.get("authorization") != _OWNER:
        raise RpcError(Code.PERMISSION_DENIED, REFUSED)


def refuse_channel(_request: Request) -> Response:
    """Browsers do not speak gRPC: their streams are HTTP requests of a form of their own (WebChannel)."""
    error = {"error": {"code": 403, "message": REFUSED, "status": "PERMISSION_DENIED"}}
    headers = [("content-type", "application/json"), ("access-control-allow-origin", "*")]
    return Response(403, headers, orjson.dumps(error))
