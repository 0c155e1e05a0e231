"""Where functions answer: a request at one of their addresses, let in or not, and what the function says.

Addresses are in `protocol.hosts`. Authentication is "Authenticate for invocation" (Cloud Run functions) and
"Authenticating service-to-service" (Cloud Run).
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from fogbank.functions.http.messages import HttpRequest
from fogbank.gcp.protocol import hosts
from fogbank.gcp.services.functions import delivering, names, permissions, state
from fogbank.gcp.services.functions.delivering import Undeliverable
from fogbank.gcp.services.functions.state import LABELS
from fogbank.kernel.gateway.messages import Request, Response, Route
from fogbank.primitives.web_tokens import BadToken

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.functions.http.messages import HttpResponse
    from fogbank.gcp.service import House
    from fogbank.gcp.services.functions.state import Function
    from fogbank.kernel.store import Tx

_BODY_BYTES_MAX = {1: 10 * 1024 * 1024, 2: 32 * 1024 * 1024}  # "Quotas": "Max HTTP request size".
_OF_ONE_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding",
     "upgrade", "content-length")
)  # fmt: skip
_GCLOUD = "32555940559.apps.googleusercontent.com"  # The audience of tokens that gcloud gives to people.
_IN_FRONT = (
    "x-serverless-authorization"  # "If you provide both … only the X-Serverless-Authorization header is checked."
)
_REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"
_TOKEN = re.compile(r"[Bb]earer +([\w-]+\.[\w-]+\.)[\w-]+", re.ASCII)
_BAD_TOKEN = (
    "www-authenticate",
    'Bearer error="invalid_token" error_description="The access token could not be verified"',
)


class Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Serving:
    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        return [Route(self._by_host, host=hosts.ANY), Route(self._by_path, path=hosts.IN_PATH)]

    async def _by_host(self, request: Request) -> Response:
        return await self._answer(request, request.host, request.path)

    async def _by_path(self, request: Request) -> Response:
        found = hosts.IN_PATH.match(request.path)
        assert found is not None
        return await self._answer(request, found["host"], request.path[found.end() :] or "/")

    async def _answer(self, request: Request, host: str, path: str) -> Response:
        place = hosts.read(host)
        found = await self._house.store.transact(_find, place, path) if place is not None else None
        if found is None:
            return _page(404, path)
        function, rest = found
        if len(request.body) > _BODY_BYTES_MAX[function.generation]:
            return _page(413, path)
        try:
            checked = await self._let_in(function, request, host)
        except Refused as refused:
            return _page(refused.status, path)
        target = f"{rest}?{request.query}" if request.query else rest
        asked = HttpRequest(request.method, target, _handed_on(request, checked), request.body)
        try:
            answer = await delivering.run(self._house, function, asked)
        except Undeliverable as error:
            return _page(error.status, path)
        return _handed_back(answer)

    async def _let_in(self, function: Function, request: Request, host: str) -> str:
        """The header whose token was checked; none where everybody is let in. Raises `Refused`."""
        if await permissions.may_invoke(self._house, function, None):
            return ""
        header = _IN_FRONT if function.generation == 2 and _IN_FRONT in request.headers else "authorization"
        kind, _, token = request.headers.get(header, "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise Refused(403)
        try:
            claims = await self._house.identity.verify(token.strip())
        except BadToken as error:
            raise Refused(401) from error
        if not _is_for(str(claims.get("aud", "")), self._addresses(function, request, host)):
            raise Refused(401)
        if "email" not in claims:  # A token of GenerateIdToken without `include_email` does not say whose it is.
            raise Refused(401)
        if not await permissions.may_invoke(self._house, function, str(claims["email"])):
            raise Refused(403)
        return header if function.generation == 2 else ""

    def _addresses(self, function: Function, request: Request, host: str) -> Iterable[str]:
        """Every way to write the address of the function: Google's and ours."""
        at, asked = function.at, request.headers.get("host", "")
        own = [f"{hosts.functions_host(at.project, at.location)}/{at.id}"]
        if function.generation == 2:
            for label in hosts.labels(at.project, at.location, function.service):
                own += [f"{label}.a.run.app", f"{label}.run.app"]
        for one in own:
            yield from (f"https://{one}", f"{self._house.endpoint()}/{one}", f"http://{asked}/{one}")
        if request.host == host:  # As it was asked for by name: "http://….run.localhost:4566".
            yield f"http://{asked}" if (hosts.read(host) or hosts.Place()).label else f"http://{asked}/{at.id}"


def _find(tx: Tx, place: hosts.Place, path: str) -> tuple[Function, str] | None:
    """The function, and the part of the path that it sees; none where nobody answers."""
    if place.label:
        name = LABELS.get_shared(tx, place.label)
        function = state.get(tx, name) if name is not None else None
        return None if function is None else (function, path)
    own, slash, rest = path.removeprefix("/").partition("/")
    function = state.get(tx, str(names.Name(place.project, place.region, own))) if own else None
    if function is None or (function.generation == 1 and function.first.HasField("event_trigger")):
        return None
    return function, slash + rest or "/"


def _is_for(audience: str, addresses: Iterable[str]) -> bool:
    """With or without a path below the address."""
    plain = audience.rstrip("/")
    return plain == _GCLOUD or any(plain == one or plain.startswith((f"{one}/", f"{one}?")) for one in addresses)


def _handed_on(request: Request, checked: str) -> list[tuple[str, str]]:
    """As they came; of a token that was checked without its signature ("the signature … is replaced")."""
    headers = [(name, value) for name, value in request.raw_headers if name.lower() not in _OF_ONE_HOP]
    if not checked:
        return headers
    return [
        (name, _TOKEN.sub(rf"Bearer \g<1>{_REMOVED}", value) if name.lower() == checked else value)
        for name, value in headers
    ]


def _handed_back(answer: HttpResponse) -> Response:
    """The gateway says how long a body is, where that is known."""
    length = next((value for name, value in answer.headers if name.lower() == "content-length"), "")
    headers = [(name, value) for name, value in answer.headers if name.lower() != "content-length"]
    told = int(length) if length.isdecimal() and not (isinstance(answer.body, bytes) and answer.body) else None
    return Response(answer.status, headers, answer.body, told)


_TITLES = {
    401: ("Unauthorized", "Your client does not have permission to the requested URL <code>{path}</code>."),
    403: ("Forbidden", "Your client does not have permission to get URL <code>{path}</code> from this server."),
    404: ("Page not found", "The requested URL was not found on this server."),
    413: ("Request Entity Too Large", "Your client issued a request that was too large."),
    503: ("Server Error", "The service you requested is not available yet.<p>Please try again in 30 seconds."),
}


def _page(status: int, path: str) -> Response:
    """As Google's front writes it."""
    title, text = _TITLES[status]
    body = (
        '<html><head>\n<meta http-equiv="content-type" content="text/html;charset=utf-8">\n'
        f"<title>{status} {title}</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n<h1>Error: {title}</h1>\n"
        f"<h2>{text.format(path=escape(path[:2048]))}</h2>\n<h2></h2>\n</body></html>\n"
    )
    headers = [("content-type", "text/html; charset=UTF-8")]
    return Response(status, [*headers, _BAD_TOKEN] if status == 401 else headers, body.encode())
