"""The Lambda proxy integration: a request as an event, a function's reply as a response.

API Gateway Developer Guide, "Lambda proxy integrations in API Gateway": "Input format of a Lambda function for proxy
integration" and "Output format"; "Gateway response types".
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson

from fogbank.aws.protocol import edge
from fogbank.kernel.gateway.messages import Response

if TYPE_CHECKING:
    from fogbank.aws.service import KnownKey
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
    "INVALID_SIGNATURE": (
        403,
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details.",
        "InvalidSignatureException",
    ),
    "BAD_REQUEST_PARAMETERS": (400, "Bad Request Parameters", "BadRequestException"),
    "BAD_REQUEST_BODY": (400, "Invalid request body", "BadRequestException"),
    "INVALID_API_KEY": (403, "Forbidden", "ForbiddenException"),
}
# What comes of the integration is written with a space after the colon.
_SPACED = ("INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT", "API_CONFIGURATION_ERROR")
# "Amazon API Gateway important notes": headers of a reply that are given other names or dropped.
_REMAPPED = {"www-authenticate", "server", "date", "connection", "x-amzn-requestid"}
_DROPPED = {"transfer-encoding", "content-length"}
_CAPITALS = {"authorization": "Authorization", "user-agent": "User-Agent", "host": "Host"}  # However they came.


# GetGatewayResponses: all types that there are.
GATEWAY_RESPONSE_TYPES = (
    "ACCESS_DENIED", "API_CONFIGURATION_ERROR", "AUTHORIZER_CONFIGURATION_ERROR", "AUTHORIZER_FAILURE",
    "BAD_REQUEST_BODY", "BAD_REQUEST_PARAMETERS", "DEFAULT_4XX", "DEFAULT_5XX", "EXPIRED_TOKEN", "INTEGRATION_FAILURE",
    "INTEGRATION_TIMEOUT", "INVALID_API_KEY", "INVALID_SIGNATURE", "MISSING_AUTHENTICATION_TOKEN", "QUOTA_EXCEEDED",
    "REQUEST_TOO_LARGE", "RESOURCE_NOT_FOUND", "THROTTLED", "UNAUTHORIZED", "UNSUPPORTED_MEDIA_TYPE", "WAF_FILTERED",
)  # fmt: skip


def id_headers(request_id: str) -> list[tuple[str, str]]:
    return [("x-amzn-RequestId", request_id), ("x-amz-apigw-id", _extended_id(request_id))]


def _extended_id(request_id: str) -> str:
    return request_id[:13].replace("-", "") + request_id[14:18]


def refusal(status: int, message: str, error_type: str, request_id: str, *, spaced: bool = False) -> Response:
    body = b'{"message": %b}' if spaced else b'{"message":%b}'
    headers = [*id_headers(request_id), ("x-amzn-ErrorType", error_type), ("Content-Type", "application/json")]
    return Response(status, headers, body % orjson.dumps(message))


def gateway_response(api: Api, kind: str, request: Request, told: str = "") -> Response:
    """API Gateway's own answer, as the API has customised it ("Gateway responses for REST APIs"); `told` where the
    message is not always the same."""
    status, message, error_type = _GATEWAY_RESPONSES[kind]
    message = told or message
    answer = refusal(status, message, error_type, request.id, spaced=kind in _SPACED)
    fallback = "DEFAULT_4XX" if status < 500 else "DEFAULT_5XX"
    own = api.gateway_responses.get(kind) or api.gateway_responses.get(fallback)
    if own:
        answer.status = int(own.get("statusCode") or status)
        for target, source in (own.get("responseParameters") or {}).items():
            value = _mapped(source, request)
            if value is not None:
                answer.headers.append((target.removeprefix("gatewayresponse.header."), value))
        templates = own.get("responseTemplates") or {}
        if templates:
            media = "application/json" if "application/json" in templates else next(iter(templates))
            answer.body = _filled(templates[media], kind, message, request.id).encode()
            answer.headers = [(n, media if n == "Content-Type" else value) for n, value in answer.headers]
    return answer


def _mapped(source: str, request: Request) -> str | None:
    """Of a response parameter: a text in quotes, or something of the request."""
    if source[:1] == source[-1:] == "'":
        return source[1:-1]
    if source.startswith("method.request.header."):
        return request.headers.get(source.removeprefix("method.request.header.").lower())
    return request.id if source == "context.requestId" else None


def _filled(template: str, kind: str, message: str, request_id: str) -> str:
    values = {
        "$context.error.messageString": orjson.dumps(message).decode(),
        "$context.error.message": message,
        "$context.error.responseType": kind,
        "$context.requestId": request_id,
    }
    for name, value in values.items():
        template = template.replace(name, value)
    return template


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
        binary, raw = _is_binary(live.api, request.headers, "content-type"), bytes(request.body)
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


_REMEMBERED_MAX, _REMEMBERED_BYTES_MAX = 1024, 4096
_remembered: dict[tuple[Any, ...], tuple[bytes, bytes]] = {}


def _headers(request: Request, trace: str) -> tuple[orjson.Fragment, orjson.Fragment]:
    """`headers` and `multiValueHeaders`. A caller sends the same ones again and again: all but the trace is remembered
    as the JSON that it becomes."""
    sent = (request.peer, *request.raw_headers)
    known = _remembered.get(sent)
    if known is None:
        known = _headers_but_trace(request)
        if len(known[0]) <= _REMEMBERED_BYTES_MAX:
            if len(_remembered) >= _REMEMBERED_MAX:
                _remembered.clear()
            _remembered[sent] = known
    told = encoded(trace)
    return orjson.Fragment(b"%b%b}" % (known[0], told)), orjson.Fragment(b"%b%b]}" % (known[1], told))


def _headers_but_trace(request: Request) -> tuple[bytes, bytes]:
    """Names as they came; what the edge adds is added: where the caller was, over what. Both end where the trace is to
    follow."""
    many: dict[str, list[str]] = {}
    for name, value in request.raw_headers:
        lower = name.lower()
        if lower not in _NOT_HANDED_ON:
            many.setdefault(_CAPITALS.get(lower, name), []).append(value)
    many.update((name, [value]) for name, value in edge.forwarded(request))
    one = {name: values[-1] for name, values in many.items()}
    return encoded(one)[:-1] + b',"X-Amzn-Trace-Id":', encoded(many)[:-1] + b',"X-Amzn-Trace-Id":['


def encoded(value: Any) -> bytes:
    """As JSON. Bytes of a request that are no UTF-8 become the characters of Latin-1 ("field values", RFC 9110, section
    5.5, were of that once)."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return orjson.dumps(_without_surrogates(value))


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        raw = value.encode("utf-8", "surrogateescape")
        return value if raw == value.encode("utf-8", "replace") else raw.decode("latin-1")
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(item) for name, item in value.items()}
    return [_without_surrogates(item) for item in value] if isinstance(value, list) else value


