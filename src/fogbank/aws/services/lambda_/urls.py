"""Function URLs where they answer: a request as an event of payload format 2.0, a reply as a response.

Lambda Developer Guide, "Invoking Lambda function URLs": "Request payload format", "Response payload format"; "Creating
and managing Lambda function URLs": "Cross-origin resource sharing (CORS)".
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

import orjson

from fogbank.aws.protocol import edge
from fogbank.aws.service import ServiceError
from fogbank.aws.services.lambda_ import permissions, state, streaming
from fogbank.aws.services.lambda_.admission import Target
from fogbank.aws.services.lambda_.calling import Caller
from fogbank.aws.services.lambda_.state import URLS, Url
from fogbank.functions.flow import Flow
from fogbank.functions.model import Invocation
from fogbank.kernel.gateway.messages import Request, Response, Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fogbank.aws.service import House, KnownKey
    from fogbank.functions.model import Outcome
    from fogbank.kernel.store import Tx

NO_ONE, BY_IAM = "NONE", "AWS_IAM"
_HOST = re.compile(r"(?P<id>[a-z0-9]+)\.lambda-url\.(?:[a-z0-9-]+)\.(?:on\.aws|localhost)")
_BODY_BYTES_MAX = 6 * 1024 * 1024
# A form is not among them: it comes as base64, as it does from HTTP APIs.
_TEXTUAL = re.compile(r"text/|application/(json|javascript|xml|.+\+(json|xml))")
_DROPPED = {"connection", "content-length", "transfer-encoding"}
BUFFERED, STREAMED = "BUFFERED", "RESPONSE_STREAM"
_BODILESS = (204, 304)


class Urls:
    """Answers at every function URL. One for each server."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        return [Route(self._answer, host=_HOST)]

    async def _answer(self, request: Request) -> Response:
        found = _HOST.fullmatch(request.host)
        assert found is not None
        request_id = request.id
        try:
            resolved = await self._house.store.transact(self._resolve, found["id"])
        except ServiceError as error:
            return _refusal(error.status, error.message, error.code, request_id)
        if resolved is None:
            return _forbidden(request_id)
        url, target, is_open = resolved
        cors = _cors_headers(url.cors, request)
        if request.method == "OPTIONS" and url.cors and "access-control-request-method" in request.headers:
            return Response(200, [("x-amzn-RequestId", request_id), *cors])  # A browser cannot sign that one.
        try:
            who = await self._house.signer(request) if url.auth == BY_IAM else None
        except ServiceError:
            return _forbidden(request_id)
        if not is_open and who is None:
            return _forbidden(request_id)
        if len(request.body) > _BODY_BYTES_MAX:
            return _refusal(413, "Request must be smaller than 6291456 bytes for the InvokeFunction operation",
                            "RequestEntityTooLargeException", request_id)  # fmt: skip
        response = await self._call(request, url, target, who, request_id)
        if cors:  # What the URL is configured to say goes before what the function says.
            told = {name.lower() for name, _ in cors}
            response.headers = [one for one in response.headers if one[0].lower() not in told] + cors
        return response

    async def _call(
        self, request: Request, url: Url, target: Target, who: KnownKey | None, request_id: str
    ) -> Response:
        trace = edge.trace_header(request)
        payload = orjson.dumps(_event(request, url, who, request_id, trace, self._house.clock.now_ms()))
        told = edge.function_trace(trace, request_id)
        if url.mode == STREAMED:
            flow = Flow()
            response = await self._stream(target, payload, told, request_id, trace, flow)
            if request.method == "HEAD" or response.status in _BODILESS:  # Nobody will read the pieces.
                flow.abandon()
            return response
        invocation = Invocation(request_id, payload, function_arn=target.arn, trace_header=told)
        try:
            outcome = await self._house.share(Caller).run(target, invocation)
        except ServiceError as error:
            return _refusal(error.status, error.message, error.code, request_id)
        if outcome.error:
            return _refusal(502, "Internal Server Error", "InternalServerErrorException", request_id)
        return _streamed(outcome, request_id, trace) if outcome.content_type else _response(outcome, request_id, trace)

    async def _stream(
        self, target: Target, payload: bytes, told: str, request_id: str, trace: str, flow: Flow
    ) -> Response:
        """The pieces as they come. What a function without a stream replies is the body as it is."""
        invocation = Invocation(request_id, payload, function_arn=target.arn, trace_header=told, flow=flow)
        try:
            reader = await self._house.share(Caller).stream(target, invocation, flow)
        except ServiceError as error:
            return _refusal(error.status, error.message, error.code, request_id)
        outcome, kind = flow.outcome, reader.content_type
        if outcome is not None and outcome.error and not flow.waits:
            return _refusal(502, "Internal Server Error", "InternalServerErrorException", request_id)
        if kind is None:
            return _with_metadata({}, reader.outcome.payload, "application/json", request_id, trace)
        if kind != streaming.HTTP_TYPE:
            return _with_metadata({}, streaming.body(reader), kind, request_id, trace)
        try:
            metadata, body = await streaming.with_metadata(reader)
        except ValueError:
            return _refusal(502, "Internal Server Error", "InternalServerErrorException", request_id)
        return _with_metadata(metadata, body, "application/octet-stream", request_id, trace)

    def _resolve(self, tx: Tx, url_id: str) -> tuple[Url, Target, bool] | None:
        """The URL, what it leads to, and whether it is open to everybody. None where there is no such URL. Raises
        ResourceConflictException where that cannot be invoked now."""
        url = URLS.get_shared(tx, url_id)
        if url is None:
            return None
        who = state.Named(url.account, url.region, url.function, url.qualifier)
        try:
            target = self._house.share(Caller).resolve(tx, who)
        except ServiceError as error:
            if error.code == state.NOT_READY:
                raise
            return None
        is_open = url.auth == NO_ONE and permissions.allows_url(tx, target.function, url.qualifier, NO_ONE)
        return url, target, is_open


