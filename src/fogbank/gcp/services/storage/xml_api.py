"""The XML API: which bucket and object an address names, who may ask until when, and what is done of it.

"XML API overview" in the reference. What is not served is refused by the name of its subresource.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote

from fogbank.gcp.services.storage import cross_origin, json_api, signatures, state
from fogbank.gcp.services.storage.asking import Asked, base_of, readable
from fogbank.gcp.services.storage.errors import StorageError, not_served
from fogbank.gcp.services.storage.xml_buckets import XmlBuckets
from fogbank.gcp.services.storage.xml_forms import XmlForms
from fogbank.gcp.services.storage.xml_objects import XmlObjects
from fogbank.gcp.services.storage.xml_parts import XmlParts
from fogbank.kernel.gateway.messages import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fogbank.gcp.service import House
    from fogbank.gcp.services.storage.objects import Objects
    from fogbank.kernel.gateway.messages import Request
    from fogbank.kernel.store import Tx

_HOST: Final = ".storage.googleapis.com"
_CONDITIONS: Final = {
    "x-goog-if-generation-match": "ifGenerationMatch", "x-goog-if-metageneration-match": "ifMetagenerationMatch",
}  # fmt: skip
_OF_NO_CONTENT: Final = (
    "acl", "billing", "compose", "cors", "defaultObjectAcl", "encryption", "encryptionConfig", "lifecycle", "location",
    "logging", "policy", "requestPayment", "retention", "storageClass", "tagging", "torrent", "uploads", "versioning",
    "versions", "website", "websiteConfig",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    bucket: str
    name: str
    subresource: str  # "uploads", "location", …: "" is the thing itself.


class XmlApi:
    def __init__(self, house: House, objects: Objects) -> None:
        self._house = house
        self._buckets, self._objects = XmlBuckets(house), XmlObjects(house, objects)
        self._parts, self._forms = XmlParts(house, objects), XmlForms(house, objects)

    async def answer(self, request: Request) -> Response:
        request = readable(request)
        place = _place(request)
        rules: list[dict[str, Any]] = []
        try:
            rules = await self._house.store.transact(_cors_of, place.bucket) if "origin" in request.headers else []
            if request.method == "OPTIONS":
                return cross_origin.preflight(request, rules)
            response = await self._answer(request, place)
        except Exception as error:
            told = json_api.as_told(self._house, request, error)
            body = b"" if told.status == 304 else told.xml()
            kind = [] if told.status == 304 else [("Content-Type", "application/xml; charset=UTF-8")]
            response = Response(told.status, [*kind, *told.headers], body)
        return cross_origin.shared(request, response, rules)

    async def _answer(self, request: Request, place: Place) -> Response:
        house = self._house
        await house.store.transact(signatures.check, request, house.clock.now_ms())
        asked = self._asked(request, place)
        run = self._run(request, place, asked)
        if run is None:
            raise not_served(f"{request.method} of {place.subresource or 'this address'} in the XML API")
        return await run(asked)

    def _asked(self, request: Request, place: Place) -> Asked:
        headers = {
            (f"x-goog-{name[6:]}" if name.startswith("x-amz-") else name): text
            for name, text in request.headers.items()
        }
        parameters = dict(parse_qsl(request.query, keep_blank_values=True))
        parameters |= {member: headers[name] for name, member in _CONDITIONS.items() if name in headers}
        parameters |= {"bucket": place.bucket, "object": place.name}
        return Asked(
            self._house.clock.now_ms(),
            self._house.ids.new,
            base_of(request),
            parameters,
            headers,
            request.body,
        )

    def _run(self, request: Request, place: Place, asked: Asked) -> Callable[[Asked], Awaitable[Response]] | None:
        verb = "GET" if request.method == "HEAD" else request.method
        if not place.bucket:
            return self._in_one(self._buckets.list_all) if verb == "GET" else None
        if not place.name:
            return self._run_bucket(verb, place, asked)
        return self._run_object(verb, place, asked)

    def _run_bucket(self, verb: str, place: Place, asked: Asked) -> Callable[[Asked], Awaitable[Response]] | None:
        buckets = self._buckets
        match verb, place.subresource:
            case "GET", "" | "versions":
                return self._in_one(buckets.list_objects)
            case "GET", "uploads":
                return self._in_one(self._parts.list_uploads)
            case "GET", "location" | "versioning" | "storageClass" | "cors" as which:
                return self._in_one(partial(buckets.show, which=which))
            case "PUT", "":
                return self._in_one(buckets.create)
            case "PUT", "versioning" | "cors" as which:
                return self._in_one(partial(buckets.change, which=which))
            case "DELETE", "":
                return self._in_one(buckets.delete)
            case "POST", "" if asked.headers.get("content-type", "").startswith("multipart/form-data"):
                return self._forms.post
        return None

    def _run_object(self, verb: str, place: Place, asked: Asked) -> Callable[[Asked], Awaitable[Response]] | None:
        parameters, parts, objects = asked.parameters, self._parts, self._objects
        in_parts, resumable = "uploadId" in parameters, "upload_id" in parameters
        match verb, place.subresource:
            case "GET", "":
                return self._in_one(parts.list_parts if in_parts else objects.get)
            case "PUT", "" if in_parts:
                return parts.upload_part
            case "PUT", "":
                if resumable:
                    return objects.go_on
                return objects.copy if "x-goog-copy-source" in asked.headers else objects.put
            case "PUT", "compose":
                return objects.compose
            case "POST", "uploads":
                return self._in_one(parts.begin)
            case "POST", "" if in_parts:
                return parts.complete
            case "POST", "" if asked.headers.get("x-goog-resumable") == "start":
                return self._in_one(objects.begin)
            case "DELETE", "":
                if in_parts:
                    return parts.abort
                return objects.cancel if resumable else objects.delete
        return None

    def _in_one(self, work: Callable[[Tx, Asked], Response]) -> Callable[[Asked], Awaitable[Response]]:
        """As one transaction."""

        async def run(asked: Asked) -> Response:
            return await self._house.store.transact(work, asked)

        return run


def _place(request: Request) -> Place:
    """ "BUCKET.storage.googleapis.com/OBJECT" or "storage.googleapis.com/BUCKET/OBJECT"."""
    host, path = request.host, request.path.removeprefix("/")
    if host.endswith(_HOST):
        bucket, name = host.removesuffix(_HOST), path
    else:
        bucket, _, name = path.partition("/")
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    found = next((one for one in _OF_NO_CONTENT if one in query), "")
    return Place(unquote(bucket), unquote(name), found)


def _cors_of(tx: Tx, bucket: str) -> list[dict[str, Any]]:
    try:
        return list(state.bucket(tx, bucket).settings.get("cors", []))
    except StorageError:
        return []