def _context(
    request: Request, live: Live, endpoint: Endpoint, path: str, claims: dict[str, Any] | None, now_ms: int
) -> dict[str, Any]:
    stage, api = live.stage, live.api
    domain = request.host
    if not domain.startswith(f"{api.id}."):  # It came by a path: the event tells of the API's own address.
        domain = f"{api.id}.execute-api.{api.region}.amazonaws.com"
    context: dict[str, Any] = {
        "resourceId": endpoint.resource_id,
        "resourcePath": endpoint.path,
        "httpMethod": request.method,
        "extendedRequestId": _extended_id(request.id),
        "requestTime": edge.request_time(now_ms // 1000),
        "path": f"/{stage.name}{path}",
        "accountId": api.account,
        "protocol": "HTTP/1.1",
        "stage": stage.name,
        "domainPrefix": api.id,
        "requestTimeEpoch": now_ms,
        "requestId": request.id,
        "identity": {
            "cognitoIdentityPoolId": None, "accountId": None, "cognitoIdentityId": None, "caller": None,
            "sourceIp": request.peer, "principalOrgId": None, "accessKey": None, "cognitoAuthenticationType": None,
            "cognitoAuthenticationProvider": None, "userArn": None, "userAgent": request.headers.get("user-agent"),
            "user": None,
        },
        "domainName": domain,
        "deploymentId": stage.deployment,
        "apiId": api.id,
    }  # fmt: skip
    if claims is not None:
        context["authorizer"] = {"claims": claims}
    return context


def identity(who: KnownKey) -> dict[str, Any]:
    """Of a caller who has signed (AWS_IAM)."""
    unique = f"AIDA{sha256(who.principal.encode()).hexdigest()[:17].upper()}"
    return {"accountId": who.account, "caller": unique, "user": unique, "userArn": who.principal}


def _is_binary(api: Api, headers: dict[str, str], name: str) -> bool:
    """ "Content type conversions in API Gateway": the Content-Type of a request, the first Accept for its response."""
    if not api.binary_types:
        return False
    kind = (headers.get(name) or "application/json").partition(",")[0].partition(";")[0].strip().lower()
    return any(fnmatchcase(kind, pattern.replace("~1", "/").lower()) for pattern in api.binary_types)


def response(payload: bytes, api: Api, request: Request, trace: str) -> Response:
    """Of the function's reply; one that is not of the documented form is a 502. All that it has is optional."""
    try:
        reply = orjson.loads(payload)
        status = int(reply.get("statusCode") or 200)
        body = _body(reply, api, request)
        headers = _reply_headers(reply) if "headers" in reply or "multiValueHeaders" in reply else []
    except (ValueError, TypeError, AttributeError):
        return gateway_response(api, "INTEGRATION_FAILURE", request)
    if not 200 <= status <= 999:
        return gateway_response(api, "INTEGRATION_FAILURE", request)
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return Response(status, [*id_headers(request.id), ("X-Amzn-Trace-Id", trace), *headers], body)


_REPLY_KEYS = frozenset(("statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"))


def _body(reply: dict[str, Any], api: Api, request: Request) -> bytes:
    """ "Return binary media from a Lambda proxy integration": without the API's binary media types, base64 is text."""
    body = reply.get("body")
    if not (_REPLY_KEYS.issuperset(reply) and (body is None or isinstance(body, str))):
        raise TypeError("not of the documented form")
    if body is None:
        return b""
    if reply.get("isBase64Encoded") is True and _is_binary(api, request.headers, "accept"):
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