def _forbidden(request_id: str) -> Response:
    """No such URL, or not for this caller: nobody is told which."""
    return _refusal(403, "Forbidden", "AccessDeniedException", request_id)


def _refusal(status: int, message: str, error_type: str, request_id: str) -> Response:
    headers = [("x-amzn-RequestId", request_id), ("x-amzn-ErrorType", error_type), ("Content-Type", "application/json")]
    return Response(status, headers, orjson.dumps({"Message": message}))


def _event(
    request: Request, url: Url, who: KnownKey | None, request_id: str, trace: str, now_ms: int
) -> dict[str, Any]:
    host = request.headers.get("host", "")
    headers = {name: value for name, value in request.headers.items() if name not in (*_DROPPED, "cookie")}
    headers |= {"x-amzn-trace-id": trace, **{name.lower(): text for name, text in edge.forwarded(request)}}
    query: dict[str, str] = {}
    for name, value in parse_qsl(request.query, keep_blank_values=True):
        query[name] = f"{query[name]},{value}" if name in query else value
    path = unquote(request.path)
    context: dict[str, Any] = {
        "accountId": "anonymous" if who is None else who.account,
        "apiId": url.id,
        "domainName": host.partition(":")[0],
        "domainPrefix": url.id,
        "http": {
            "method": request.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": request.peer,
            "userAgent": request.headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": edge.request_time(now_ms // 1000),
        "timeEpoch": now_ms,
    }  # fmt: skip
    if who is not None:
        context["authorizer"] = {"iam": _identity(request, who)}
    event: dict[str, Any] = {
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": request.query, "headers": headers,
        "requestContext": context, "isBase64Encoded": False,
    }  # fmt: skip
    if "cookie" in request.headers:
        event["cookies"] = [part.strip() for part in request.headers["cookie"].split(";")]
    if query:
        event["queryStringParameters"] = query
    if len(request.body):
        binary = not _TEXTUAL.match(request.headers.get("content-type", "text/plain").lower())
        raw = bytes(request.body)
        event |= {
            "body": b64encode(raw).decode() if binary else raw.decode("utf-8", "replace"),
            "isBase64Encoded": binary,
        }
    return event


def _identity(request: Request, who: KnownKey) -> dict[str, Any]:
    found = re.search(r"Credential=([^/,\s&]+)", request.headers.get("authorization", "") or unquote(request.query))
    user = who.account if who.principal.endswith(":root") else who.principal.rpartition("/")[2]
    return {
        "accessKey": found[1] if found else "", "accountId": who.account, "callerId": user,
        "cognitoIdentity": None, "principalOrgId": None, "userArn": who.principal, "userId": user,
    }  # fmt: skip


def _response(outcome: Outcome, request_id: str, trace: str) -> Response:
    """What is no object with a statusCode is the body itself, as JSON with status 200."""
    try:
        reply = orjson.loads(outcome.payload)
    except orjson.JSONDecodeError:
        return _refusal(502, "Internal Server Error", "InternalServerErrorException", request_id)
    if not isinstance(reply, dict) or "statusCode" not in reply:
        headers = [("x-amzn-RequestId", request_id), ("X-Amzn-Trace-Id", trace)]
        return Response(200, [*headers, ("Content-Type", "application/json")], outcome.payload)
    body = reply.get("body")
    text = "" if body is None else body if isinstance(body, str) else orjson.dumps(body).decode()
    try:
        content = b64decode(text) if reply.get("isBase64Encoded") else text.encode()
    except ValueError:
        return _refusal(502, "Internal Server Error", "InternalServerErrorException", request_id)
    return _with_metadata(reply, content, "application/json", request_id, trace)


def _streamed(outcome: Outcome, request_id: str, trace: str) -> Response:
    """ "Response streaming for Lambda functions": HttpResponseStream writes its metadata as JSON, eight NULs and then
    the body; what another stream writes is the body."""
    if outcome.content_type != streaming.HTTP_TYPE:
        return _with_metadata({}, outcome.payload, outcome.content_type, request_id, trace)
    told, _, body = outcome.payload.partition(streaming.DELIMITER)
    try:
        metadata = orjson.loads(told)
    except orjson.JSONDecodeError:
        return _refusal(502, "Internal Server Error", "InternalServerErrorException", request_id)
    return _with_metadata(metadata, body, "application/octet-stream", request_id, trace)


def _with_metadata(
    metadata: Any, content: bytes | AsyncIterator[bytes], content_type: str, request_id: str, trace: str
) -> Response:
    """`metadata`: statusCode, headers and cookies, as the function gave them."""
    try:
        status = int(metadata.get("statusCode", 200))
        own = [(str(name), edge.header_text(value)) for name, value in (metadata.get("headers") or {}).items()]
        cookies = [("Set-Cookie", str(cookie)) for cookie in metadata.get("cookies") or ()]
    except (ValueError, TypeError, AttributeError):
        return _refusal(502, "Internal Server Error", "InternalServerErrorException", request_id)
    if not 100 <= status <= 999:
        return _refusal(502, "Internal Server Error", "InternalServerErrorException", request_id)
    own = [one for one in own if one[0].lower() not in _DROPPED]
    if not any(name.lower() == "content-type" for name, _ in own):
        own.append(("Content-Type", content_type))
    headers = [("x-amzn-RequestId", request_id), ("X-Amzn-Trace-Id", trace)]
    return Response(status, [*headers, *own, *cookies], content)


def _cors_headers(cors: dict[str, Any], request: Request) -> list[tuple[str, str]]:
    """Of the URL's configuration, for a request that names an origin."""
    origin = request.headers.get("origin")
    if not cors or origin is None:
        return []
    allowed = cors.get("AllowOrigins", [])
    if not any(fnmatchcase(origin, pattern) for pattern in allowed):
        return []
    any_one = "*" in allowed and not cors.get("AllowCredentials")
    headers = [("Access-Control-Allow-Origin", "*" if any_one else origin), ("Vary", "Origin")]
    if cors.get("AllowCredentials"):
        headers.append(("Access-Control-Allow-Credentials", "true"))
    if cors.get("ExposeHeaders"):
        headers.append(("Access-Control-Expose-Headers", ",".join(cors["ExposeHeaders"])))
    if request.method == "OPTIONS":
        headers.append(("Access-Control-Allow-Methods", ",".join(cors.get("AllowMethods", []))))
        headers.append(("Access-Control-Allow-Headers", ",".join(cors.get("AllowHeaders", []))))
        if "MaxAge" in cors:
            headers.append(("Access-Control-Max-Age", str(cors["MaxAge"])))
    return [one for one in headers if one[1]]
