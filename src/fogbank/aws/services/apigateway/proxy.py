"""The Lambda proxy integration: a request as an event, a function's reply as a response.

API Gateway Developer Guide, "Lambda proxy integrations in API Gateway": "Input format of a Lambda function for proxy
integration" and "Output format"; "Gateway response types".
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson

from fogbank.aws.protocol import edge
from fogbank.kernel.gateway.messages import Response

if TYPE_CHECKING:
    from fogbank.aws.services.apigateway.compiled import Endpoint, Live
    from fogbank.aws.services.apigateway.state import Api
    from fogbank.kernel.gateway.messages import Request

# Type → status, message, the error type that its header names.
_GATEWAY_RESPONSES = {
    "MISSING_AUTHENTICATION_TOKEN": (403, "Missing Authentication Token", "MissingAuthenticationTokenException"),
    "UNAUTHORIZED": (401, "Unauthorized", "UnauthorizedException"),
    "EXPIRED_TOKEN": (401, "The incoming token has expired", "UnauthorizedException"),
    "REQUEST_TOO_LARGE": (413, "Request Too Long", "RequestTooLargeException"),
    "THROTTLED": (429, "Too Many Requests", "TooManyRequestsException"),
    "INTEGRATION_TIMEOUT": (504, "Endpoint request timed out", "InternalServerErrorException"),
    "INTEGRATION_FAILURE": (502, "Internal server error", "InternalServerErrorException"),
    "API_CONFIGURATION_ERROR": (500, "Internal server error", "InternalServerErrorException"),
}
_SPACED = ("INTEGRATION_FAILURE",)  # The integration's own failure is written with a space after the colon.
# "Amazon API Gateway important notes": headers of a reply that are given other names or dropped.
_REMAPPED = {"www-authenticate", "server", "date", "connection", "x-amzn-requestid"}
_DROPPED = {"transfer-encoding", "content-length"}


def id_headers(request_id: str) -> list[tuple[str, str]]:
    return [("x-amzn-RequestId", request_id), ("x-amz-apigw-id", _extended_id(request_id))]


def _extended_id(request_id: str) -> str:
    return request_id[:13].replace("-", "") + request_id[14:18]


def refusal(status: int, message: str, error_type: str, request_id: str, *, spaced: bool = False) -> Response:
    body = b'{"message": %b}' if spaced else b'{"message":%b}'
    headers = [*id_headers(request_id), ("x-amzn-ErrorType", error_type), ("Content-Type", "application/json")]
    return Response(status, headers, body % orjson.dumps(message))


def gateway_response(api: Api, kind: str, request_id: str) -> Response:
    """API Gateway's own answer, as the API has customised it."""
    status, message, error_type = _GATEWAY_RESPONSES[kind]
    answer = refusal(status, message, error_type, request_id, spaced=kind in _SPACED)
    fallback = "DEFAULT_4XX" if status < 500 else "DEFAULT_5XX"
    own = api.gateway_responses.get(kind) or api.gateway_responses.get(fallback)
    if own:
        answer.status = int(own.get("statusCode", status)) if kind in api.gateway_responses else status
        for target, source in (own.get("responseParameters") or {}).items():
            name = target.removeprefix("gatewayresponse.header.")
            if source[:1] == source[-1:] == "'":
                answer.headers.append((name, source[1:-1]))
        template = (own.get("responseTemplates") or {}).get("application/json")
        if template:
            quoted = orjson.dumps(message).decode()
            text = template.replace("$context.error.messageString", quoted).replace("$context.error.message", message)
            answer.body = text.encode()
    return answer


def event(
    request: Request, live: Live, endpoint: Endpoint, path: str, labels: dict[str, str],
    claims: dict[str, Any] | None, trace: str, now_ms: int,
) -> dict[str, Any]:  # fmt: skip
    headers, many = _headers(request, trace)
    query: dict[str, str] | None = None
    many_query: dict[str, list[str]] | None = None
    if request.query:
        pairs = parse_qsl(request.query, keep_blank_values=True)
        query, many_query = dict(pairs) or None, {}
        for name, value in pairs:
            many_query.setdefault(name, []).append(value)
    body: str | None = None
    binary = False
    if len(request.body):
        binary, raw = _is_binary(live.api, request.headers), bytes(request.body)
        body = b64encode(raw).decode() if binary else raw.decode("utf-8", "replace")
    return {
        "resource": endpoint.path,
        "path": path,
        "httpMethod": request.method,
        "headers": headers,
        "multiValueHeaders": many,
        "queryStringParameters": query,
        "multiValueQueryStringParameters": many_query or None,
        "pathParameters": labels or None,
        "stageVariables": live.stage.variables or None,
        "requestContext": _context(request, live, endpoint, path, claims, now_ms),
        "body": body,
        "isBase64Encoded": binary,
    }


