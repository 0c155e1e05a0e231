"""API Gateway's own answers, where no integration gives one.

API Gateway Developer Guide, "Gateway responses for REST APIs in API Gateway", "Gateway response types".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from fogbank.aws.services.apigateway.events import extended_id
from fogbank.kernel.gateway.messages import Response

if TYPE_CHECKING:
    from fogbank.aws.services.apigateway.state import Api
    from fogbank.kernel.gateway.messages import Request

# Type → status, message, the error type that its header names.
_DEFAULTS = {
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
# GetGatewayResponses: all types that there are.
TYPES = (
    "ACCESS_DENIED", "API_CONFIGURATION_ERROR", "AUTHORIZER_CONFIGURATION_ERROR", "AUTHORIZER_FAILURE",
    "BAD_REQUEST_BODY", "BAD_REQUEST_PARAMETERS", "DEFAULT_4XX", "DEFAULT_5XX", "EXPIRED_TOKEN", "INTEGRATION_FAILURE",
    "INTEGRATION_TIMEOUT", "INVALID_API_KEY", "INVALID_SIGNATURE", "MISSING_AUTHENTICATION_TOKEN", "QUOTA_EXCEEDED",
    "REQUEST_TOO_LARGE", "RESOURCE_NOT_FOUND", "THROTTLED", "UNAUTHORIZED", "UNSUPPORTED_MEDIA_TYPE", "WAF_FILTERED",
)  # fmt: skip


def id_headers(request_id: str) -> list[tuple[str, str]]:
    return [("x-amzn-RequestId", request_id), ("x-amz-apigw-id", extended_id(request_id))]


def refusal(status: int, message: str, error_type: str, request_id: str, *, spaced: bool = False) -> Response:
    body = b'{"message": %b}' if spaced else b'{"message":%b}'
    headers = [*id_headers(request_id), ("x-amzn-ErrorType", error_type), ("Content-Type", "application/json")]
    return Response(status, headers, body % orjson.dumps(message))


def customised(api: Api, kind: str, request: Request, told: str = "") -> Response:
    """API Gateway's own answer, as the API has customised it ("Gateway responses for REST APIs"); `told` where the
    message is not always the same."""
    status, message, error_type = _DEFAULTS[kind]
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
