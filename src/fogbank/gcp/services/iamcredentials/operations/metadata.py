"""The metadata server, as it answers on Cloud Run: whose instance this is, where, and its tokens.

"About VM metadata", "Access instance metadata" (Cloud Run). Clients find it by GCE_METADATA_HOST.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote

import orjson

from fogbank.gcp.identity import metadata, projects
from fogbank.gcp.identity.issuer import LIFETIME_S
from fogbank.gcp.service import Service
from fogbank.kernel.gateway.messages import Response, Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.gcp.identity.metadata import Holder
    from fogbank.kernel.gateway.messages import Request

_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
_INSTANCE_ID: Final = "0" * 16
_COMMON: Final = [("metadata-flavor", "Google"), ("server", "Metadata Server for Serverless")]


class Metadata(Service):
    service = "google.iam.credentials.v1.IAMCredentials"

    def routes(self) -> Iterable[Route]:
        yield Route(self._answer, host=re.compile(r"metadata(\.google\.internal)?|169\.254\.169\.254"))
        yield Route(self._answer, path=re.compile(r"/_metadata/[^/]+/[^/]+/[^/]+(/|$)|/computeMetadata(/|$)"))

    async def _answer(self, request: Request) -> Response:
        if "x-forwarded-for" in request.headers:
            return _refused(403, f"Your client may not ask for {request.path} by way of a proxy.")
        if request.headers.get("metadata-flavor", "").lower() != "google":
            return _refused(403, f"Your client may not ask for {request.path}. Missing Metadata-Flavor:Google header.")
        if request.method not in ("GET", "HEAD"):
            return _refused(405, f"The request method {request.method} is not allowed for {request.path}.")
        holder, path = metadata.read(request.path)
        if path in ("", "/", "/computeMetadata", "/computeMetadata/"):
            return _text("v1/\n" if path.startswith("/c") else "computeMetadata/\n")
        if not (path + "/").startswith(metadata.ROOT + "/"):
            return _missing(request.path)
        query = {name: values[0] for name, values in parse_qs(request.query, keep_blank_values=True).items()}
        return await self._at(holder, request.path, unquote(path[len(metadata.ROOT) :]), query)

    async def _at(self, holder: Holder, path: str, place: str, query: dict[str, str]) -> Response:
        email, tree = holder.email, _tree(holder)
        parts = [part for part in place.split("/") if part]
        if len(parts) == 4 and parts[:2] == ["instance", "service-accounts"] and parts[2] in ("default", email):
            if parts[3] == "token":
                scopes = [scope for scope in query.get("scopes", "").split(",") if scope] or list(_SCOPES)
                token = await self.house.identity.access_token(email, scopes)
                return _json({"access_token": token, "expires_in": LIFETIME_S - 1, "token_type": "Bearer"})
            if parts[3] == "identity":
                if not query.get("audience"):
                    return _text("non-empty audience parameter required\n", 400)
                return _text(await self.house.identity.mint(query["audience"], email))
        found: Any = tree
        for part in parts:
            found = found.get(part) if isinstance(found, dict) else None
            if found is None:
                return _missing(path)
        return _shown(path, found, query)


def _tree(holder: Holder) -> dict[str, Any]:
    number, email = projects.number(holder.project), holder.email
    account = {"aliases": ["default"], "email": email, "identity": "", "scopes": list(_SCOPES), "token": ""}
    return {
        "instance": {
            "id": _INSTANCE_ID,
            "region": f"projects/{number}/regions/{holder.region}",
            "service-accounts": {"default": account, email: account},
            "zone": f"projects/{number}/zones/{holder.region}-1",
        },
        "project": {"attributes": {}, "numeric-project-id": int(number), "project-id": holder.project},
        "universe": {"universe-domain": "googleapis.com", "universe_domain": "googleapis.com"},
    }


def _shown(path: str, found: Any, query: dict[str, str]) -> Response:
    if isinstance(found, dict):
        if query.get("recursive", "").lower() == "true":
            if query.get("alt") == "text":
                return _text("".join(f"{line}\n" for line in _lines(found)))
            return _json(_recursive(found))
        if not path.endswith("/"):
            return Response(301, [*_COMMON, ("location", f"{path}/")])
        return _text("".join(f"{name}/\n" if isinstance(value, dict) else f"{name}\n" for name, value in found.items()))
    if query.get("alt") == "json":
        return _json(found)
    return _text("".join(f"{one}\n" for one in found) if isinstance(found, list) else str(found))


def _recursive(found: dict[str, Any]) -> dict[str, Any]:
    """Names in camel case; tokens are not shown by it."""
    return {
        _camel(name): _recursive(value) if isinstance(value, dict) else value
        for name, value in found.items()
        if name not in ("identity", "token", "universe_domain")
    }


def _lines(found: dict[str, Any], prefix: str = "") -> Iterable[str]:
    for name, value in found.items():
        if isinstance(value, dict):
            yield from _lines(value, f"{prefix}{name}/")
        elif name not in ("identity", "token"):
            yield f"{prefix}{name} {' '.join(value) if isinstance(value, list) else value}"


def _camel(name: str) -> str:
    if "@" in name:
        return name
    first, *others = name.split("-")
    return first + "".join(other.capitalize() for other in others)


def _text(content: str, status: int = 200) -> Response:
    return Response(status, [*_COMMON, ("content-type", "application/text")], content.encode())


def _json(content: Any) -> Response:
    return Response(200, [*_COMMON, ("content-type", "application/json")], orjson.dumps(content))


def _missing(path: str) -> Response:
    return _refused(404, f"The requested URL {path} was not found on this server.")


def _refused(status: int, text: str) -> Response:
    page = f"<!DOCTYPE html>\n<html lang=en>\n<title>Error {status}</title>\n<p>{html.escape(text[:2048])}\n"
    return Response(status, [*_COMMON, ("content-type", "text/html; charset=UTF-8")], page.encode())