_HOP_BY_HOP = frozenset(("connection", "content-length", "transfer-encoding", "expect"))
_ADDED = frozenset(("x-amzn-trace-id", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto"))
_NOT_HANDED_ON = _HOP_BY_HOP | _ADDED


def _headers(request: Request, trace: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Names as they came; what the edge adds is added: where the caller was, over what, in which trace."""
    named, raw = request.headers, request.raw_headers
    if len(named) == len(raw):  # Each came once: the two are in the same order.
        headers = {one[0]: one[1] for key, one in zip(named, raw, strict=True) if key not in _NOT_HANDED_ON}
        many = {name: [value] for name, value in headers.items()}
    else:
        many = {}
        for name, value in raw:
            if name.lower() not in _NOT_HANDED_ON:
                many.setdefault(name, []).append(value)
        headers = {name: values[-1] for name, values in many.items()}
    headers["X-Amzn-Trace-Id"] = trace
    many["X-Amzn-Trace-Id"] = [trace]
    for name, value in edge.forwarded(request).items():
        headers[name] = value
        many[name] = [value]
    return headers, many


def _context(
    request: Request, live: Live, endpoint: Endpoint, path: str, claims: dict[str, Any] | None, now_ms: int
) -> dict[str, Any]:
    host = request.headers.get("host", "").partition(":")[0]
    stage = live.stage
    context: dict[str, Any] = {
        "resourceId": endpoint.resource_id,
        "resourcePath": endpoint.path,
        "httpMethod": request.method,
        "extendedRequestId": _extended_id(request.id),
        "requestTime": edge.request_time(now_ms // 1000),
        "path": f"/{stage.name}{path}",
        "accountId": live.api.account,
        "protocol": "HTTP/1.1",
        "stage": stage.name,
        "domainPrefix": host.partition(".")[0],
        "requestTimeEpoch": now_ms,
        "requestId": request.id,
        "identity": {
            "cognitoIdentityPoolId": None, "accountId": None, "cognitoIdentityId": None, "caller": None,
            "sourceIp": request.peer, "principalOrgId": None, "accessKey": None, "cognitoAuthenticationType": None,
            "cognitoAuthenticationProvider": None, "userArn": None, "userAgent": request.headers.get("user-agent"),
            "user": None,
        },
        "domainName": host,
        "deploymentId": stage.deployment,
        "apiId": live.api.id,
    }  # fmt: skip
    if claims is not None:
        context["authorizer"] = {"claims": claims}
    return context


def _is_binary(api: Api, headers: dict[str, str]) -> bool:
    if not api.binary_types:
        return False
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return any(fnmatchcase(kind, pattern.replace("~1", "/").lower()) for pattern in api.binary_types)


def response(payload: bytes, api: Api, request_id: str, trace: str) -> Response:
    """Of the function's reply; one that is not of the documented form is a 502."""
    try:
        reply = orjson.loads(payload)
        status = int(reply.get("statusCode", 0))
        body = _body(reply)
        headers = _reply_headers(reply) if "headers" in reply or "multiValueHeaders" in reply else []
    except (ValueError, TypeError, AttributeError):
        return gateway_response(api, "INTEGRATION_FAILURE", request_id)
    if not 100 <= status <= 999:
        return gateway_response(api, "INTEGRATION_FAILURE", request_id)
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return Response(status, [*id_headers(request_id), ("X-Amzn-Trace-Id", trace), *headers], body)


_REPLY_KEYS = frozenset(("statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"))


def _body(reply: dict[str, Any]) -> bytes:
    body = reply.get("body")
    if not (_REPLY_KEYS.issuperset(reply) and (body is None or isinstance(body, str))):
        raise TypeError("not of the documented form")
    if body is None:
        return b""
    if reply.get("isBase64Encoded") is True:
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
