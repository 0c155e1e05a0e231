"""A request as the event that a function gets of it (Lambda proxy integration).

API Gateway Developer Guide, "Lambda proxy integrations in API Gateway", "Input format of a Lambda function for proxy
integration".

Most of an event is the same for every request to a method, and of the rest the headers come again and again: both are
kept as the JSON that they become, so that an event costs what is new in it.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

import orjson

from fogbank.aws.protocol import edge
from fogbank.aws.services.apigateway.media import is_binary

if TYPE_CHECKING:
    from fogbank.aws.service import KnownKey
    from fogbank.aws.services.apigateway.compiled import Endpoint, Live
    from fogbank.kernel.gateway.messages import Request

_HOP_BY_HOP = frozenset(("connection", "content-length", "transfer-encoding", "expect"))
_ADDED = frozenset(("x-amzn-trace-id", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto"))
_NOT_HANDED_ON = _HOP_BY_HOP | _ADDED
_CAPITALS = {"authorization": "Authorization", "user-agent": "User-Agent", "host": "Host"}  # However they came.
_REMEMBERED_MAX, _REMEMBERED_BYTES_MAX = 1024, 4096
_DOMAINS_MAX, _HOST_CHARACTERS_MAX = 64, 256  # Hosts are the callers' to make up.


def event(
    request: Request, live: Live, endpoint: Endpoint, path: str, labels: dict[str, str], trace: str, now_ms: int,
    *, claims: dict[str, Any] | None = None, who: KnownKey | None = None,
) -> bytes:  # fmt: skip
    """`claims` of the caller's token, or `who` signed the request, where the method asks for one of them."""
    method = endpoint.resource_id, request.method
    form = live.forms.get(method)
    if form is None:
        form = live.forms[method] = _form(live, endpoint, request.method)
    query = many_query = labelled = body = b"null"
    binary = b"false"
    if request.query:
        query, many_query = _query(request.query)
    if labels:
        labelled = encoded(labels)
    if len(request.body):
        body, binary = _body(request, live)
    sent, told, own_path = _sent(request), encoded(trace), encoded(path)
    domain = live.domains.get(request.headers.get("host", "")) or _domain(request, live)
    return form % (
        own_path, sent.headers, told, sent.many, told, query, many_query, labelled, extended_id(request.id).encode(),
        edge.request_time(now_ms // 1000).encode(), own_path[1:], b"%d" % now_ms, request.id.encode(),
        sent.identity if who is None else _identity(request, who), domain,
        b"" if claims is None else b',"authorizer":' + encoded({"claims": claims}), body, binary,
    )  # fmt: skip


def _form(live: Live, endpoint: Endpoint, method: str) -> bytes:
    """All that the events of a method have in common, with a `%b` wherever `event` fills something in."""
    stage, api = live.stage, live.api
    hole, quoted = orjson.Fragment(b"\0"), orjson.Fragment(b'"\0"')  # No NUL stands in JSON otherwise.
    document = {
        "resource": endpoint.path,
        "path": hole,
        "httpMethod": method,
        "headers": orjson.Fragment(b"\0\0}"),
        "multiValueHeaders": orjson.Fragment(b"\0\0]}"),
        "queryStringParameters": hole,
        "multiValueQueryStringParameters": hole,
        "pathParameters": hole,
        "stageVariables": stage.variables or None,
        "requestContext": {
            "resourceId": endpoint.resource_id,
            "resourcePath": endpoint.path,
            "httpMethod": method,
            "extendedRequestId": quoted,
            "requestTime": quoted,
            "path": orjson.Fragment(b'"/%b\0' % stage.name.encode()),  # The path itself comes with its last quote.
            "accountId": api.account,
            "protocol": "HTTP/1.1",
            "stage": stage.name,
            "domainPrefix": api.id,
            "requestTimeEpoch": hole,
            "requestId": quoted,
            "identity": hole,
            "domainName": hole,
            "deploymentId": stage.deployment,
            "apiId": orjson.Fragment(encoded(api.id) + b"\0"),  # Behind it "authorizer", where there is one.
        },
        "body": hole,
        "isBase64Encoded": hole,
    }
    return encoded(document).replace(b"%", b"%%").replace(b"\0", b"%b")


class _Sent(NamedTuple):
    """What follows from a request's headers and its peer alone, as JSON. The first two end where the trace is to
    follow."""

    headers: bytes
    many: bytes
    identity: bytes


_remembered: dict[tuple[Any, ...], _Sent] = {}
# By the list of headers itself, which requests share whose heads are the same bytes; held here, so that no other list
# gets its id.
_of_lists: dict[tuple[int, str], tuple[list[tuple[str, str]], _Sent]] = {}


def _sent(request: Request) -> _Sent:
    raw = request.raw_headers
    kept = _of_lists.get((id(raw), request.peer))
    if kept is not None:
        return kept[1]
    sent = (request.peer, *raw)
    known = _remembered.get(sent)
    if known is None:
        known = _Sent(*_headers(request), _identity(request, None))
        if len(known.headers) <= _REMEMBERED_BYTES_MAX:
            if len(_remembered) >= _REMEMBERED_MAX:
                _remembered.clear()
            _remembered[sent] = known
        return known
    # It has come before: its list may come again.
    if len(_of_lists) >= _REMEMBERED_MAX:
        _of_lists.clear()
    _of_lists[(id(raw), request.peer)] = raw, known
    return known


def _headers(request: Request) -> tuple[bytes, bytes]:
    """`headers` and `multiValueHeaders`: names as they came; what the edge adds is added, where the caller was and over
    what."""
    many: dict[str, list[str]] = {}
    for name, value in request.raw_headers:
        lower = name.lower()
        if lower not in _NOT_HANDED_ON:
            many.setdefault(_CAPITALS.get(lower, name), []).append(value)
    many.update((name, [value]) for name, value in edge.forwarded(request))
    one = {name: values[-1] for name, values in many.items()}
    return encoded(one)[:-1] + b',"X-Amzn-Trace-Id":', encoded(many)[:-1] + b',"X-Amzn-Trace-Id":['


def _identity(request: Request, who: KnownKey | None) -> bytes:
    """`who`: a caller who has signed (AWS_IAM)."""
    unique = f"AIDA{sha256(who.principal.encode()).hexdigest()[:17].upper()}" if who else None
    return encoded(
        {
            "cognitoIdentityPoolId": None,
            "accountId": who.account if who else None,
            "cognitoIdentityId": None,
            "caller": unique,
            "sourceIp": request.peer,
            "principalOrgId": None,
            "accessKey": None,
            "cognitoAuthenticationType": None,
            "cognitoAuthenticationProvider": None,
            "userArn": who.principal if who else None,
            "userAgent": request.headers.get("user-agent"),
            "user": unique,
        }
    )


def _query(text: str) -> tuple[bytes, bytes]:
    pairs = parse_qsl(text, keep_blank_values=True)
    many: dict[str, list[str]] = {}
    for name, value in pairs:
        many.setdefault(name, []).append(value)
    return encoded(dict(pairs) or None), encoded(many or None)


def _body(request: Request, live: Live) -> tuple[bytes, bytes]:
    raw = bytes(request.body)
    if is_binary(live.api, request.headers, "content-type"):
        return b'"%b"' % b64encode(raw), b"true"
    return encoded(raw.decode("utf-8", "replace")), b"false"


def _domain(request: Request, live: Live) -> bytes:
    """Where a request came by a path, the event tells of the API's own address."""
    api, host = live.api, request.headers.get("host", "")
    domain = f"{api.id}.execute-api.{api.region}.amazonaws.com"
    if host.lower().startswith(f"{api.id}."):
        domain = request.host
    found = encoded(domain)
    if len(host) <= _HOST_CHARACTERS_MAX and len(live.domains) < _DOMAINS_MAX:
        live.domains[host] = found
    return found


def extended_id(request_id: str) -> str:
    return request_id[:8] + request_id[9:13] + request_id[14:18]


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
