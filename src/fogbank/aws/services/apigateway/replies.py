"""A function's reply as a response (Lambda proxy integration).

API Gateway Developer Guide, "Lambda proxy integrations in API Gateway", "Output format of a Lambda function for proxy
integration".
"""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.protocol import edge
from fogbank.aws.services.apigateway import gateway_responses
from fogbank.aws.services.apigateway.media import is_binary
from fogbank.kernel.gateway.messages import Response

if TYPE_CHECKING:
    from fogbank.aws.services.apigateway.state import Api
    from fogbank.kernel.gateway.messages import Request

# "Amazon API Gateway important notes": headers of a reply that are given other names or dropped.
_REMAPPED = {"www-authenticate", "server", "date", "connection", "x-amzn-requestid"}
_DROPPED = {"transfer-encoding", "content-length"}


def response_of(payload: bytes, api: Api, request: Request, trace: str) -> Response:
    """Of the function's reply; one that is not of the documented form is a 502. All that it has is optional."""
    try:
        reply = orjson.loads(payload)
        status = int(reply.get("statusCode") or 200)
        body = _body(reply, api, request)
        headers = _reply_headers(reply) if "headers" in reply or "multiValueHeaders" in reply else []
    except (ValueError, TypeError, AttributeError):
        return gateway_responses.customised(api, "INTEGRATION_FAILURE", request)
    if not 200 <= status <= 999:
        return gateway_responses.customised(api, "INTEGRATION_FAILURE", request)
    if not headers or all(name.lower() != "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return Response(status, [*gateway_responses.id_headers(request.id), ("X-Amzn-Trace-Id", trace), *headers], body)


_REPLY_KEYS = frozenset(("statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"))


def _body(reply: dict[str, Any], api: Api, request: Request) -> bytes:
    """ "Return binary media from a Lambda proxy integration": without the API's binary media types, base64 is text."""
    body = reply.get("body")
    if not (_REPLY_KEYS.issuperset(reply) and (body is None or isinstance(body, str))):
        raise TypeError("not of the documented form")
    if body is None:
        return b""
    if reply.get("isBase64Encoded") is True and is_binary(api, request.headers, "accept"):
        return b64decode(body, validate=True)
    return body.encode("utf-8", "surrogatepass")


def _reply_headers(reply: dict[str, Any]) -> list[tuple[str, str]]:
    many = {name: list(values) for name, values in (reply.get("multiValueHeaders") or {}).items()}
    known = {name.lower() for name in many}
    for name, value in (reply.get("headers") or {}).items():
        if name.lower() not in known:
            many[name] = [value]
    headers = []
    for name, values in many.items():
        if name.lower() in _DROPPED:
            continue
        shown = f"x-amzn-Remapped-{name}" if name.lower() in _REMAPPED else name
        headers += [(shown, edge.header_text(value)) for value in values]
    return headers
