"""HTTP targets, as Cloud Tasks and Cloud Scheduler have them: what is sent to a URL, and in whose name.

An OIDC token is for endpoints that look at who calls (a function, say), an OAuth token for Google's own APIs; both are
minted by our issuer, and either takes the place of an `Authorization` header.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urljoin, urlsplit

from fogbank.gcp.service import Code, RpcError
from fogbank.kernel.posting import Reply, Sender, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.gcp.service import House

# Whatever stands at these hosts in the cloud answers here.
OURS: Final = re.compile(r"[^/]*\.(cloudfunctions\.net|run\.app|googleapis\.com)", re.IGNORECASE)
_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"  # "If scope is not specified, … will be used."
_NOT_THEIRS: Final = re.compile(
    r"host|content-length|user-agent|connection|transfer-encoding|accept-encoding|te|upgrade|"
    r"x-google-.*|x-appengine-.*",
    re.IGNORECASE,
)
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SAFE: Final = "/?#[]@!$&'()*+,;=:%-._~"
_REDIRECTS_MAX: Final = 5
_HEADERS_MAX, _URL_MAX = 80 * 1024, 2083
_WITH_BODY: Final = ("POST", "PUT", "PATCH")
_CODES: Final = {
    400: Code.INVALID_ARGUMENT, 401: Code.UNAUTHENTICATED, 403: Code.PERMISSION_DENIED, 404: Code.NOT_FOUND,
    409: Code.ALREADY_EXISTS, 429: Code.RESOURCE_EXHAUSTED, 499: Code.CANCELLED, 500: Code.INTERNAL,
    501: Code.UNIMPLEMENTED, 503: Code.UNAVAILABLE, 504: Code.DEADLINE_EXCEEDED,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    oidc: tuple[str, str] | None = None  # Account and audience; without one, the URL's.
    oauth: tuple[str, str] | None = None  # Account and scope.


def read(url: str, method: str, told: Any) -> Target:
    """Of a message with `headers`, `body`, `oidc_token` and `oauth_token`."""
    oidc = oauth = None
    match told.WhichOneof("authorization_header"):
        case "oidc_token":
            oidc = (told.oidc_token.service_account_email, told.oidc_token.audience)
        case "oauth_token":
            oauth = (told.oauth_token.service_account_email, told.oauth_token.scope)
    return Target(method, url, dict(told.headers), told.body, oidc, oauth)


def is_header(name: str, value: str) -> bool:
    """It may stand in a request as it is."""
    return _TOKEN.fullmatch(name) is not None and not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value)


def complete(told: Any, named: str, url: str, methods: Any, agent: str) -> None:
    """Of the same message before it is kept: what goes without saying is said. `named` and `url`: what the message and
    its URL are called, for the words of a refusal; `methods`: the enum. Raises `RpcError`."""
    if len(getattr(told, url)) > _URL_MAX:
        raise _invalid(f"{named}.{url} must be less than or equal to {_URL_MAX} characters.")
    told.http_method = told.http_method or methods.Value("POST")
    method = methods.Name(told.http_method)
    if told.body and method not in _WITH_BODY:
        raise _invalid(f"{named}.body must be empty for the HTTP method {method}.")
    if sum(len(name.encode()) + len(value.encode()) for name, value in told.headers.items()) > _HEADERS_MAX:
        raise _invalid(f"The size of {named}.headers must be less than 80KB.")
    for name, value in told.headers.items():
        if not is_header(name, value):
            raise _invalid(f"{named}.headers has an invalid header: {name[:128]!r}.")
    for name in [name for name in told.headers if name.lower() == "user-agent"]:
        del told.headers[name]
    told.headers["User-Agent"] = agent
    token = told.WhichOneof("authorization_header")
    if token and not getattr(told, token).service_account_email:
        raise _invalid(f"{named}.{token}.service_account_email is required.")


def _invalid(text: str) -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, text)


async def send(house: House, agent: str, timeout_s: float, target: Target, ours: Mapping[str, str]) -> Reply:
    """What came of it, redirects followed; `ours` are headers that say what it is. Raises `Unreachable`."""
    names = {name.lower() for name in ours}
    kept = {
        name: value
        for name, value in target.headers.items()
        if not _NOT_THEIRS.fullmatch(name) and name.lower() not in names
    }
    token = await _token(house, target)
    if token:
        kept = {name: value for name, value in kept.items() if name.lower() != "authorization"}
        kept["Authorization"] = f"Bearer {token}"
    sender = Sender(agent, timeout_s, OURS)
    at = replace(target, headers={**kept, **ours})
    with house.clock.aside:
        for _ in range(_REDIRECTS_MAX):
            reply = await sender.send(at.method, quote(at.url, safe=_SAFE), at.headers, at.body, here=house.endpoint())
            if reply.status not in (301, 302, 303, 307, 308) or "location" not in reply.headers:
                return reply
            at = _redirected(at, reply)
    raise Unreachable("too many redirects")


async def _token(house: House, target: Target) -> str:
    if target.oidc is not None:
        account, audience = target.oidc
        return await house.identity.mint(audience or target.url, account)
    if target.oauth is not None:
        account, scope = target.oauth
        return await house.identity.access_token(account, (scope or _SCOPE).split())
    return ""


def _redirected(target: Target, reply: Reply) -> Target:
    """RFC 9110, 15.4. A token is not told to another host."""
    try:
        url = urljoin(target.url, reply.headers["location"])
        is_http = urlsplit(url).scheme in ("http", "https")
    except ValueError as error:
        raise Unreachable(f"it redirects to what is no URL: {error}") from error
    if not is_http:
        raise Unreachable("it redirects to what is no HTTP URL")
    headers = dict(target.headers)
    if urlsplit(url).netloc != urlsplit(target.url).netloc:
        headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
    if reply.status == 303 or (reply.status in (301, 302) and target.method == "POST"):
        return replace(target, url=url, method="GET", body=b"", headers=headers)
    return replace(target, url=url, headers=headers)


def status(reply: Reply) -> tuple[int, str]:
    """A google.rpc.Status of an answer: code, and the text that Google has for it."""
    if 200 <= reply.status < 300:
        return int(Code.OK), ""
    code = _CODES.get(reply.status, Code.UNKNOWN)
    return int(code), f"{code.name}({int(code)}): HTTP status code {reply.status}"
